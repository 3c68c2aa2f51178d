//! What Weft promises, shown on a cluster: one file for each topic, tests in parallel, each in a namespace of its own.

mod addresses;
mod bad_manifests;
mod explain;
mod foreign;
mod injection;
mod kubectl;
mod protocols;
mod refusals;
mod sdk_clients;
mod sidecar;
mod smi_versions;
mod specification;
mod traffic_metrics;
mod traffic_split_edits;
mod traffic_split_matches;
mod traffic_split_references;
mod traffic_split_schema;
mod traffic_split_semantics;
mod traffic_split_services;
mod traffic_split_weights;
mod workloads;

use std::time::Duration;

/// Time for a split to be in force on a port that was not used before.
const SPLIT_LIMIT: Duration = Duration::from_secs(20);
/// The root service of most tests, for HTTP.
const WEB: &str = "http://web:8080/";
