//! What tests are written with: a cluster, a namespace for each test, applications in it, and patience.

mod authority;
mod client;
mod cluster;
mod diagnosis;
mod exec;
mod host;
mod intruder;
mod inventory;
mod loads;
mod manifest;
mod mesh;
mod namespace;
mod operator;
mod pod;
mod program;
mod sdk;
mod sidecar;
mod split;
mod subscriber;
mod traffic_metrics;
mod wait;
mod wire;
mod workload;

pub use authority::{Authority, Leaf, identity};
pub use client::{RunningLoad, TestClient};
pub use cluster::{Cluster, Reply};
pub use exec::Output;
pub use host::{kubectl, script, weft};
pub use intruder::{Intruder, RunningAttack};
pub use inventory::Inventory;
pub use loads::{loads, more, stop};
pub use manifest::{Manifest, content};
pub use mesh::{Mesh, Node};
pub use namespace::{TestNamespace, run, run_alone};
pub use operator::Operator;
pub use pod::{as_manifest, bare_pod};
pub use program::Program;
pub use sdk::{Question, sdk};
pub use sidecar::{Metrics, Process, Usage};
pub use split::{Condition, SplitSpec};
pub use subscriber::{OperatorChannel, Subscriber, Told};
pub use traffic_metrics::Edge;
pub use wait::eventually;
pub use wire::{Wiretap, addresses};
pub use workload::{Image, Workload, image};

/// Namespace that Weft is installed in.
pub const WEFT_NAMESPACE: &str = "weft-system";
/// Label of namespaces and pods that says whether their pods get a sidecar: `enabled` or `disabled`.
pub const INJECT_LABEL: &str = "weft.dev/inject";
/// Annotation with ports that bypass the sidecar inbound.
pub const SKIP_INBOUND_PORTS: &str = "weft.dev/skip-inbound-ports";
/// Port of the sidecar's health, metrics and configuration.
pub const PROXY_ADMIN_PORT: u16 = 15020;
