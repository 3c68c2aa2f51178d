//! What handshakes and ciphers of the mesh cost with `ring` and with `aws-lc-rs`, one after the other in each round: `make bench-tls`.

mod certificates;
mod pair;

use std::{
    env,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use nix::time::{ClockId, clock_gettime};
use rustls::{
    CipherSuite, NamedGroup,
    crypto::{CryptoProvider, aws_lc_rs, ring},
};

use certificates::{Member, member};
use pair::{Ends, RECORD};

/// What both providers do, in one round of each.
enum Work {
    Handshakes { member: Member, group: NamedGroup },
    Bulk { member: Member, cipher: CipherSuite },
}

struct Row {
    name: &'static str,
    work: Work,
    /// By provider and round: wall and CPU time.
    ring: Vec<(Duration, Duration)>,
    aws: Vec<(Duration, Duration)>,
}

struct Amounts {
    rounds: usize,
    handshakes: usize,
    megabytes: usize,
}

fn main() -> Result<()> {
    let amounts = Amounts {
        rounds: setting("ROUNDS", 9)?,
        handshakes: setting("HANDSHAKES", 500)?,
        megabytes: setting("MEGABYTES", 256)?,
    };
    let mut rows = rows()?;
    for round in 0..=amounts.rounds {
        for row in &mut rows {
            let ring = |row: &Row| run(ring::default_provider(), &row.work, &amounts);
            let aws = |row: &Row| run(aws_lc_rs::default_provider(), &row.work, &amounts);
            // Another is the first in every round.
            let (ring, aws) = if round % 2 == 0 {
                let ring = ring(row)?;
                (ring, aws(row)?)
            } else {
                let aws = aws(row)?;
                (ring(row)?, aws)
            };
            // Round 0 warms caches and clocks.
            if round > 0 {
                row.ring.extend(ring);
                row.aws.extend(aws);
            }
        }
    }
    print(&rows, &amounts);
    Ok(())
}

fn setting(name: &str, default: usize) -> Result<usize> {
    match env::var(name) {
        Ok(text) => text.parse().with_context(|| format!("{name}={text} is no number")),
        Err(_unset) => Ok(default),
    }
}

fn rows() -> Result<Vec<Row>> {
    let row = |name, work| Row { name, work, ring: Vec::new(), aws: Vec::new() };
    let handshakes =
        |is_brought, group| Ok::<_, anyhow::Error>(Work::Handshakes { member: member(is_brought)?, group });
    let bulk = |cipher| Ok::<_, anyhow::Error>(Work::Bulk { member: member(false)?, cipher });
    Ok(vec![
        row("handshake, X25519, issuer made by the operator", handshakes(false, NamedGroup::X25519)?),
        row("handshake, X25519, brought issuer below a root", handshakes(true, NamedGroup::X25519)?),
        row("handshake, P-256, issuer made by the operator", handshakes(false, NamedGroup::secp256r1)?),
        row("handshake, X25519MLKEM768, issuer made by the operator", handshakes(false, NamedGroup::X25519MLKEM768)?),
        row("AES-128-GCM", bulk(CipherSuite::TLS13_AES_128_GCM_SHA256)?),
        row("AES-256-GCM", bulk(CipherSuite::TLS13_AES_256_GCM_SHA384)?),
        row("CHACHA20-POLY1305", bulk(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256)?),
    ])
}

/// How long it takes; `None` when the provider cannot do it.
fn run(mut provider: CryptoProvider, work: &Work, amounts: &Amounts) -> Result<Option<(Duration, Duration)>> {
    match work {
        Work::Handshakes { member, group } => {
            provider.kx_groups.retain(|known| known.name() == *group);
            if provider.kx_groups.is_empty() {
                return Ok(None);
            }
            let ends = Ends::new(provider, member)?;
            timed(|| (0..amounts.handshakes).try_for_each(|_| ends.connect().map(drop))).map(Some)
        }
        Work::Bulk { member, cipher } => {
            provider.cipher_suites.retain(|known| known.suite() == *cipher);
            let mut pair = Ends::new(provider, member)?.connect()?;
            let used = pair.client.negotiated_cipher_suite().map(|suite| suite.suite());
            ensure!(used == Some(*cipher), "{used:?} instead of {cipher:?}");
            timed(|| pair.send(amounts.megabytes * 1_000_000 / RECORD)).map(Some)
        }
    }
}

/// Wall and CPU time of `work`.
fn timed(work: impl FnOnce() -> Result<()>) -> Result<(Duration, Duration)> {
    let cpu = || clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map(Duration::from);
    let (began, cpu_began) = (Instant::now(), cpu()?);
    work()?;
    Ok((began.elapsed(), cpu()? - cpu_began))
}

fn print(rows: &[Row], amounts: &Amounts) {
    println!("Both ends in one thread, medians of {} rounds.\n", amounts.rounds);
    println!("| {:<54} | {:>17} | {:>9} | {:>10} | {:>16} |", "", "unit", "ring", "aws-lc-rs", "aws-lc-rs / ring");
    println!("|---|---|---|---|---|");
    for row in rows {
        let (ring, aws) = (median(&row.ring), median(&row.aws));
        match row.work {
            Work::Handshakes { .. } => {
                let count = amounts.handshakes as f64;
                line(row.name, "handshakes/s", ring.map(|it| count / it.0), aws.map(|it| count / it.0), 0);
                let cost = |it: (f64, f64)| it.1 * 1000.0 / count;
                line(row.name, "CPU s for 1000", ring.map(cost), aws.map(cost), 3);
            }
            Work::Bulk { .. } => {
                let rate = |it: (f64, f64)| (amounts.megabytes * 1_000_000 / RECORD * RECORD) as f64 / 1e6 / it.1;
                line(row.name, "MB for a CPU s", ring.map(rate), aws.map(rate), 0);
            }
        }
    }
}

fn line(name: &str, unit: &str, ring: Option<f64>, aws: Option<f64>, digits: usize) {
    let number = |value: Option<f64>, digits| value.map_or(String::new(), |value| format!("{value:.digits$}"));
    let ratio = ring.zip(aws).map(|(ring, aws)| aws / ring);
    let (ring, aws, ratio) = (number(ring, digits), number(aws, digits), number(ratio, 2));
    println!("| {name:<54} | {unit:>17} | {ring:>9} | {aws:>10} | {ratio:>16} |");
}

/// Wall and CPU time of the median round, in seconds each.
fn median(rounds: &[(Duration, Duration)]) -> Option<(f64, f64)> {
    let middle = |pick: fn(&(Duration, Duration)) -> Duration| {
        let mut times: Vec<_> = rounds.iter().map(pick).collect();
        times.sort();
        times.get(times.len() / 2).map(Duration::as_secs_f64)
    };
    middle(|round| round.0).zip(middle(|round| round.1))
}
