//! Tests that need the mesh for themselves: they run the operator with other options, replace all of Weft, or measure. No two of
//! them run at the same time.

mod conversion_cost;
mod hostile_clients;
mod one_bad_object;
mod rollout;
mod rotation;
mod scale;

use anyhow::Result;
use e2e::{
    harness::{RunningLoad, TestClient},
    load::{Plan, Protocol},
};

/// The root service of the tests.
const WEB: &str = "http://web:8080/";

/// What goes on while something is replaced: four clients, one for each protocol.
async fn loads(client: &TestClient, rate: f64) -> Result<Vec<RunningLoad>> {
    let mut loads = Vec::new();
    for (url, protocol) in [
        (WEB, Protocol::Http1),
        (WEB, Protocol::H2),
        ("http://web:8080", Protocol::GrpcStream),
        ("web:9090", Protocol::Tcp),
    ] {
        loads.push(client.start(&Plan::new(url).protocol(protocol).rate(rate).connections(2)).await?);
    }
    Ok(loads)
}

/// Awaits that every load has gone on for so many requests.
async fn more(loads: &[RunningLoad], requests: u64) -> Result<()> {
    for load in loads {
        load.more(requests).await?;
    }
    Ok(())
}

/// Ends the loads and expects that no request failed; returns how many there were.
async fn stop(loads: Vec<RunningLoad>) -> Result<u64> {
    let mut sent = 0;
    for load in loads {
        sent += load.stop_without_failure().await?.sent;
    }
    Ok(sent)
}
