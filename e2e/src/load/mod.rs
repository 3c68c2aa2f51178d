//! Sends requests and counts who answered: what the test client and the storefront do, and in which words the harness asks
//! for it.

mod connection;
mod latency;
mod plan;
mod run;
mod tally;

pub use connection::{Answer, Connection, Failure};
pub use latency::Latency;
pub use plan::{Plan, Protocol};
pub use run::{Load, run};
pub use tally::{SharedTally, Tally};
