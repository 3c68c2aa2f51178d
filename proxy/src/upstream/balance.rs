//! Which endpoint of a backend is asked.

use std::{net::SocketAddr, sync::Arc};

use super::chance;
use crate::policy::{Seat, Standing, left_out};

/// The less busy of two random endpoints that are not among `tried`; `None` when there is no other. One that failed a moment ago
/// is taken only when all others did, too; one that was ejected, when its time has come or there is no other.
///
/// Two choices keep the busiest endpoint within a constant of the average, and need no look at all the others (Mitzenmacher,
/// "The Power of Two Choices in Randomized Load Balancing").
pub(crate) fn least_loaded<'a>(seats: &'a [Arc<Seat>], tried: &[SocketAddr]) -> Option<&'a Arc<Seat>> {
    if tried.is_empty() {
        let seat = of_two(seats.len(), |index| &seats[index])?;
        if !seat.load.has_failed() && seat.load.standing() == Standing::InService {
            return Some(seat);
        }
    }
    let is_left = |seat: &Arc<Seat>| !tried.contains(&seat.endpoint.address);
    let standings: Vec<Standing> = seats.iter().map(|seat| seat.load.standing()).collect();
    for (seat, standing) in seats.iter().zip(&standings) {
        if *standing == Standing::Probe && is_left(seat) && seat.load.probe() {
            return Some(seat);
        }
    }
    let left_out = left_out(&standings);
    let mut left: Vec<&Arc<Seat>> =
        seats.iter().zip(&left_out).filter(|(seat, out)| is_left(seat) && !**out).map(|(seat, _)| seat).collect();
    if left.is_empty() {
        left = seats.iter().filter(|seat| is_left(seat)).collect();
    }
    if left.iter().any(|seat| !seat.load.has_failed()) {
        left.retain(|seat| !seat.load.has_failed());
    }
    of_two(left.len(), |index| left[index])
}

fn of_two<'a>(count: usize, seat: impl Fn(usize) -> &'a Arc<Seat>) -> Option<&'a Arc<Seat>> {
    let end = u32::try_from(count).unwrap_or(u32::MAX);
    match end {
        0 => None,
        1 => Some(seat(0)),
        _ => {
            let first = chance::below(end);
            // A step of 1 to end - 1 never leads back to the first.
            let second = (first + 1 + chance::below(end - 1)) % end;
            let (first, second) = (seat(first as usize), seat(second as usize));
            Some(if second.load.get() < first.load.get() { second } else { first })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use super::*;
    use crate::policy::{Endpoint, live::Load};

    fn seats(loads: &[usize]) -> (Vec<Arc<Seat>>, Vec<crate::policy::Occupied>) {
        let mut busy = Vec::new();
        let seats = loads.iter().enumerate().map(|(index, requests)| {
            let load = Arc::new(Load::default());
            busy.extend((0..*requests).map(|_| load.occupy()));
            let address = SocketAddr::from(([10, 0, 0, 1], 1 + index as u16));
            let endpoint = Endpoint { address, workload: None, pod: "".into(), identity: None };
            Arc::new(Seat { endpoint, load, edge: OnceLock::new() })
        });
        (seats.collect(), busy)
    }

    fn ports(seats: &[Arc<Seat>], tried: &[u16]) -> Vec<u16> {
        let tried: Vec<_> = tried.iter().map(|port| SocketAddr::from(([10, 0, 0, 1], *port))).collect();
        let mut ports: Vec<u16> =
            (0..500).filter_map(|_| least_loaded(seats, &tried)).map(|seat| seat.endpoint.address.port()).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    #[test]
    fn takes_one_that_failed_only_when_there_is_no_other() {
        for (name, loads, failed, tried, want) in [
            ("one", &[0, 3, 3][..], &[0][..], &[][..], &[2, 3][..]),
            ("two", &[0, 3, 0], &[0, 2], &[], &[2]),
            ("all", &[0, 0, 0], &[0, 1, 2], &[], &[1, 2, 3]),
            ("all that were not tried", &[0, 0, 0], &[0, 2], &[2], &[1, 3]),
        ] {
            let (seats, _busy) = seats(loads);
            for index in failed {
                seats[*index].load.refuse();
            }
            assert_eq!(ports(&seats, tried), want, "{name}");
        }
    }

    #[test]
    fn takes_one_that_was_ejected_only_when_too_few_are_left() {
        for (name, loads, ejected, tried, want) in [
            ("one", &[0, 3, 3][..], &[0][..], &[][..], &[2, 3][..]),
            ("more than half", &[0, 0, 0], &[0, 1], &[], &[1, 2, 3]),
            ("alone", &[0], &[0], &[], &[1]),
            ("all others tried", &[0, 0], &[0], &[2], &[1]),
        ] {
            let (seats, _busy) = seats(loads);
            for index in ejected {
                (0..5).for_each(|_| seats[*index].load.fail());
            }
            let found = ports(&seats, tried);
            if name == "more than half" {
                // Which of the two was ejected last, and stays away, is a matter of nanoseconds.
                assert_eq!(found.len(), 2, "{name}: {found:?}");
                assert!(found.contains(&3), "{name}: {found:?}");
            } else {
                assert_eq!(found, want, "{name}");
            }
        }
    }

    #[test]
    fn a_success_has_failures_forgotten() {
        let (seats, _busy) = seats(&[0, 3, 3]);
        for _ in 0..4 {
            (0..4).for_each(|_| seats[0].load.fail());
            seats[0].load.succeed();
        }
        assert_eq!(ports(&seats, &[]), [1, 2, 3]);
    }

    #[test]
    fn takes_the_less_busy_of_two() {
        for (name, loads, tried, want) in [
            ("nobody", &[][..], &[][..], &[][..]),
            ("alone", &[9], &[], &[1]),
            ("the only other", &[9, 0], &[], &[2]),
            ("all alike", &[1, 1, 1], &[], &[1, 2, 3]),
            ("the busiest never", &[0, 5, 0], &[], &[1, 3]),
            ("one tried", &[0, 5, 0], &[3], &[1]),
            ("two tried", &[0, 5, 0], &[1, 3], &[2]),
            ("all tried", &[0, 5, 0], &[1, 2, 3], &[]),
        ] {
            let (seats, _busy) = seats(loads);
            assert_eq!(ports(&seats, tried), want, "{name}");
        }
    }
}
