//! Pure: when which status is written. No object is written more than once a second, all together not faster than the API
//! server likes, and a namespace with thousands of objects does not keep the others waiting.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::verdict::Difference;
use crate::model::ObjectRef;

/// Time in which changes of one object are gathered.
const GATHER: Duration = Duration::from_millis(100);
/// The same while sidecars have still to answer: most answer sooner, and the object is written once.
const ANSWERS: Duration = Duration::from_secs(1);
/// Time between two writes of one object.
const APART: Duration = Duration::from_secs(1);
/// The same if only words differ: a count that trickles in is written when it is complete, or now and then.
const WORDS_APART: Duration = Duration::from_secs(10);
/// Time between two writes in the long run, and how many may come at once before.
const EVERY: Duration = Duration::from_millis(10);
const AT_ONCE: u32 = 50;

/// Objects that wait to be written.
#[derive(Debug)]
pub(super) struct Pace {
    every: Duration,
    /// By namespace: each takes its turn.
    waiting: BTreeMap<String, BTreeSet<(Instant, ObjectRef)>>,
    due: HashMap<ObjectRef, Instant>,
    /// When each was written; forgotten once it does not matter any more.
    last: HashMap<ObjectRef, Instant>,
    /// The namespace whose turn was the last one.
    turn: String,
    /// When the next write would be due if all came evenly.
    even: Option<Instant>,
}

impl Default for Pace {
    fn default() -> Self {
        Self::new(EVERY)
    }
}

impl Pace {
    /// Writes `every` so often in the long run.
    pub(super) fn new(every: Duration) -> Self {
        let (waiting, due, last) = (BTreeMap::new(), HashMap::new(), HashMap::new());
        Self { every, waiting, due, last, turn: String::new(), even: None }
    }

