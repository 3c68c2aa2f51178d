//! One process of a proxy: the points its window is the difference of.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::{Duration, Instant},
};

use super::{
    GRACE, HORIZON, WINDOW,
    report::{EdgeKey, Report, has_room},
    store::RecordError,
    totals::Totals,
};
use crate::model::WorkloadRef;

/// A point is replaced by the next one that comes less than this after the point before it, so that a proxy that reports too
/// often has no more points than two for each second.
const MIN_SPACING: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Instance {
    pub(super) name: String,
    pub(super) workload: WorkloadRef,
    newest: Point,
    /// The points before, ascending by uptime.
    earlier: VecDeque<Point>,
    edges: HashMap<EdgeKey, History>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    uptime: Duration,
    received: Instant,
}

/// Totals of one edge at the points where they changed, ascending by uptime.
#[derive(Debug, Default)]
struct History(VecDeque<(Duration, Totals)>);

impl Instance {
    /// A process seen for the first time. One that started within the window began with totals of zero; of an older one
    /// nobody knows when its totals came, so that they are only where counting begins.
    pub(super) fn new(workload: WorkloadRef, report: Report, now: Instant) -> Self {
        let newest = Point { uptime: report.uptime, received: now };
        let mut earlier = VecDeque::new();
        if report.uptime <= WINDOW && !report.uptime.is_zero() {
            earlier.push_back(Point { uptime: Duration::ZERO, received: now });
        }
        let edges =
            report.edges.into_iter().map(|(key, totals)| (key, History([(report.uptime, totals)].into()))).collect();
        Self { name: report.instance, workload, newest, earlier, edges }
    }

    /// Takes the next report of the same process.
    pub(super) fn record(&mut self, report: Report, now: Instant) -> Result<(), RecordError> {
        let known = self.newest.uptime;
        if report.uptime < known {
            return Err(RecordError::UptimeShrank { instance: report.instance, uptime: report.uptime, known });
        }
        let mut added = 0;
        for (key, totals) in &report.edges {
            match self.edges.get(key).and_then(History::last) {
                Some(known) if totals.shrank(known) => {
                    return Err(RecordError::TotalsShrank { instance: report.instance, edge: Box::new(key.clone()) });
                }
                Some(_) => {}
                None => added += 1,
            }
        }
        if added > 0 && !has_room(self.edges.len() + added - 1) {
            return Err(RecordError::TooManyEdges { instance: report.instance, edges: self.edges.len() + added });
        }

        let replaces = self.earlier.back().is_some_and(|before| report.uptime - before.uptime < MIN_SPACING);
        if !replaces {
            self.earlier.push_back(self.newest);
        }
        let settled = self.earlier.back().map(|point| point.uptime);
        self.newest = Point { uptime: report.uptime, received: now };
        for (key, totals) in report.edges {
            match self.edges.entry(key) {
                Entry::Occupied(history) => history.into_mut().push(report.uptime, totals, settled),
                Entry::Vacant(slot) => {
                    slot.insert(History([(report.uptime, totals)].into()));
                }
            }
        }
        self.trim();
        Ok(())
    }

    /// When the newest report came.
    pub(super) fn received(&self) -> Instant {
        self.newest.received
    }

    /// Whether the process has been silent for so long that nothing of it is shown any more.
    pub(super) fn expired(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.received()) >= HORIZON
    }

    /// Traffic of the window, edges without any left out. `end` is when the pod's newest report came, of whatever process.
    pub(super) fn window(&self, end: Instant, now: Instant) -> Vec<(EdgeKey, Totals)> {
        let superseded = end.saturating_duration_since(self.newest.received);
        let silent = now.saturating_duration_since(end).saturating_sub(GRACE);
        // The window ends `overdue` after the newest point, where nothing has been reported.
        let overdue = superseded + silent;
        let Some(covered) = WINDOW.checked_sub(overdue).filter(|covered| !covered.is_zero()) else {
            return Vec::new();
        };
        let age = now.saturating_duration_since(self.newest.received);
        let base = self.base(covered, HORIZON.saturating_sub(age));
        self.edges
            .iter()
            .filter_map(|(key, history)| {
                let traffic = history.since(base);
                (!traffic.is_zero()).then(|| (key.clone(), traffic))
            })
            .collect()
    }

    /// Uptime of the point nearest to `covered` before the newest, the earlier one of two, but none more than `limit` before.
    fn base(&self, covered: Duration, limit: Duration) -> Duration {
        let newest = self.newest.uptime;
        let distance = |uptime: &Duration| (newest - *uptime).abs_diff(covered);
        let earlier = self.earlier.iter().map(|point| point.uptime).filter(|uptime| newest - *uptime <= limit);
        earlier.chain([newest]).min_by_key(distance).unwrap_or(newest)
    }

    fn trim(&mut self) {
        let begin = self.newest.uptime.saturating_sub(HORIZON);
        while self.earlier.front().is_some_and(|point| point.uptime < begin) {
            self.earlier.pop_front();
        }
        let oldest = self.earlier.front().unwrap_or(&self.newest).uptime;
        for history in self.edges.values_mut() {
            history.forget_before(oldest);
        }
    }

    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        (self.earlier.len() + 1, self.edges.values().map(|history| history.0.len()).max().unwrap_or(0))
    }
}

impl History {
    fn last(&self) -> Option<&Totals> {
        self.0.back().map(|(_, totals)| totals)
    }

    /// Totals at the uptime of the newest point. `settled` is the point before: what came after it belongs to a point that
    /// was replaced.
    fn push(&mut self, uptime: Duration, totals: Totals, settled: Option<Duration>) {
        match self.0.back_mut() {
            Some((last, known)) if settled.is_none_or(|settled| *last > settled) => {
                *last = uptime;
                *known = totals;
            }
            Some((_, known)) if *known == totals => {}
            _ => self.0.push_back((uptime, totals)),
        }
    }

    /// What came after the process was `base` old; an edge that was not there then had totals of zero.
    fn since(&self, base: Duration) -> Totals {
        let Some((_, last)) = self.0.back() else {
            return Totals::default();
        };
        match self.0.iter().rev().find(|(uptime, _)| *uptime <= base) {
            Some((_, then)) => last.since(then),
            None => last.clone(),
        }
    }

    /// Keeps one set of totals at or before `oldest`, to subtract.
    fn forget_before(&mut self, oldest: Duration) {
        while self.0.get(1).is_some_and(|(uptime, _)| *uptime <= oldest) {
            self.0.pop_front();
        }
    }
}
