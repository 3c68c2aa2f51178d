//! Endpoints that fail again and again: left out for a while, then tried with one request. Pure: the time is an argument.

use std::time::Duration;

/// Failures in a row after which an endpoint is ejected. Fewer happen to any endpoint that restarts.
const FAILURES: u32 = 5;
/// Time for which an endpoint is ejected first. It doubles with each ejection after that.
pub(crate) const BASE: Duration = Duration::from_secs(5);
/// Longest time for which an endpoint is ejected, and time in service after which earlier ejections are forgotten.
pub(crate) const LONGEST: Duration = Duration::from_secs(300);

/// What an endpoint's requests have come to. Times are since any one moment in the past.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    /// In a row.
    failures: u32,
    ejections: u32,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// Never ejected.
    #[default]
    Fresh,
    /// In service again.
    Back { since: Duration },
    /// Left out.
    Ejected { until: Duration },
    /// One request is on its way to find out. When nothing was heard of it until then, there may be another.
    Probed { until: Duration },
}

/// Whether an endpoint may be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Like any other.
    InService,
    /// Until this time it is not.
    Ejected(Duration),
    /// By one request, which has to say so first.
    Probe,
}

impl Record {
    /// Whether the endpoint may be asked at `now`.
    pub(crate) fn standing(&self, now: Duration) -> Standing {
        match self.state {
            State::Fresh | State::Back { .. } => Standing::InService,
            State::Ejected { until } | State::Probed { until } if now < until => Standing::Ejected(until),
            State::Ejected { .. } | State::Probed { .. } => Standing::Probe,
        }
    }

    /// A request failed at `now`.
    pub(crate) fn fail(&mut self, now: Duration) {
        match self.state {
            // Requests from before the ejection, and those of the floor, say nothing new.
            State::Ejected { until } if now < until => {}
            State::Ejected { .. } | State::Probed { .. } => self.eject(now),
            State::Fresh | State::Back { .. } => {
                self.failures += 1;
                if self.failures >= FAILURES {
                    if let State::Back { since } = self.state
                        && now.saturating_sub(since) >= LONGEST
                    {
                        self.ejections = 0;
                    }
                    self.eject(now);
                }
            }
        }
    }

    fn eject(&mut self, now: Duration) {
        let time = BASE.saturating_mul(1 << self.ejections.min(16)).min(LONGEST);
        self.failures = 0;
        self.ejections += 1;
        self.state = State::Ejected { until: now + time };
    }

    /// A request succeeded at `now`.
    pub(crate) fn succeed(&mut self, now: Duration) {
        self.failures = 0;
        if matches!(self.state, State::Probed { .. }) {
            self.state = State::Back { since: now };
        }
    }

    /// Whether the caller's request is the one that may be sent to an ejected endpoint whose time has come.
    pub(crate) fn probe(&mut self, now: Duration) -> bool {
        let due = self.standing(now) == Standing::Probe;
        if due {
            self.state = State::Probed { until: now + BASE };
        }
        due
    }
}

