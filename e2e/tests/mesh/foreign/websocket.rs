//! WebSocket: small, large and fragmented frames, pings and silence on one connection that lasts a minute.

use std::time::Duration;

use anyhow::ensure;
use e2e::run;
use futures::future::try_join_all;

use super::{report::Report, ways};

const PORT: &str = "8080";
/// How long each connection lasts, in seconds.
const SECONDS: &str = "60";
const LIMIT: Duration = Duration::from_secs(150);

#[test]
fn websocket_frames_come_back_as_they_were_sent_for_a_minute() {
    run("websocket", async |ns| {
        let server = ns.program("interop", &["/bin/interop", "websocket-echo", PORT]).port(8080);
        let server = server.ready(&["/bin/interop", "ready", PORT]);
        let ways = ways(&server, &ns.program("interop", &["/bin/interop", "idle"])).await?;
        for way in &ways {
            way.reaches(ns, &["/bin/interop", "get", "{server}", PORT]).await?;
        }
        let command = ["/bin/interop", "websocket", "{server}", PORT, SECONDS];
        // Together, or it would be four minutes.
        let reports = try_join_all(ways.iter().map(|way| Report::of(ns, way, LIMIT, &command))).await?;
        for (way, report) in ways.iter().zip(&reports) {
            ensure!(report.failures().is_empty(), "by way of {}: {}", way.name, report.failures());
            ensure!(report.asks_the_same_as(&reports[0]), "other frames were sent by way of {}", way.name);
        }
        Ok(())
    });
}
