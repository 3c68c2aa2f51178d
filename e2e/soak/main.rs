//! Hours of a mesh in minutes: traffic of all kinds while pods and splits come and go. Whatever grows, shows. `make soak` runs it.

mod course;

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    harness::{Node, Operator, Process, RunningLoad, TestClient, TestNamespace},
    load::{Plan, Protocol},
    run_alone,
};

use course::{Course, Watched};

/// Minutes unless the environment variable `MINUTES` says otherwise.
const MINUTES: f64 = 20.0;
/// Time between two looks at the processes.
const LOOK: Duration = Duration::from_secs(5);
/// Looks between two splits, and between two pods.
const SPLIT_EVERY: u32 = 2;
const POD_EVERY: u32 = 6;
/// Life of certificates in seconds: several renewals belong to the traffic.
const CERTIFICATE_LIFE: &str = "120";

async fn loads(client: &TestClient) -> Result<Vec<RunningLoad>> {
    let mut loads = Vec::new();
    for (url, protocol, rate) in [
        ("http://web:8080/", Protocol::Http1, 60.0),
        ("http://web:8080/", Protocol::H2, 60.0),
        ("http://web:8080", Protocol::Grpc, 30.0),
        ("http://web:8080", Protocol::GrpcStream, 30.0),
        ("web:9090", Protocol::Tcp, 20.0),
        ("web:3306", Protocol::TcpServerFirst, 20.0),
    ] {
        loads.push(client.start(&Plan::new(url).protocol(protocol).rate(rate).connections(2)).await?);
    }
    loads.push(
        client
            .start(
                &Plan { method: "POST".to_owned(), body: "x".repeat(200_000), ..Plan::new("http://web:8080/echo") }
                    .rate(2.0),
            )
            .await?,
    );
    Ok(loads)
}

/// One change: the weights now and then, a pod more rarely.
async fn churn(ns: &TestNamespace, round: u32) -> Result<()> {
    if round.is_multiple_of(SPLIT_EVERY) {
        let weight = round / SPLIT_EVERY % 5;
        ns.split("web", "web").backend("v1", 5).backend("v2", weight).apply().await?;
    }
    if round.is_multiple_of(POD_EVERY) {
        ns.server("v2").annotation("e2e/round", &round.to_string()).apply().await?;
    }
    Ok(())
}

#[test]
fn of_mixed_traffic_and_churn_grows_nothing_and_fails_no_request() {
    let Some(_node) = Node::local() else { return };
    let minutes = std::env::var("MINUTES").ok().and_then(|text| text.parse().ok()).unwrap_or(MINUTES);
    run_alone("soak", async |ns| {
        Operator::of(&ns.cluster)
            .with_variables(&[("WEFT_CERTIFICATE_LIFE", CERTIFICATE_LIFE)], async || {
                Box::pin(soak(ns, Duration::from_secs_f64(minutes * 60.0))).await
            })
            .await
    });
}

async fn soak(ns: &TestNamespace, time: Duration) -> Result<()> {
    let client = ns.web(&["v1", "v2"]).await?;
    let server = ns.running_pod("v1").await?;
    let operator = Operator::of(&ns.cluster).pod().await?;
    let watched = [
        Watched::new("client's sidecar", Process::of(&client.pod, "weft-proxy")?),
        Watched::new("server's sidecar", Process::of(&server, "weft-proxy")?),
        Watched::new("operator", Process::of(&operator, "weft-operator")?),
    ];
    let loads = loads(&client).await?;
    let mut course = Course::new(watched);
    let mut looks = tokio::time::interval(LOOK);
    let mut round = 0;
    while course.elapsed() < time {
        looks.tick().await;
        course.look()?;
        round += 1;
        churn(ns, round).await?;
        if round % 12 == 0 {
            println!("{}", course.latest());
        }
    }
    ns.rolled_out("v2").await?;
    let (mut sent, mut failures) = (0, Vec::new());
    for load in loads {
        let tally = load.stop().await?;
        sent += tally.sent;
        if tally.failed > 0 {
            failures.push(tally.to_string());
        }
    }
    println!("{sent} requests\n{}", course.summary());
    ensure!(failures.is_empty(), "{failures:#?}");
    course.has_grown_by_less_than(0.05)
}
