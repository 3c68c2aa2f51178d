//! `weft explain request`: what it says of a cluster is what happens there.

use anyhow::{Result, ensure};
use e2e::{
    harness::{TestNamespace, weft},
    load::Plan,
    run,
};
use serde_json::{Value, json};

use crate::WEB;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0";

/// What the command says as text, with its exit status.
async fn explain(ns: &TestNamespace, arguments: &[&str], input: &str) -> Result<(i32, String)> {
    let words = [&["explain", "request", "-n", &ns.name], arguments].concat();
    let output = weft(&words, input).await?;
    Ok((output.code, output.stdout + &output.stderr))
}

/// The same as JSON, of a request that is served.
async fn served(ns: &TestNamespace, arguments: &[&str], input: &str) -> Result<Value> {
    let words = [&["explain", "request", "-n", &ns.name, "--output", "json"], arguments].concat();
    let answer: Value = serde_json::from_str(&weft(&words, input).await?.success()?)?;
    ensure!(answer["outcome"] == "served", "{answer:#}");
    Ok(answer)
}

/// Services and their shares in percent.
fn shares(answer: &Value) -> Vec<(String, f64)> {
    let backends = answer["backends"].as_array().into_iter().flatten();
    let share = |backend: &Value| Some((backend["service"].as_str()?.to_owned(), backend["percent"].as_f64()?));
    backends.filter_map(share).collect()
}

#[test]
fn what_it_says_is_what_happens() {
    run("explain", async |ns| {
        let client = ns.web(&["v1", "v2", "v3"]).await?;
        let firefox = json!([{"name": "firefox", "headers": {"user-agent": ".*Firefox.*"}}]);
        ns.route_group("testers", firefox).await?;
        ns.split("web", "web").backend("v1", 9).backend("v2", 1).programmed().await?;
        ns.split("ab", "web").backend("v2", 3).backend("v3", 1).matching("testers").programmed().await?;
        let header = format!("user-agent={FIREFOX}");
        for (name, arguments, plan, split) in [
            ("no match", vec![], Plan::new(WEB), "web"),
            ("a match", vec!["--header", &header], Plan::new(WEB).header("user-agent", FIREFOX), "ab"),
        ] {
            let arguments =
                [&["--from", "deploy/client", "--to", "svc/web:8080"], &arguments[..], &["GET", "/"]].concat();
            let answer = served(ns, &arguments, "").await?;
            ensure!(answer["split"]["name"] == split, "{name}: {answer:#}");
            ensure!(answer["caller"]["meshed"] == 1 && answer["root"]["port"] == 8080, "{name}: {answer:#}");
            // A hundred requests are whole periods of both splits, and so hold their shares exactly.
            let tally = client.run(&plan.requests(100)).await?;
            for (service, percent) in shares(&answer) {
                #[expect(clippy::cast_precision_loss, reason = "there are a hundred")]
                let taken = tally.of(&service) as f64;
                ensure!((taken - percent).abs() < 1e-9 && tally.failed == 0, "{name}: {tally}, not {answer:#}");
            }
        }

        let (code, text) =
            explain(ns, &["--from", "deploy/client", "--to", "svc/web", "-H", &header, "GET", "/x"], "").await?;
        ensure!(code == 2 && text.contains("say which, as in --to svc/web:8080"), "{code}: {text}");
        let (code, text) =
            explain(ns, &["--from", "deploy/client", "--to", "web:http", "-H", &header, "GET", "/x"], "").await?;
        ensure!(code == 0, "{code}: {text}");
        for part in [
            &format!("from Deployment {}/client (1 of 1 pods with a sidecar)", ns.name),
            "TrafficSplit ab decides, by match firefox of HTTPRouteGroup testers.",
            "  v2        75 %    1",
            "  v3        25 %    1",
            "  * ab: the request meets match firefox of HTTPRouteGroup testers",
            "  - web: TrafficSplit ab is asked before it",
        ] {
            ensure!(text.contains(part), "{part:?} is not in {text}");
        }
        Ok(())
    });
}

#[test]
fn says_what_a_manifest_would_change_and_changes_nothing() {
    run("what-if", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 0).programmed().await?;
        let manifest = "apiVersion: split.smi-spec.io/v1alpha1\n\
                        kind: TrafficSplit\n\
                        metadata: {name: web}\n\
                        spec: {service: web, backends: [{service: v1, weight: 500m}, {service: v2, weight: 1500m}]}\n";
        let with = ["--to", "web:8080", "--file", "-"];
        let answer = served(ns, &with, manifest).await?;
        ensure!(shares(&answer) == [("v1".to_owned(), 25.0), ("v2".to_owned(), 75.0)], "{answer:#}");
        let (code, text) = explain(ns, &with, &manifest.replace("1500m", "most")).await?;
        ensure!(code == 2 && text.contains("standard input, document 1: TrafficSplit"), "{code}: {text}");
        ensure!(text.contains("spec.backends[1].weight"), "{text}");
        let answer = served(ns, &["--to", "web:8080"], "").await?;
        ensure!(shares(&answer) == [("v1".to_owned(), 100.0), ("v2".to_owned(), 0.0)], "{answer:#}");
        let tally = client.run(&Plan::new(WEB).requests(20)).await?;
        ensure!(tally.of("v1") == 20, "{tally}");
        Ok(())
    });
}

#[test]
fn its_exit_status_says_whether_anybody_serves() {
    run("explain-exit", async |ns| {
        ns.web(&["v1"]).await?;
        ns.client("plain").label("weft.dev/inject", "disabled").rolled_out().await?;
        ns.service("empty", json!({"app": "nobody"})).await?;
        ns.split("web", "web").backend("v9", 1).apply().await?;
        for (name, arguments, want, part) in [
            ("a caller without a sidecar", &["--from", "deploy/plain", "--to", "web:8080"][..], 0, "no sidecar"),
            ("no backend", &["--to", "web:8080"], 1, "BackendNotFound"),
            ("no endpoints", &["--to", "empty:8080"], 1, "weft-error: no-endpoints"),
            ("no service", &["--to", "nobody:8080"], 1, "There is no service"),
            ("no pods", &["--from", "deploy/nobody", "--to", "web:8080"], 2, "has no pods"),
            ("a file that is not there", &["--to", "web:8080", "-f", "/nonexistent"], 2, "cannot be read"),
            ("opaque", &["--to", "web:mysql"], 1, "nobody is ready to serve: the connection is closed"),
        ] {
            let (code, text) = explain(ns, arguments, "").await?;
            ensure!(code == want && text.contains(part), "{name}: {code}: {text}");
        }
        Ok(())
    });
}
