//! End-to-end tests of Weft: the applications that they run (`app`, `load`, and the programs in `bin`) and the harness that
//! deploys and questions them (`harness`), and the words that it shares with the intruder (`intrusion`). `README.md` says how to write a test.

pub mod app;
pub mod harness;
pub mod intrusion;
pub mod load;

pub use harness::{Cluster, TestNamespace, eventually, run, run_alone};

/// Messages, client and server of the test applications' gRPC service.
#[allow(missing_docs, unreachable_pub, clippy::all, clippy::unwrap_used)]
#[rustfmt::skip]
#[path = "generated/weft.test.v1.rs"]
pub mod echo;
