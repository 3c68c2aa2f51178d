//! Splits that are limited to some requests by HTTPRouteGroups: A/B tests, and what is left to the other splits of a root.

use anyhow::{Result, ensure};
use e2e::{
    eventually,
    harness::{RunningLoad, TestClient},
    load::{Plan, Protocol},
    run,
};
use serde_json::{Value, json};

use crate::{SPLIT_LIMIT, WEB};

const FIREFOX: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:125.0) Gecko/20100101 Firefox/125.0";
const CHROME: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/125.0.0.0 Safari/537.36";
const INSIDER: &str = "theme=dark; type=insider";

fn firefox() -> Value {
    json!([{"name": "firefox", "headers": {"user-agent": ".*Firefox.*"}}])
}

fn insiders() -> Value {
    json!([{"name": "insider", "headers": {"cookie": "^(.*?;)?\\s*(type=insider)(;.*)?$"}}])
}

/// Requests with a header.
fn with(name: &str, value: &str) -> Plan {
    Plan::new(WEB).header(name, value)
}

/// Every request of a plan is answered by `want` and by nobody else.
async fn goes_to(client: &TestClient, plan: &Plan, want: &[(&str, u64)]) -> Result<()> {
    let all: u64 = want.iter().map(|(_, count)| count).sum();
    let tally = client.run(&plan.clone().requests(all)).await?;
    let as_wanted = want.iter().all(|(name, count)| tally.of(name) == *count);
    ensure!(as_wanted && tally.failed == 0, "{plan:?} went to {tally}, not to {want:?}");
    Ok(())
}

/// The same, once what was written is known to the client.
async fn comes_to(client: &TestClient, plan: &Plan, want: &[(&str, u64)]) -> Result<()> {
    eventually(SPLIT_LIMIT, &format!("requests going to {want:?}"), async || goes_to(client, plan, want).await).await
}

#[test]
fn headers_tell_the_two_sides_of_an_a_b_test_apart() {
    run("ab", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.route_group("firefox", firefox()).await?;
        ns.split("all", "web").backend("v1", 1).backend("v2", 0).programmed().await?;
        ns.split("ab", "web").backend("v1", 0).backend("v2", 1).matching("firefox").programmed().await?;
        for protocol in [Protocol::Http1, Protocol::H2] {
            goes_to(&client, &with("user-agent", FIREFOX).protocol(protocol), &[("v2", 40)]).await?;
            goes_to(&client, &with("user-agent", CHROME).protocol(protocol), &[("v1", 40)]).await?;
        }
        goes_to(&client, &Plan::new(WEB), &[("v1", 20)]).await
    });
}

#[test]
fn the_requests_that_match_are_shared_by_weight() {
    run("ab-weights", async |ns| {
        let client = ns.web(&["v1", "v2", "v3"]).await?;
        ns.route_group("insiders", insiders()).await?;
        ns.split("web", "web").backend("v1", 1).programmed().await?;
        ns.split("ab", "web").backend("v2", 70).backend("v3", 30).matching("insiders").programmed().await?;
        goes_to(&client, &with("cookie", INSIDER), &[("v2", 70), ("v3", 30)]).await?;
        goes_to(&client, &with("cookie", "type=outsider"), &[("v1", 50)]).await?;
        ns.split("ab", "web").backend("v2", 0).backend("v3", 0).matching("insiders").apply().await?;
        ns.has_condition("ab", "Accepted", "True", "ZeroWeight", &["web"]).await?;
        eventually(SPLIT_LIMIT, "all of the root's endpoints serving", async || {
            let tally = client.run(&with("cookie", INSIDER).requests(60)).await?;
            ensure!(["v1", "v2", "v3"].iter().all(|name| tally.of(name) > 0) && tally.failed == 0, "{tally}");
            Ok(())
        })
        .await
    });
}

#[test]
fn when_no_route_matches_the_root_services_own_endpoints_serve() {
    run("no-match", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.route_group("firefox", firefox()).await?;
        ns.split("ab", "web").backend("v2", 1).matching("firefox").programmed().await?;
        goes_to(&client, &with("user-agent", FIREFOX), &[("v2", 40)]).await?;
        client.reaches_only(WEB, &["v1", "v2"]).await?;
        Ok(())
    });
}

#[test]
fn several_groups_in_matches_are_merged_and_any_route_is_a_match() {
    run("groups", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.route_group("firefox", firefox()).await?;
        ns.split("all", "web").backend("v1", 1).programmed().await?;
        let ab = ns.split("ab", "web").backend("v2", 1).matching("firefox").matching("insiders");
        ab.apply().await?;
        ns.has_condition("ab", "ResolvedRefs", "False", "RouteGroupNotFound", &["insiders", &ns.name]).await?;
        ns.event("ab", "RouteGroupNotFound", &["insiders"]).await?;
        comes_to(&client, &with("user-agent", FIREFOX), &[("v2", 20)]).await?;
        goes_to(&client, &with("cookie", INSIDER), &[("v1", 20)]).await?;

        // Where one match cannot be read the whole group is out, so that nothing is matched that nobody meant.
        let broken = json!([{"name": "insider", "headers": {"cookie": "type=("}}, {"name": "all"}]);
        let refused = ns.route_group("insiders", broken).await;
        if refused.is_ok() {
            ns.has_condition("ab", "ResolvedRefs", "False", "RouteGroupNotAccepted", &["insiders", "character 6"])
                .await?;
            goes_to(&client, &Plan::new(WEB), &[("v1", 20)]).await?;
        }
        ns.route_group("insiders", insiders()).await?;
        ns.has_condition("ab", "ResolvedRefs", "True", "ResolvedRefs", &[]).await?;
        comes_to(&client, &with("cookie", INSIDER), &[("v2", 20)]).await?;
        goes_to(&client, &with("user-agent", FIREFOX), &[("v2", 20)]).await?;
        goes_to(&client, &Plan::new(WEB), &[("v1", 20)]).await
    });
}

