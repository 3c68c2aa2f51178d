//! Clients that want to wear a sidecar out: its memory stays bounded, and others hardly notice. Needs the local cluster, where the
//! sidecar's process can be looked at.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{Intruder, Node, Process, RunningLoad, addresses, identity},
    intrusion::{Attack, Damage, Method},
    load::Plan,
    run_alone,
};

use crate::WEB;

/// How much of others' latency one attack may make: times what it is without any.
const SLOWER: f64 = 3.0;
/// What a quiet answer takes at least for this purpose: below it a machine that is shared measures its scheduler.
const QUIET: Duration = Duration::from_millis(4);
/// Requests by which a percentile is measured, and how often for each attack: other work on the machine spoils single ones.
const SAMPLES: u64 = 300;
const ROUNDS: usize = 5;
const MIB: u64 = 1 << 20;

/// An attack, and what it may cost.
struct Row {
    method: Method,
    connections: usize,
    /// Steps a second.
    rate: f64,
    /// The most memory that the sidecar may have had.
    memory_bytes: u64,
}

const fn row(method: Method, connections: usize, rate: f64, memory_mib: u64) -> Row {
    Row { method, connections, rate, memory_bytes: memory_mib * MIB }
}

/// Whoever holds the most connections comes last, because memory that was used once stays with the process.
const ROWS: [Row; 11] = [
    row(Method::Slowloris, 500, 500.0, 64),
    row(Method::SlowReader, 100, 500.0, 64),
    row(Method::HalfHandshake, 500, 1.0, 64),
    row(Method::OversizedHeaders, 8, 20.0, 64),
    row(Method::RapidReset, 4, 1000.0, 64),
    row(Method::ContinuationFlood, 4, 1000.0, 64),
    row(Method::SettingsFlood, 4, 1000.0, 64),
    row(Method::PingFlood, 4, 1000.0, 64),
    row(Method::HpackBomb, 4, 20.0, 64),
    // Taken for those of a server that speaks first, so that each takes two descriptors.
    row(Method::Silent, 4_000, 1.0, 128),
    row(Method::Idle, 10_000, 1.0, 256),
];

/// What an attack has cost.
struct Cost {
    method: Method,
    p99: Duration,
    memory_bytes: u64,
    bound_bytes: u64,
    damage: Damage,
}

async fn p99(load: &RunningLoad) -> Result<Duration> {
    let tally = load.more(SAMPLES).await?;
    tally.latency.percentile(0.99).with_context(|| format!("no answers: {tally}"))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

async fn suffer(
    row: &Row,
    intruder: &Intruder,
    address: SocketAddr,
    server_name: &str,
    load: &RunningLoad,
    sidecar: Process,
) -> Result<Cost> {
    sidecar.forget_peak()?;
    let attack = Attack {
        method: row.method,
        address,
        connections: row.connections,
        rate: row.rate,
        server_name: server_name.to_owned(),
    };
    let attack = intruder.attack(&attack).await?;
    eventually(Duration::from_secs(60), &format!("{} connections of {:?}", row.connections, row.method), async || {
        let damage = attack.damage().await?;
        // Those that the server has ended were made as well.
        ensure!(damage.opened >= row.connections as u64, "{damage:?}");
        Ok(())
    })
    .await?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        times.push(p99(load).await?);
    }
    let usage = sidecar.usage()?;
    let damage = attack.stop().await?;
    Ok(Cost {
        method: row.method,
        p99: median(times),
        memory_bytes: usage.peak_bytes,
        bound_bytes: row.memory_bytes,
        damage,
    })
}

#[test]
fn cost_bounded_memory_and_others_hardly_notice() {
    let Some(_node) = Node::local() else { return };
    run_alone("hostile", async |ns| {
        let client = ns.web(&["v1"]).await?;
        let intruder = ns.intruder("intruder").await?;
        let server = ns.running_pod("v1").await?;
        let address = SocketAddr::new(*addresses(&server)?.first().context("no address")?, 8080);
        let server_name = identity(&ns.name, "default")?.server_name();
        let sidecar = Process::of(&server, "weft-proxy")?;
        let load = client.start(&Plan::new(WEB).rate(200.0).connections(4)).await?;
        load.more(SAMPLES).await?;

        let start = sidecar.usage()?;
        let (mut quiet, mut costs) = (vec![p99(&load).await?], Vec::new());
        for row in &ROWS {
            costs.push(suffer(row, &intruder, address, &server_name, &load, sidecar).await?);
            quiet.push(p99(&load).await?);
        }
        let end = sidecar.usage()?;
        let tally = load.stop().await?;

        println!(
            "quiet: p99 {quiet:?}; sidecar {} MiB, at the end {} MiB",
            start.resident_bytes / MIB,
            end.resident_bytes / MIB
        );
        for cost in &costs {
            println!("{:?}: p99 {:?}, {} MiB, {:?}", cost.method, cost.p99, cost.memory_bytes / MIB, cost.damage);
        }
        ensure!(tally.failed == 0, "others' requests failed: {tally}");
        // What was quiet just before and just after: the machine has other work now and then.
        for (cost, around) in costs.iter().zip(quiet.windows(2)) {
            let quiet = around.iter().copied().fold(QUIET, Duration::max);
            let (method, mib) = (cost.method, cost.memory_bytes / MIB);
            ensure!(cost.memory_bytes <= cost.bound_bytes, "{method:?} cost {mib} MiB of {}", cost.bound_bytes / MIB);
            ensure!(cost.p99 <= quiet.mul_f64(SLOWER), "{method:?}: p99 {:?}, quiet {quiet:?}", cost.p99);
        }
        Process::of(&server, "weft-proxy").and_then(|now| {
            ensure!(now == sidecar, "the sidecar was restarted");
            Ok(())
        })
    });
}