/// Whether each of a backend's endpoints is left out, which at most half of them are: those whose time is longest. With fewer the
/// rest would bear too much, and it is likelier then that something common to all is wrong.
pub(crate) fn left_out(standings: &[Standing]) -> Vec<bool> {
    let mut ejected: Vec<(Duration, usize)> = standings
        .iter()
        .enumerate()
        .filter_map(|(index, standing)| match standing {
            Standing::Ejected(until) => Some((*until, index)),
            Standing::InService | Standing::Probe => None,
        })
        .collect();
    ejected.sort_unstable_by(|a, b| b.cmp(a));
    let mut out = vec![false; standings.len()];
    for (_, index) in ejected.iter().take(standings.len() / 2) {
        out[*index] = true;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[derive(Debug, Clone, Copy)]
    enum Event {
        Fail,
        Succeed,
        /// Whether it was granted.
        Probe(bool),
    }
    use Event::{Fail, Probe, Succeed};

    #[test]
    fn ejects_for_longer_each_time_and_takes_back_after_a_probe() {
        let many = |event: Event, seconds: u64, count: usize| vec![(seconds, event); count];
        for (name, events, now, want) in [
            ("nothing", vec![], 0, Standing::InService),
            ("four", many(Fail, 1, 4), 1, Standing::InService),
            ("five", many(Fail, 1, 5), 1, Standing::Ejected(at(6))),
            (
                "not in a row",
                [many(Fail, 1, 4), many(Succeed, 1, 1), many(Fail, 1, 4)].concat(),
                1,
                Standing::InService,
            ),
            ("its time is over", many(Fail, 1, 5), 6, Standing::Probe),
            ("failures from before", many(Fail, 1, 50), 1, Standing::Ejected(at(6))),
            ("a success from before", [many(Fail, 1, 5), many(Succeed, 2, 1)].concat(), 2, Standing::Ejected(at(6))),
            ("too early", [many(Fail, 1, 5), many(Probe(false), 5, 1)].concat(), 6, Standing::Probe),
            (
                "probed",
                [many(Fail, 1, 5), vec![(7, Probe(true)), (8, Probe(false))]].concat(),
                8,
                Standing::Ejected(at(12)),
            ),
            ("no word of it", [many(Fail, 1, 5), vec![(7, Probe(true))]].concat(), 12, Standing::Probe),
            ("back", [many(Fail, 1, 5), vec![(7, Probe(true)), (8, Succeed)]].concat(), 8, Standing::InService),
            ("twice", [many(Fail, 1, 5), vec![(7, Probe(true)), (8, Fail)]].concat(), 8, Standing::Ejected(at(18))),
            (
                "three times",
                [many(Fail, 1, 5), vec![(7, Probe(true)), (8, Fail), (18, Probe(true)), (19, Fail)]].concat(),
                19,
                Standing::Ejected(at(39)),
            ),
            (
                "soon after it was back",
                [many(Fail, 1, 5), vec![(7, Probe(true)), (8, Succeed)], many(Fail, 307, 5)].concat(),
                307,
                Standing::Ejected(at(317)),
            ),
            (
                "long after it was back",
                [many(Fail, 1, 5), vec![(7, Probe(true)), (8, Succeed)], many(Fail, 308, 5)].concat(),
                308,
                Standing::Ejected(at(313)),
            ),
        ] {
            let mut record = Record::default();
            for (seconds, event) in events {
                match event {
                    Fail => record.fail(at(seconds)),
                    Succeed => record.succeed(at(seconds)),
                    Probe(granted) => assert_eq!(record.probe(at(seconds)), granted, "{name}"),
                }
            }
            assert_eq!(record.standing(at(now)), want, "{name}");
        }
    }

    #[test]
    fn never_ejects_for_longer_than_the_longest() {
        let mut record = Record::default();
        let mut now = at(0);
        (0..FAILURES).for_each(|_| record.fail(now));
        let mut times = Vec::new();
        for _ in 0..40 {
            let Standing::Ejected(until) = record.standing(now) else { panic!("in service at {now:?}") };
            times.push((until - now).as_secs());
            now = until;
            assert!(record.probe(now));
            record.fail(now);
        }
        assert_eq!(times[..8], [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(times.last(), Some(&300));
    }

    #[test]
    fn leaves_out_half_at_most() {
        let (serving, probe) = (Standing::InService, Standing::Probe);
        let ejected = |seconds| Standing::Ejected(at(seconds));
        for (name, standings, want) in [
            ("nobody", vec![], vec![]),
            ("alone", vec![ejected(9)], vec![false]),
            ("one of two", vec![serving, ejected(9)], vec![false, true]),
            ("two of two", vec![ejected(8), ejected(9)], vec![false, true]),
            ("two of three", vec![ejected(8), serving, ejected(9)], vec![false, false, true]),
            ("two of four", vec![ejected(8), serving, ejected(9), serving], vec![true, false, true, false]),
            ("all of four", vec![ejected(6), ejected(9), ejected(7), ejected(8)], vec![false, true, false, true]),
            ("one to be probed", vec![probe, ejected(9), serving], vec![false, true, false]),
        ] {
            assert_eq!(left_out(&standings), want, "{name}");
        }
    }
}
