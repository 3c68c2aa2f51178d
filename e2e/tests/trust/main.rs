//! Nobody gets in, or is believed, with an identity that is not his, and nobody reads along.

mod certificates;
mod intruding_clients;
mod intruding_servers;
mod sidecar_comes_and_goes;
mod wire;

use anyhow::{Context, Result};
use e2e::harness::TestNamespace;
use http::Method;
use k8s_openapi::api::core::v1::Pod;

/// How often a test server's application has been asked for `path`; `tcp` counts connections.
async fn asked_for(ns: &TestNamespace, server: &Pod, path: &str) -> Result<u64> {
    let totals = ns.cluster.ask_pod(Method::GET, server, 9000, "count", String::new()).await?;
    let totals: serde_json::Value = serde_json::from_str(&totals)?;
    let paths = totals["by_path"].as_object().with_context(|| format!("unexpected answer: {totals}"))?;
    Ok(paths.get(path).and_then(serde_json::Value::as_u64).unwrap_or_default())
}
