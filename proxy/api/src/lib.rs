//! What the operator and the sidecar say to each other. The meaning of every message stands in `proto/weft.proto`; here is only
//! what `make generate` made of it.

/// Messages, clients and servers of the package `weft.v1`.
#[allow(missing_docs, unreachable_pub, clippy::all)]
#[rustfmt::skip]
#[path = "generated/weft.v1.rs"]
pub mod v1;

/// Audience of the service account token that authenticates a proxy to the operator.
pub const TOKEN_AUDIENCE: &str = "weft-operator";