#[test]
fn methods_and_paths_are_matched_however_the_path_is_spelled() {
    run("paths", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        let matches = json!([
            {"name": "writes", "methods": ["POST", "DELETE"], "pathRegex": "/books"},
            {"name": "beta", "pathRegex": "/beta/", "methods": ["*"]},
        ]);
        ns.route_group("routes", matches).await?;
        ns.split("all", "web").backend("v1", 1).programmed().await?;
        ns.split("some", "web").backend("v2", 1).matching("routes").programmed().await?;
        for (method, path, want) in [
            ("GET", "books/1", "v1"),
            ("POST", "books/1", "v2"),
            ("DELETE", "books?id=/beta/", "v2"),
            ("DELETE", "shop/books", "v1"),
            ("GET", "beta/x", "v2"),
            ("PATCH", "beta/x", "v2"),
            ("GET", "%62eta/x", "v2"),
            ("GET", "/beta/x", "v2"),
            ("GET", "x//../beta/x", "v1"),
            ("GET", "x/../beta//x", "v2"),
            ("GET", "beta/../x", "v1"),
            ("GET", "beta%2fx", "v1"),
            ("GET", "x?/beta/", "v1"),
        ] {
            goes_to(&client, &Plan::new(format!("{WEB}{path}")).method(method), &[(want, 4)]).await?;
        }
        Ok(())
    });
}

#[test]
fn splits_with_matches_come_first_oldest_first_then_the_oldest_without() {
    run("ab-canary", async |ns| {
        let client = ns.web(&["v1", "v2", "v3"]).await?;
        ns.route_group("firefox", firefox()).await?;
        ns.route_group("insiders", insiders()).await?;
        // Of the same second the first by name is the older, so the order holds however fast this goes.
        ns.split("a-canary", "web").backend("v1", 90).backend("v2", 10).programmed().await?;
        ns.split("b-insiders", "web").backend("v3", 1).matching("insiders").programmed().await?;
        ns.split("c-firefox", "web").backend("v2", 1).matching("firefox").programmed().await?;
        ns.split("d-loser", "web").backend("v3", 1).apply().await?;
        ns.has_condition("d-loser", "Conflicted", "True", "OlderSplitExists", &["a-canary"]).await?;
        for name in ["a-canary", "b-insiders", "c-firefox"] {
            ns.has_condition(name, "Conflicted", "False", "NoConflict", &[]).await?;
        }
        let both = with("cookie", INSIDER).header("user-agent", FIREFOX);
        goes_to(&client, &both, &[("v3", 20)]).await?;
        goes_to(&client, &with("user-agent", FIREFOX), &[("v2", 20)]).await?;
        goes_to(&client, &Plan::new(WEB), &[("v1", 90), ("v2", 10)]).await?;
        ns.delete_split("b-insiders").await?;
        comes_to(&client, &both, &[("v2", 20)]).await
    });
}

#[test]
fn a_split_with_matches_does_not_apply_to_tcp() {
    run("ab-tcp", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.route_group("everything", json!([{"name": "all"}])).await?;
        ns.split("all", "web").backend("v1", 1).programmed().await?;
        ns.split("ab", "web").backend("v2", 1).matching("everything").programmed().await?;
        goes_to(&client, &Plan::new(WEB), &[("v2", 20)]).await?;
        for (url, protocol) in [("web:9090", Protocol::Tcp), ("web:3306", Protocol::TcpServerFirst)] {
            comes_to(&client, &Plan::new(url).protocol(protocol), &[("v1", 20)]).await?;
        }
        ns.programmed("ab").await?;
        Ok(())
    });
}

/// The next requests of a load are answered by `name` alone.
async fn follows(load: &RunningLoad, name: &str) -> Result<()> {
    eventually(SPLIT_LIMIT, &format!("a load going to {name}"), async || {
        let tally = load.more(20).await?;
        ensure!(tally.of(name) == tally.sent, "{tally}");
        Ok(())
    })
    .await
}

#[test]
fn a_group_edited_deleted_and_restored_under_traffic_fails_no_request() {
    run("group-edits", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.route_group("some", firefox()).await?;
        ns.split("all", "web").backend("v1", 1).programmed().await?;
        ns.split("ab", "web").backend("v2", 1).matching("some").programmed().await?;
        let browser = client.start(&with("user-agent", FIREFOX).rate(200.0)).await?;
        let insider = client.start(&with("cookie", INSIDER).rate(200.0)).await?;
        for _ in 0..5 {
            follows(&browser, "v2").await?;
            follows(&insider, "v1").await?;
            ns.route_group("some", insiders()).await?;
            follows(&browser, "v1").await?;
            follows(&insider, "v2").await?;
            ns.programmed("ab").await?;
            ns.delete_route_group("some").await?;
            follows(&insider, "v1").await?;
            ns.has_condition("ab", "ResolvedRefs", "False", "RouteGroupNotFound", &["some"]).await?;
            ns.route_group("some", firefox()).await?;
        }
        follows(&browser, "v2").await?;
        ns.programmed("ab").await?;
        let sent = [browser.stop_without_failure().await?.sent, insider.stop_without_failure().await?.sent];
        println!("15 changes of the group: {} requests, none failed", sent[0] + sent[1]);
        Ok(())
    });
}