    /// Nothing waits any more.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.every);
    }

    /// An object differs from its status. How long it waits depends on in what; an earlier wish for the same difference is kept.
    pub(super) fn want(&mut self, name: &ObjectRef, difference: Difference, now: Instant) {
        let (gather, apart) = match difference {
            Difference::Words => (ANSWERS, WORDS_APART),
            Difference::Pending => (ANSWERS, APART),
            Difference::Sense => (GATHER, APART),
        };
        let last = self.last.get(name).map(|last| *last + apart);
        let at = (now + gather).max(last.unwrap_or(now));
        let at = self.due.get(name).map_or(at, |due| at.min(*due));
        self.schedule(name, at);
    }

    /// A write has failed.
    pub(super) fn again(&mut self, name: &ObjectRef, at: Instant) {
        self.schedule(name, at);
    }

    /// An object does not differ any more.
    pub(super) fn cancel(&mut self, name: &ObjectRef) {
        if let Some(due) = self.due.remove(name)
            && let Some(waiting) = self.waiting.get_mut(&name.namespace)
        {
            waiting.remove(&(due, name.clone()));
            if waiting.is_empty() {
                self.waiting.remove(&name.namespace);
            }
        }
    }

    /// The object to write now, if any.
    pub(super) fn next(&mut self, now: Instant) -> Option<ObjectRef> {
        let even = self.even.unwrap_or(now);
        if even > now + self.every * AT_ONCE {
            return None;
        }
        let is_due = |(_, waiting): &(&String, &BTreeSet<(Instant, ObjectRef)>)| {
            waiting.first().is_some_and(|(due, _)| *due <= now)
        };
        let after = (std::ops::Bound::Excluded(self.turn.clone()), std::ops::Bound::Unbounded);
        let (namespace, waiting) =
            self.waiting.range(after).find(is_due).or_else(|| self.waiting.iter().find(is_due))?;
        let name = waiting.first().map(|(_, name)| name.clone())?;
        self.turn = namespace.clone();
        self.cancel(&name);
        self.even = Some(even.max(now) + self.every);
        self.last.retain(|_, last| *last + WORDS_APART > now);
        self.last.insert(name.clone(), now);
        Some(name)
    }

    /// When there may be an object to write.
    pub(super) fn wake(&self) -> Option<Instant> {
        let due = self.waiting.values().filter_map(|waiting| waiting.first()).map(|(due, _)| *due).min()?;
        let allowed = self.even.and_then(|even| even.checked_sub(self.every * AT_ONCE));
        Some(allowed.map_or(due, |allowed| allowed.max(due)))
    }

    fn schedule(&mut self, name: &ObjectRef, at: Instant) {
        self.cancel(name);
        self.due.insert(name.clone(), at);
        self.waiting.entry(name.namespace.clone()).or_default().insert((at, name.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SmiKind;

    fn name(namespace: &str, name: &str) -> ObjectRef {
        ObjectRef::new(SmiKind::TrafficSplit, namespace, name)
    }

    /// What is written within `limit`, with the time since `start` in milliseconds.
    fn written(pace: &mut Pace, start: Instant, limit: Duration) -> Vec<(u128, String)> {
        let mut written = Vec::new();
        let mut now = start;
        while let Some(wake) = pace.wake().filter(|wake| *wake <= start + limit) {
            now = now.max(wake);
            while let Some(name) = pace.next(now) {
                written.push(((now - start).as_millis(), format!("{}/{}", name.namespace, name.name)));
            }
        }
        written
    }

    #[test]
    fn waits_as_long_as_it_is_worth() {
        for (case, wishes, want) in [
            ("sense", &[(0, Difference::Sense)][..], 100),
            ("pending", &[(0, Difference::Pending)], 1000),
            ("words", &[(0, Difference::Words)], 1000),
            ("answered in time", &[(0, Difference::Pending), (200, Difference::Sense)], 300),
            ("one more answer does not put it off", &[(0, Difference::Pending), (900, Difference::Pending)], 1000),
        ] {
            let (mut pace, start) = (Pace::default(), Instant::now());
            for (at, difference) in wishes {
                pace.want(&name("shop", "a"), *difference, start + Duration::from_millis(*at));
            }
            assert_eq!(pace.wake(), Some(start + Duration::from_millis(want)), "{case}");
        }
    }

    #[test]
    fn writes_an_object_once_a_second_and_a_count_once_in_ten() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let a = name("shop", "a");
        pace.again(&a, start);
        assert_eq!(pace.next(start), Some(a.clone()));
        pace.want(&a, Difference::Words, start);
        assert_eq!(pace.wake(), Some(start + WORDS_APART), "a count");
        pace.want(&a, Difference::Sense, start);
        assert_eq!(pace.wake(), Some(start + APART), "what it says");
        pace.cancel(&a);
        assert_eq!(pace.wake(), None, "as it was");
        let later = start + WORDS_APART;
        pace.again(&name("shop", "b"), later);
        pace.next(later);
        pace.want(&a, Difference::Words, later);
        assert_eq!(pace.wake(), Some(later + ANSWERS), "long ago");
        assert_eq!(pace.last.len(), 1, "nothing is kept of long ago");
    }

    #[test]
    fn all_together_keep_a_rate() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for number in 0..1000 {
            pace.again(&name("shop", &format!("{number:04}")), start);
        }
        let written = written(&mut pace, start, Duration::from_secs(60));
        assert_eq!(written.len(), 1000);
        let within = |limit: u128| written.iter().filter(|(at, _)| *at <= limit).count();
        assert!((50..=51).contains(&within(0)), "{}", within(0));
        assert!((145..=155).contains(&within(1000)), "{}", within(1000));
        assert!(written.windows(2).all(|pair| pair[0].1 < pair[1].1), "in order");
    }

    #[test]
    fn a_namespace_with_many_does_not_keep_others_waiting() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        for number in 0..1000 {
            pace.again(&name("big", &format!("{number:04}")), start);
        }
        pace.again(&name("small", "a"), start + Duration::from_secs(1));
        let written = written(&mut pace, start, Duration::from_secs(60));
        let (at, _) = written.iter().find(|(_, name)| name == "small/a").unwrap();
        assert!(*at <= 1010, "after {at} ms");
        assert_eq!(written.len(), 1001);
    }
}
