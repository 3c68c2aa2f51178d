//! Loads that go on together while something is replaced.

use anyhow::Result;

use super::{RunningLoad, TestClient};
use crate::load::{Plan, Protocol};

/// What goes on while something is replaced: a load on the Service `web` for each protocol, each at so many requests a second.
///
/// # Errors
/// When the client does not answer.
pub async fn loads(client: &TestClient, rate: f64) -> Result<Vec<RunningLoad>> {
    const WEB: &str = "http://web:8080/";
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
///
/// # Errors
/// When one takes more than half a minute.
pub async fn more(loads: &[RunningLoad], requests: u64) -> Result<()> {
    for load in loads {
        load.more(requests).await?;
    }
    Ok(())
}

/// Ends the loads and expects that no request failed; returns how many there were.
///
/// # Errors
/// When one did.
pub async fn stop(loads: Vec<RunningLoad>) -> Result<u64> {
    let mut sent = 0;
    for load in loads {
        sent += load.stop_without_failure().await?.sent;
    }
    Ok(sent)
}
