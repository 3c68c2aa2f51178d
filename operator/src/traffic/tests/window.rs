//! What a window contains, told as reports and what is shown at some moment.

use std::time::{Duration, Instant};

use super::{inbound, outbound, report, requests, source};
use crate::traffic::{HORIZON, RecordError, Store};

/// At a moment (seconds): a report of process, uptime and total requests received (`None`: the edge did not change).
type Step = (u64, &'static str, u64, Option<u64>);

fn play(steps: &[Step]) -> (std::sync::Arc<Store>, Instant) {
    let begin = Instant::now();
    let store = Store::new();
    for (at, instance, uptime, total) in steps {
        let edges = total.map(|total| (inbound(), requests(total)));
        let now = begin + Duration::from_secs(*at);
        store.record(&source("web", "web-0"), report(instance, *uptime, edges), true, now).unwrap();
    }
    (store, begin)
}

/// Every five seconds from `from` to `to` (uptimes, equal to the moments), ten requests each.
fn steady(from: u64, to: u64) -> Vec<Step> {
    (from..=to).step_by(5).map(|at| (at, "a", at, Some(at * 2))).collect()
}

fn received(store: &Store, now: Instant) -> u64 {
    let source = source("web", "web-0");
    store.view(now).workload(&source.workload).map_or(0, |traffic| traffic.received.totals.success)
}

#[test]
fn windows() {
    let gap = |length: u64| [steady(0, 100), vec![(100 + length, "a", 100 + length, Some(1000))]].concat();
    let table: [(&str, Vec<Step>, u64, u64); 21] = [
        ("young process counts from zero", vec![(3, "a", 3, Some(7))], 3, 7),
        ("process as old as the window counts from zero", vec![(30, "a", 30, Some(7))], 30, 7),
        ("operator restarted: first report is the baseline", vec![(0, "a", 31, Some(700))], 0, 0),
        ("operator restarted: then only what came", vec![(0, "a", 500, Some(700)), (5, "a", 505, Some(709))], 5, 9),
        ("exactly thirty seconds at five", steady(0, 100), 100, 60),
        ("exactly thirty seconds, first full window", steady(0, 30), 30, 60),
        ("just before the next report", steady(0, 100), 104, 60),
        ("one report lost", steady(0, 100), 110, 60),
        ("silent: ages out by and by", steady(0, 100), 120, 40),
        ("silent: the last of it", steady(0, 100), 135, 10),
        ("silent: gone after the window and two intervals", steady(0, 100), 140, 0),
        ("unchanged edge", vec![(0, "a", 100, Some(5)), (5, "a", 105, Some(8)), (10, "a", 110, None)], 10, 3),
        ("edge appears late", vec![(0, "a", 100, None), (5, "a", 105, Some(4))], 5, 4),
        ("gap shorter than the horizon", gap(38), 138, 800),
        ("gap longer than the horizon: nothing invented", gap(45), 145, 0),
        ("gap, then counting again", [gap(45), vec![(150, "a", 150, Some(1003))]].concat(), 150, 3),
        ("process restarted", vec![(10, "a", 10, Some(20)), (20, "b", 5, Some(3))], 20, 23),
        (
            "process restarted: the old one leaves the window",
            [steady(0, 20), (25..=55).step_by(5).map(|at| (at, "b", at - 22, Some(at - 22))).collect()].concat(),
            55,
            // The new one since its third second; the old one ended 35 seconds ago.
            30,
        ),
        (
            "process restarted: part of the old one is still in",
            [steady(0, 20), vec![(25, "b", 3, Some(1)), (35, "b", 13, Some(6)), (40, "b", 18, Some(9))]].concat(),
            40,
            // The old one's totals at 20 minus those at 10.
            29,
        ),
        (
            "old process reports again after a new one",
            vec![(5, "a", 5, Some(1)), (6, "b", 1, Some(2)), (7, "a", 7, Some(4))],
            7,
            6,
        ),
        (
            "nearest point when the cadence is odd",
            vec![
                (0, "a", 100, Some(0)),
                (7, "a", 107, Some(7)),
                (14, "a", 114, Some(14)),
                (21, "a", 121, Some(21)),
                (28, "a", 128, Some(28)),
                (35, "a", 135, Some(35)),
            ],
            35,
            28,
        ),
    ];
    for (name, steps, at, want) in table {
        let (store, begin) = play(&steps);
        assert_eq!(received(&store, begin + Duration::from_secs(at)), want, "{name}");
    }
}

#[test]
fn nothing_older_than_the_horizon_is_shown_at_any_second() {
    let (store, begin) = play(&steady(0, 100));
    for at in 100..=150 {
        let oldest_shown = 100 - received(&store, begin + Duration::from_secs(at)) / 2;
        assert!(Duration::from_secs(at - oldest_shown) <= HORIZON || oldest_shown == 100, "second {at}");
    }
}

#[test]
fn the_ring_holds_what_the_window_needs_and_no_more() {
    // Forty seconds, and the point that begins them.
    for (name, interval, points) in [
        ("five seconds", 5_000, 9),
        ("a second", 1_000, 41),
        ("the worst there is", 501, 81),
        ("a hundred milliseconds", 100, 46),
    ] {
        let begin = Instant::now();
        let store = Store::new();
        for at in (0..200_000_u64).step_by(interval) {
            let mut report = report("a", 0, [(inbound(), requests(at))]);
            report.uptime = Duration::from_millis(at);
            store.record(&source("web", "web-0"), report, true, begin + Duration::from_millis(at)).unwrap();
        }
        let (instances, kept, history) = store.sizes(&source("web", "web-0").pod).unwrap();
        assert_eq!(instances, 1, "{name}");
        assert!((points - 1..=points).contains(&kept), "{name}: {kept} points");
        assert!(history <= kept, "{name}: {history} totals of one edge");
    }
}

#[test]
fn fast_reports_count_like_slow_ones() {
    let begin = Instant::now();
    let store = Store::new();
    for at in (0..=100_000_u64).step_by(100) {
        let mut report = report("a", 0, [(inbound(), requests(at))]);
        report.uptime = Duration::from_millis(at);
        store.record(&source("web", "web-0"), report, true, begin + Duration::from_millis(at)).unwrap();
    }
    // One request each millisecond; points are at most a second apart.
    let shown = received(&store, begin + Duration::from_secs(100));
    assert!((29_400..=30_600).contains(&shown), "{shown}");
}

#[test]
fn gone_pods_are_forgotten() {
    let begin = Instant::now();
    let store = Store::new();
    store.record(&source("web", "web-0"), report("a", 5, []), true, begin).unwrap();
    store.record(&source("web", "web-1"), report("b", 5, []), true, begin).unwrap();
    assert_eq!(store.pods(), 2);
    for at in (5..=HORIZON.as_secs()).step_by(5) {
        let now = begin + Duration::from_secs(at);
        store.record(&source("web", "web-1"), report("b", 5 + at, []), false, now).unwrap();
    }
    assert_eq!(store.pods(), 1);
}

#[test]
fn restarts_do_not_pile_up() {
    let begin = Instant::now();
    let store = Store::new();
    for (at, instance) in ["a", "b", "c", "d", "e", "f"].into_iter().enumerate() {
        let now = begin + Duration::from_secs(at as u64);
        store.record(&source("web", "web-0"), report(instance, 1, [(inbound(), requests(1))]), true, now).unwrap();
    }
    let (instances, ..) = store.sizes(&source("web", "web-0").pod).unwrap();
    assert_eq!(instances, 4);
}

#[test]
fn refusals() {
    let begin = Instant::now();
    let later = begin + Duration::from_secs(5);
    let store = Store::new();
    let web = source("web", "web-0");
    let edges = [(inbound(), requests(5)), (outbound("catalog", None), requests(5))];
    store.record(&web, report("a", 100, edges.clone()), true, begin).unwrap();

    let younger = store.record(&web, report("a", 99, []), false, later);
    assert!(matches!(younger, Err(RecordError::UptimeShrank { .. })), "{younger:?}");
    let less = store.record(
        &web,
        report("a", 105, [(inbound(), requests(9)), (edges[1].0.clone(), requests(4))]),
        false,
        later,
    );
    assert!(matches!(less, Err(RecordError::TotalsShrank { .. })), "{less:?}");
    assert_eq!(received(&store, later), 0, "a refused report changes nothing");
    let unknown = store.record(&web, report("b", 105, edges), false, later);
    assert!(matches!(unknown, Err(RecordError::Forgotten { .. })), "{unknown:?}");
    assert_eq!(store.recorded(), 1);
}

#[test]
fn a_forgotten_process_must_name_every_edge_again() {
    let begin = Instant::now();
    let store = Store::new();
    let web = source("web", "web-0");
    store.record(&web, report("a", 100, [(inbound(), requests(1000))]), true, begin).unwrap();
    let back = begin + Duration::from_secs(60);
    let delta = store.record(&web, report("a", 160, []), false, back);
    assert!(matches!(delta, Err(RecordError::Forgotten { .. })), "{delta:?}");
    store.record(&web, report("a", 161, [(inbound(), requests(1010))]), true, back).unwrap();
    assert_eq!(received(&store, back), 0);
}
