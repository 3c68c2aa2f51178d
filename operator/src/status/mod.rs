//! What users are told on their objects: conditions and Events. Only the replica that leads writes.

mod conditions;
mod inactive;
mod lease;
mod splits;

pub use inactive::Inactive;
pub use lease::{Lease, hold};
pub use splits::Splits;
