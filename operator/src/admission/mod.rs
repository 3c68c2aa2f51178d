//! Answers to the API server before an object is stored or shown: sidecar injection, conversion between versions, validation.

pub mod convert;
pub mod inject;
mod router;
mod settings;
pub mod validate;

pub use router::router;
pub use settings::{Settings, TrustRoot};
