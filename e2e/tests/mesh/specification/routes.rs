//! Which requests the route groups of the texts on traffic specs match, shown by a split that follows them.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    TestNamespace, eventually,
    harness::{Manifest, TestClient},
    load::Plan,
    run,
};
use serde_json::json;

use super::example;

const LIMIT: Duration = Duration::from_secs(30);
const ANDROID: &str = "Mozilla/5.0 (Linux; Android 14) Mobile";
const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";
const IPHONE: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X)";

/// A request, and whether an example matches it.
struct Case {
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    matched: bool,
}

const fn case(
    method: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    matched: bool,
) -> Case {
    Case { method, path, headers, matched }
}

const PATH_AND_METHOD: &[Case] = &[
    case("GET", "/metrics", &[], true),
    case("GET", "/metrics/cpu?window=30s", &[], true),
    case("GET", "/x/metrics", &[], false),
    case("POST", "/metrics", &[], false),
    case("GET", "/ping", &[], true),
    case("DELETE", "/ping", &[], true),
    case("GET", "/", &[], false),
];
const EVERYTHING: &[Case] =
    &[case("GET", "/", &[], true), case("POST", "/any/thing", &[("user-agent", ANDROID)], true)];
const INSIDERS: &[Case] = &[
    case("GET", "/", &[("user-agent", ANDROID), ("cookie", "type=insider")], true),
    case("POST", "/any", &[("user-agent", ANDROID), ("cookie", "lang=en;type=insider;theme=dark")], true),
    case("GET", "/", &[("user-agent", ANDROID)], false),
    case("GET", "/", &[("user-agent", ANDROID), ("cookie", "type=outsider")], false),
    case("GET", "/", &[("user-agent", IPHONE), ("cookie", "type=insider")], false),
    case("GET", "/", &[("cookie", "type=insider")], false),
    case("GET", "/", &[], false),
];
const OR_FIREFOX: &[Case] = &[
    case("GET", "/", &[("user-agent", FIREFOX)], true),
    case("GET", "/", &[("user-agent", ANDROID), ("cookie", "type=insider")], true),
    case("GET", "/", &[("user-agent", ANDROID)], false),
    case("GET", "/", &[("user-agent", IPHONE)], false),
];
const IPHONE_API: &[Case] = &[
    case("GET", "/api/users", &[("user-agent", IPHONE)], true),
    case("POST", "/api/users", &[("user-agent", IPHONE)], false),
    case("GET", "/api/users", &[("user-agent", FIREFOX)], false),
    case("GET", "/api/users", &[], false),
    case("GET", "/shop/api/users", &[("user-agent", IPHONE)], false),
];

/// What matches is answered by `matched`, everything else by the root's own server, which is `root`.
async fn answers(client: &TestClient, case: &Case, requests: u64) -> Result<()> {
    let mut plan = Plan::new(format!("http://web:8080{}", case.path)).requests(requests);
    plan.method = case.method.to_owned();
    for (name, value) in case.headers {
        plan = plan.header(name, value);
    }
    let tally = client.run(&plan).await?;
    let want = if case.matched { "matched" } else { "root" };
    let Case { method, path, headers, .. } = case;
    ensure!((tally.of(want), tally.failed) == (requests, 0), "{method} {path} {headers:?} is not for {want}: {tally}");
    Ok(())
}

async fn example_matches(
    ns: &TestNamespace,
    client: &TestClient,
    text: &str,
    name: &str,
    cases: &[Case],
) -> Result<()> {
    let manifests = ns.apply_file(&example(text, name)).await?;
    for case in cases {
        // A group has no status that says which proxies know it, so the first answer is awaited.
        let what = format!("{text}/{name} in force");
        eventually(LIMIT, &what, async || answers(client, case, 1).await).await?;
    }
    for case in cases {
        answers(client, case, 20).await?;
    }
    for manifest in &manifests {
        ns.delete_manifest(manifest).await?;
    }
    // Without its group the split applies to nothing.
    let gone = case("GET", "/metrics", &[("user-agent", FIREFOX)], false);
    eventually(LIMIT, "a split without its group", async || answers(client, &gone, 1).await).await
}

#[test]
fn a_request_matches_as_the_texts_say() {
    run("spec-routes", async |ns| {
        let client = ns.shop("web", json!({"name": "root"}), &["root", "matched"]).await?;
        let split = Manifest(json!({
            "apiVersion": "split.smi-spec.io/v1alpha4",
            "kind": "TrafficSplit",
            "metadata": {"name": "web"},
            "spec": {
                "service": "web",
                "matches": [{"kind": "HTTPRouteGroup", "name": "the-routes"}],
                "backends": [{"service": "matched", "weight": 1}],
            },
        }));
        ns.apply_manifest(&split).await?;
        let mut count = 0;
        for version in ["v1alpha1", "v1alpha2", "v1alpha3", "v1alpha4"] {
            for (name, cases) in [
                ("01-path-and-method", PATH_AND_METHOD),
                ("02-everything", EVERYTHING),
                ("03-headers", INSIDERS),
                ("04-headers-or-headers", OR_FIREFOX),
                ("05-path-method-and-header", IPHONE_API),
            ] {
                // The text of v1alpha1 knows no headers.
                if version == "v1alpha1" && !["01-path-and-method", "02-everything"].contains(&name) {
                    continue;
                }
                let text = format!("traffic-specs.{version}");
                example_matches(ns, &client, &text, name, cases).await?;
                count += 1;
            }
        }
        println!("{count} examples of route groups act as their texts say");
        Ok(())
    });
}
