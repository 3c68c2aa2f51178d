//! The gRPC side that sidecars connect to: who they are, what they are told, what they report, what is
//! signed for them.

mod authenticate;
mod certificates;
mod presence;
mod reports;
mod streams;
#[cfg(test)]
mod tests;
mod turnstile;
mod wire;

pub use authenticate::{AuthenticateError, Authenticator, Caller, Refused};
pub use certificates::Certificates;
pub use reports::Reports;
pub use streams::{Ledgers, Streams};
pub use turnstile::Busy;
