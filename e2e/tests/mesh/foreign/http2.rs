//! Conformance to HTTP/2, case by case, by h2spec.

use std::time::Duration;

use anyhow::ensure;
use e2e::run;
use futures::future::try_join_all;

use super::{
    report::{Outcome, Report},
    ways,
};

const PORT: &str = "8080";
/// h2spec waits up to two seconds for each of its cases, and most servers answer all but a few of them at once.
const LIMIT: Duration = Duration::from_secs(240);

#[test]
fn a_sidecar_fails_no_case_of_h2spec_that_the_application_passes() {
    run("h2spec", async |ns| {
        let server = ns.program("interop", &["/bin/interop", "h2c", PORT]).port(8080);
        let server = server.ready(&["/bin/interop", "ready", PORT]);
        let ways = ways(&server, &ns.program("interop", &["/bin/interop", "idle"])).await?;
        for way in &ways {
            way.reaches(ns, &["/bin/interop", "get", "{server}", PORT]).await?;
        }
        let [bare, meshed @ ..] = &ways;
        let command = ["/bin/interop", "h2spec", "{server}", PORT];
        let baseline = Report::of(ns, bare, LIMIT, &command).await?;
        println!("h2spec, {}: {} passed, failed: {}", bare.name, baseline.count(Outcome::Passed), baseline.failures());
        ensure!(baseline.count(Outcome::Passed) > 140, "the application itself fails: {}", baseline.failures());

        let reports = try_join_all(meshed.iter().map(|way| Report::of(ns, way, LIMIT, &command))).await?;
        let mut beyond = String::new();
        for (way, report) in meshed.iter().zip(&reports) {
            println!("h2spec, {}: {} passed", way.name, report.count(Outcome::Passed));
            ensure!(report.asks_the_same_as(&baseline), "other cases were asked by way of {}", way.name);
            let failures = report.failures_beyond(&baseline);
            if !failures.is_empty() {
                beyond.push_str(&format!("\nby way of {}:{failures}", way.name));
            }
        }
        ensure!(beyond.is_empty(), "cases that the application passes: {beyond}");
        Ok(())
    });
}
