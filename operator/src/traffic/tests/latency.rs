//! Bounds, percentiles and the laws of merging.

use std::time::Duration;

use proptest::prelude::*;

use crate::traffic::{Histogram, Totals, latency_bounds};

fn histogram(counts: &[(usize, u64)]) -> Histogram {
    let mut buckets = vec![0; latency_bounds().len() + 1];
    for (index, count) in counts {
        buckets[*index] = *count;
    }
    Histogram::from_buckets(buckets).unwrap()
}

#[test]
fn bounds_ascend_by_ten_percent() {
    let bounds = latency_bounds();
    assert_eq!(bounds.first(), Some(&100));
    assert_eq!(bounds.last(), Some(&60_000_000));
    for pair in bounds.windows(2) {
        let [lower, upper] = pair else { panic!("windows of two") };
        assert!(lower < upper, "{lower} {upper}");
        assert!(upper * 10 <= lower * 11 + 10, "{upper} is more than 10 % above {lower}");
    }
}

#[test]
fn percentiles() {
    let last = latency_bounds().len();
    let table: [(&str, Histogram, f64, Option<u64>); 9] = [
        ("no histogram", Histogram::default(), 0.5, None),
        ("empty", histogram(&[]), 0.5, None),
        ("half of the first bucket", histogram(&[(0, 10)]), 0.5, Some(50)),
        ("whole first bucket", histogram(&[(0, 10)]), 1.0, Some(100)),
        ("nine tenths between 100 and 110", histogram(&[(1, 10)]), 0.9, Some(109)),
        ("at the border of two buckets", histogram(&[(0, 5), (1, 5)]), 0.5, Some(100)),
        ("empty buckets between", histogram(&[(0, 50), (20, 50)]), 0.99, Some(latency_bounds()[20] - 1)),
        ("beyond the last bound", histogram(&[(last, 3)]), 0.5, Some(60_000_000)),
        ("one request", histogram(&[(1, 1)]), 0.99, Some(110)),
    ];
    for (name, histogram, quantile, want) in table {
        let got = histogram.percentile(quantile);
        let near = match (got, want) {
            // A bucket of the seventh millisecond is wide; the table names its upper end.
            (Some(got), Some(want)) => {
                got.abs_diff(Duration::from_micros(want)) <= Duration::from_micros(want / 50 + 1)
            }
            (got, want) => got.is_none() && want.is_none(),
        };
        assert!(near, "{name}: {got:?}");
    }
}

#[test]
fn only_the_announced_number_of_buckets_is_taken() {
    let right = latency_bounds().len() + 1;
    for (name, buckets, taken) in
        [("none", 0, true), ("right", right, true), ("fewer", right - 1, false), ("more", right + 1, false)]
    {
        assert_eq!(Histogram::from_buckets(vec![1; buckets]).is_some(), taken, "{name}");
    }
}

prop_compose! {
    fn totals()(
        counts in prop::array::uniform8(0..1_u64 << 40),
        buckets in prop::option::of(prop::collection::vec(0..1_u64 << 40, latency_bounds().len() + 1)),
    ) -> Totals {
        let [success, failure, ok, error, opened, closed, received, sent] = counts;
        Totals {
            success,
            failure,
            status_classes: [0, 0, ok, 0, 0, error],
            latency: Histogram::from_buckets(buckets.unwrap_or_default()).unwrap(),
            latency_sum: Duration::from_micros(success),
            tcp_opened: opened,
            tcp_closed: closed,
            tcp_received_bytes: received,
            tcp_sent_bytes: sent,
        }
    }
}

fn sum(parts: &[&Totals]) -> Totals {
    let mut sum = Totals::default();
    for part in parts {
        sum.merge(part);
    }
    sum
}

proptest! {
    #[test]
    fn merging_is_associative_and_commutative(a in totals(), b in totals(), c in totals()) {
        prop_assert_eq!(sum(&[&sum(&[&a, &b]), &c]), sum(&[&a, &sum(&[&b, &c])]));
        prop_assert_eq!(sum(&[&a, &b]), sum(&[&b, &a]));
    }

    #[test]
    fn merging_loses_nothing(a in totals(), b in totals()) {
        let both = sum(&[&a, &b]);
        prop_assert_eq!(both.requests(), a.requests() + b.requests());
        prop_assert_eq!(both.latency.count(), a.latency.count() + b.latency.count());
        prop_assert_eq!(both.latency_sum, a.latency_sum + b.latency_sum);
        prop_assert_eq!(both.since(&a).requests(), b.requests());
        prop_assert_eq!(both.since(&a).latency.count(), b.latency.count());
    }

    #[test]
    fn a_percentile_is_within_ten_percent(micros in prop::collection::vec(100_u64..60_000_000, 1..200), quantile in 0.01_f64..1.0) {
        let mut buckets = vec![0; latency_bounds().len() + 1];
        let mut micros = micros;
        micros.sort_unstable();
        for latency in &micros {
            buckets[latency_bounds().partition_point(|bound| bound < latency)] += 1;
        }
        let got = Histogram::from_buckets(buckets).unwrap().percentile(quantile).unwrap().as_micros() as f64;
        let rank = ((quantile * micros.len() as f64).ceil() as usize).clamp(1, micros.len());
        let exact = micros[rank - 1] as f64;
        prop_assert!((got - exact).abs() <= exact * 0.1 + 2.0, "{} instead of {}", got, exact);
    }
}
