//! Every protocol passes as it is, and is split: HTTP and gRPC by request, TCP by connection.

use anyhow::{Result, ensure};
use e2e::{
    harness::TestNamespace,
    load::{Plan, Protocol},
    run,
};
use serde_json::json;

async fn is_split_four_to_one(ns: &TestNamespace, url: &str, protocol: Protocol) -> Result<()> {
    let client = ns.web(&["v1", "v2"]).await?;
    ns.split("web", "web").backend("v1", 80).backend("v2", 20).programmed().await?;
    let plan = Plan::new(url).protocol(protocol);
    // The first use of a port asks the operator for it, and until it answers nothing is split.
    e2e::eventually(crate::SPLIT_LIMIT, &format!("{protocol:?} being split"), async || {
        let first = client.run(&plan.clone().requests(20)).await?;
        ensure!(first.failed == 0 && first.of("v1") == 16, "{first}");
        Ok(())
    })
    .await?;
    let tally = client.run(&plan.requests(200)).await?;
    ensure!((tally.of("v1"), tally.of("v2"), tally.failed) == (160, 40, 0), "{protocol:?}: {tally}");
    Ok(())
}

#[test]
fn http2_is_split_by_request() {
    run("h2", async |ns| is_split_four_to_one(ns, "http://web:8080/", Protocol::H2).await);
}

#[test]
fn grpc_is_split_by_call() {
    run("grpc", async |ns| is_split_four_to_one(ns, "http://web:8080", Protocol::Grpc).await);
}

#[test]
fn grpc_streams_are_split_by_stream() {
    run("grpc-stream", async |ns| is_split_four_to_one(ns, "http://web:8080", Protocol::GrpcStream).await);
}

#[test]
fn tcp_is_split_by_connection() {
    run("tcp", async |ns| is_split_four_to_one(ns, "web:9090", Protocol::Tcp).await);
}

#[test]
fn tcp_where_the_server_speaks_first_is_split_by_connection() {
    run("server-first", async |ns| is_split_four_to_one(ns, "web:3306", Protocol::TcpServerFirst).await);
}

#[test]
fn keeps_the_clients_version_of_http_from_end_to_end() {
    run("http-version", async |ns| {
        let client = ns.web(&["v1"]).await?;
        for (protocol, version) in [(Protocol::Http1, "HTTP/1.1"), (Protocol::H2, "HTTP/2.0")] {
            let plan = Plan::new("http://web:8080/").protocol(protocol).requests(5).count_by("version_of_http");
            let tally = client.run(&plan).await?;
            ensure!(tally.of(version) == 5, "{protocol:?} arrived as {tally}");
        }
        Ok(())
    });
}

#[test]
fn what_is_outside_the_mesh_is_reached_untouched() {
    run("outside", async |ns| {
        let client = ns.web(&["v1"]).await?;
        ns.server("plain").label("app", "plain").label("weft.dev/inject", "disabled").rolled_out().await?;
        for (url, protocol) in [
            ("http://plain:8080/", Protocol::Http1),
            ("http://plain:8080/", Protocol::H2),
            ("http://plain:8080", Protocol::Grpc),
            ("plain:9090", Protocol::Tcp),
            ("plain:3306", Protocol::TcpServerFirst),
        ] {
            let tally = client.run(&Plan::new(url).protocol(protocol).requests(10)).await?;
            ensure!((tally.of("plain"), tally.failed) == (10, 0), "{protocol:?}: {tally}");
        }
        Ok(())
    });
}

#[test]
fn callers_outside_the_mesh_reach_what_is_inside() {
    run("from-outside", async |ns| {
        ns.web(&["v1"]).await?;
        ns.client("plain")
            .label("weft.dev/inject", "disabled")
            .pod("automountServiceAccountToken", json!(false))
            .rolled_out()
            .await?;
        let plain = ns.test_client("plain").await?;
        for (url, protocol) in [
            ("http://web:8080/", Protocol::Http1),
            ("http://web:8080", Protocol::Grpc),
            ("web:9090", Protocol::Tcp),
            ("web:3306", Protocol::TcpServerFirst),
        ] {
            let tally = plain.run(&Plan::new(url).protocol(protocol).requests(10)).await?;
            ensure!((tally.of("v1"), tally.failed) == (10, 0), "{protocol:?}: {tally}");
        }
        Ok(())
    });
}
