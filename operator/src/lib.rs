//! The Weft operator: turns Service Mesh Interface objects into configuration for sidecars, injects the sidecars, and serves
//! `TrafficMetrics` from what they report. `docs/architecture.md` has the way of a manifest through these modules.

pub mod admission;
pub mod apiserver;
pub mod compile;
pub mod discovery;
pub mod https;
pub mod identity;
pub mod index;
pub mod model;
pub mod publish;
pub mod runtime;
pub mod status;
pub mod traffic;
