//! Edits of a TrafficSplit while requests flow.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use e2e::{
    eventually,
    harness::{RunningLoad, TestClient, TestNamespace},
    load::Plan,
    run,
};

use crate::WEB;

const CLIENTS: usize = 4;
const EDITS: usize = 20;
/// What the mesh promises.
const PROPAGATION: Duration = Duration::from_secs(1);
/// A client that got no answer of a backend for this long, while it goes on asking, has left it.
const SILENCE: Duration = Duration::from_millis(300);

#[test]
fn twenty_edits_fail_no_request_and_reach_every_client_within_a_second() {
    run("edits", async |ns| {
        ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 0).programmed().await?;
        let mut loads = Vec::new();
        for client in clients(ns).await? {
            client.reaches_only(WEB, &["v1"]).await?;
            loads.push(client.start(&Plan::new(WEB).rate(200.0)).await?);
        }
        for load in &loads {
            load.more(20).await?;
        }
        let mut slowest = Duration::ZERO;
        for edit in 0..EDITS {
            let (old, new) = if edit % 2 == 0 { ("v1", "v2") } else { ("v2", "v1") };
            ns.split("web", "web").backend(old, 0).backend(new, 1).apply().await?;
            let edited = Instant::now();
            for load in &loads {
                slowest = slowest.max(time_to_leave(load, old, new, edited).await?);
            }
        }
        println!("{EDITS} edits: the slowest of {CLIENTS} clients followed after {slowest:?}");
        for load in loads {
            load.stop_without_failure().await?;
        }
        ensure!(slowest <= PROPAGATION, "an edit took {slowest:?} to reach every client");
        Ok(())
    });
}

async fn clients(ns: &TestNamespace) -> Result<Vec<TestClient>> {
    let mut clients = Vec::new();
    for number in 0..CLIENTS {
        ns.client(&format!("client-{number}")).apply().await?;
    }
    for number in 0..CLIENTS {
        let name = format!("client-{number}");
        ns.rolled_out(&name).await?;
        clients.push(ns.test_client(&name).await?);
    }
    Ok(clients)
}

/// Time from `edited` to the last answer of `old` that the client of `load` got.
async fn time_to_leave(load: &RunningLoad, old: &str, new: &str, edited: Instant) -> Result<Duration> {
    eventually(Duration::from_secs(10), &format!("a client that left {old} for {new}"), async || {
        let tally = load.tally().await?;
        let since = edited.elapsed();
        let ago = |name: &str| tally.last_answer_milliseconds_ago.get(name).map(|ago| Duration::from_millis(*ago));
        let (old, new) = (ago(old).unwrap_or(since), ago(new).unwrap_or(Duration::MAX));
        ensure!(new < SILENCE && new < since, "the last answer of the new backend was {new:?} ago");
        ensure!(old > SILENCE && since > SILENCE, "the last answer of the old backend was {old:?} ago");
        Ok(since.saturating_sub(old))
    })
    .await
}
