//! gRPC between a client and a server of grpc-go.

use std::time::Duration;

use anyhow::ensure;
use e2e::run;
use futures::future::try_join_all;

use super::{
    report::{Outcome, Report},
    ways,
};

const PORT: &str = "10000";
/// Most cases take milliseconds; one waits for two reports of load, each a second after the other.
const LIMIT: Duration = Duration::from_secs(120);

#[test]
fn every_interop_case_of_grpc_passes() {
    run("grpc-interop", async |ns| {
        let server = ns.program("interop", &["/bin/grpc-server", "-port", PORT]).port(10000);
        let server = server.ready(&["/bin/interop", "ready", PORT]);
        let ways = ways(&server, &ns.program("interop", &["/bin/interop", "idle"])).await?;
        let reach = ["/bin/grpc-client", "-server_host", "{server}", "-server_port", PORT, "-test_case", "empty_unary"];
        for way in &ways {
            way.reaches(ns, &reach).await?;
        }
        let [bare, meshed @ ..] = &ways;
        let command = ["/bin/interop", "grpc", "{server}", PORT];
        let baseline = Report::of(ns, bare, LIMIT, &command).await?;
        ensure!(baseline.failures().is_empty(), "without the mesh: {}", baseline.failures());
        let reports = try_join_all(meshed.iter().map(|way| Report::of(ns, way, LIMIT, &command))).await?;
        for (way, report) in meshed.iter().zip(&reports) {
            ensure!(report.failures().is_empty(), "by way of {}: {}", way.name, report.failures());
            ensure!(report.asks_the_same_as(&baseline), "other cases were asked by way of {}", way.name);
            println!("grpc-go, {}: {} passed", way.name, report.count(Outcome::Passed));
        }
        Ok(())
    });
}
