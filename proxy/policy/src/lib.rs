//! Pure decisions of the mesh, shared by the sidecar, the operator and the command line so that all three always agree.
//!
//! Nothing here does I/O, reads a clock or draws a random number.

pub mod http;
pub mod identity;
pub mod port;
pub mod root;
pub mod split;
