//! The gRPC side that sidecars connect to: who they are, what they are told, what they report.

mod authenticate;
mod reports;
mod streams;
mod wire;

pub use authenticate::{Authenticator, Caller};
pub use reports::Reports;
pub use streams::Streams;
