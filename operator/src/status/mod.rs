//! What users are told on their objects: conditions and Events. Only the replica that leads writes.

mod access;
mod counts;
mod engine;
mod group;
mod judge;
mod lease;
mod pace;
mod split;
mod verdict;
mod write;

#[cfg(test)]
mod tests;

pub use counts::Counts;
pub use engine::Engine;
pub use lease::{Lease, hold};
