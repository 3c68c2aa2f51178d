//! Shares, and who gets which requests, by the examples of the texts on TrafficSplit.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::{
    harness::{Manifest, TestClient, TestNamespace},
    load::Plan,
    run,
};
use serde_json::json;

use super::example;

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0";

/// Applies an example, whose first object is a split of a root, and awaits that it is in force.
async fn in_force(ns: &TestNamespace, path: &Path) -> Result<Vec<Manifest>> {
    let manifests = ns.apply_file(path).await?;
    let split = manifests.first().context("an empty example")?;
    ns.programmed(split.name()).await?;
    Ok(manifests)
}

async fn delete(ns: &TestNamespace, manifests: &[Manifest]) -> Result<()> {
    for manifest in manifests {
        ns.delete_manifest(manifest).await?;
    }
    Ok(())
}

/// Each example in its turn gives every server its exact share of requests to a root.
async fn shares(
    ns: &TestNamespace,
    client: &TestClient,
    url: &str,
    want: &[(&str, u64)],
    texts: &[(&str, &str)],
) -> Result<()> {
    for (text, name) in texts {
        let manifests = in_force(ns, &example(text, name)).await?;
        let tally = client.run(&Plan::new(url).requests(want.iter().map(|(_, count)| count).sum())).await?;
        for (server, count) in want {
            ensure!(tally.of(server) == *count, "{text}: {server} should have answered {count} times: {tally}");
        }
        ensure!(tally.failed == 0, "{text}: {tally}");
        delete(ns, &manifests).await?;
    }
    Ok(())
}

#[test]
fn quantities_share_10_to_100_to_1500() {
    run("spec-weights", async |ns| {
        let client = ns.shop("numbers", json!({"app": "web"}), &["one", "two", "three"]).await?;
        let want = [("one", 10), ("two", 100), ("three", 1500)];
        shares(ns, &client, "http://numbers:8080/", &want, &[("traffic-split.v1alpha1", "01-weights")]).await
    });
}

#[test]
fn equal_weights_share_equally() {
    run("spec-halves", async |ns| {
        let client = ns.shop("my-website", json!({"app": "web"}), &["my-website-v1", "my-website-v2"]).await?;
        let want = [("my-website-v1", 100), ("my-website-v2", 100)];
        shares(ns, &client, "http://my-website:8080/", &want, &[("traffic-split.v1alpha2", "01-halves")]).await
    });
}

#[test]
fn a_canary_gets_its_ten_percent() {
    run("spec-canary", async |ns| {
        let client = ns.shop("website", json!({"app": "web"}), &["website-v1", "website-v2"]).await?;
        let want = [("website-v1", 900), ("website-v2", 100)];
        let texts = [("traffic-split.v1alpha3", "01-canary"), ("traffic-split.v1alpha4", "01-canary")];
        shares(ns, &client, "http://website:8080/", &want, &texts).await
    });
}

#[test]
fn the_next_version_gets_a_tenth_of_the_current_ones_at_every_version() {
    run("spec-next", async |ns| {
        let client = ns.shop("web", json!({"app": "web"}), &["web-next", "web-current"]).await?;
        let want = [("web-next", 100), ("web-current", 900)];
        let texts = [
            ("traffic-split.v1alpha1", "08-implementation"),
            ("traffic-split.v1alpha2", "08-implementation"),
            ("traffic-split.v1alpha3", "09-implementation"),
            ("traffic-split.v1alpha4", "09-implementation"),
        ];
        shares(ns, &client, "http://web:8080/", &want, &texts).await
    });
}

#[test]
fn a_root_among_its_own_backends_gets_its_ninety_percent_at_every_version() {
    run("spec-own-root", async |ns| {
        // The root selects one of the two alone: which of several endpoints it uses is not the split's to say.
        let client = ns.shop("foobar", json!({"name": "foobar-v1"}), &["foobar-v1", "foobar-next"]).await?;
        let want = [("foobar-next", 100), ("foobar-v1", 900)];
        let texts = [
            ("traffic-split.v1alpha1", "07-own-root"),
            ("traffic-split.v1alpha2", "07-own-root"),
            ("traffic-split.v1alpha3", "08-own-root"),
            ("traffic-split.v1alpha4", "08-own-root"),
        ];
        shares(ns, &client, "http://foobar:8080/", &want, &texts).await
    });
}

#[test]
fn users_of_firefox_get_the_second_version_and_all_others_the_root() {
    run("spec-ab", async |ns| {
        // The root selects a third server, so that its own answers can be told from those of a backend.
        let selector = json!({"name": "root"});
        let client = ns.shop("website", selector, &["root", "website-v1", "website-v2"]).await?;
        let plain = Plan::new("http://website:8080/").requests(50);
        let firefox = plain.clone().header("user-agent", FIREFOX);
        let others = [
            ("no browser", plain.clone()),
            ("another browser", plain.header("user-agent", "Mozilla/5.0 (Macintosh) Safari/605.1.15")),
        ];
        for text in ["traffic-split.v1alpha3", "traffic-split.v1alpha4"] {
            let manifests = in_force(ns, &example(text, "02-ab-test")).await?;
            ns.has_condition("ab-test", "ResolvedRefs", "True", "ResolvedRefs", &[]).await?;
            ns.programmed("ab-test").await?;
            let tally = client.run(&firefox).await?;
            ensure!((tally.of("website-v2"), tally.failed) == (50, 0), "{text}: Firefox: {tally}");
            for (name, plan) in &others {
                let tally = client.run(plan).await?;
                ensure!((tally.of("root"), tally.failed) == (50, 0), "{text}: {name}: {tally}");
            }
            delete(ns, &manifests).await?;
        }
        Ok(())
    });
}
