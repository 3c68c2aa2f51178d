//! Answers to the API server before an object is stored: sidecar injection.

pub mod inject;
mod router;
mod settings;

pub use router::router;
pub use settings::{Settings, TrustRoot};
