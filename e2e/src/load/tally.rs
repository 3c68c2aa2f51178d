//! What came back.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::{Answer, Failure, Latency};

/// Counts of a load so far, or since a mark.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tally {
    /// Requests that got an answer or failed; what is in flight does not count.
    pub sent: u64,
    /// Requests with a successful answer.
    pub ok: u64,
    /// All others.
    pub failed: u64,
    /// Successful answers by who gave them.
    pub by_name: BTreeMap<String, u64>,
    /// HTTP answers by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Failures by their text.
    pub errors: BTreeMap<String, u64>,
    /// Text of the first failure, with the second of the load at which it came.
    pub first_failure: Option<String>,
    /// Time from the start to the end, or until now.
    pub seconds: f64,
    /// How long ago each answered last, in milliseconds: clocks of different machines need not agree.
    pub last_answer_milliseconds_ago: BTreeMap<String, u64>,
    /// How long successful answers took.
    pub latency: Latency,
}

impl Tally {
    /// Successful answers of `name`.
    #[must_use]
    pub fn of(&self, name: &str) -> u64 {
        self.by_name.get(name).copied().unwrap_or_default()
    }

    /// Counts since `mark` was taken. The first failure stays the first of all.
    #[must_use]
    pub fn since(&self, mark: &Self) -> Self {
        Self {
            sent: self.sent - mark.sent,
            ok: self.ok - mark.ok,
            failed: self.failed - mark.failed,
            by_name: difference(&self.by_name, &mark.by_name),
            statuses: difference(&self.statuses, &mark.statuses),
            errors: difference(&self.errors, &mark.errors),
            first_failure: self.first_failure.clone(),
            seconds: self.seconds - mark.seconds,
            last_answer_milliseconds_ago: self.last_answer_milliseconds_ago.clone(),
            latency: self.latency.since(&mark.latency),
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} sent, {} failed, answered by {:?} in {:.1} s",
            self.sent, self.failed, self.by_name, self.seconds
        )?;
        if let Some(first) = &self.first_failure {
            write!(f, "; first failure: {first}; all: {:?}", self.errors)?;
        }
        Ok(())
    }
}

pub(super) fn difference<K: Ord + Clone>(now: &BTreeMap<K, u64>, then: &BTreeMap<K, u64>) -> BTreeMap<K, u64> {
    now.iter()
        .map(|(key, count)| (key.clone(), count - then.get(key).copied().unwrap_or_default()))
        .filter(|(_, count)| *count > 0)
        .collect()
}

/// The tally of a load that several connections write to.
#[derive(Debug, Clone)]
pub struct SharedTally {
    started: Instant,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    tally: Tally,
    last_answer: BTreeMap<String, Instant>,
    ended: Option<Instant>,
}

impl Default for SharedTally {
    fn default() -> Self {
        Self { started: Instant::now(), state: Arc::default() }
    }
}

impl SharedTally {
    /// Notes the end of one request, which took so long.
    pub fn note(&self, result: Result<Answer, Failure>, took: Duration) {
        let mut state = self.locked();
        state.tally.sent += 1;
        match result {
            Ok(answer) => {
                state.tally.ok += 1;
                state.tally.latency.note(took);
                if let Some(status) = answer.status {
                    *state.tally.statuses.entry(status).or_default() += 1;
                }
                state.last_answer.insert(answer.name.clone(), Instant::now());
                *state.tally.by_name.entry(answer.name).or_default() += 1;
            }
            Err(failure) => {
                state.tally.failed += 1;
                if let Failure::Status { status, .. } = failure {
                    *state.tally.statuses.entry(status).or_default() += 1;
                }
                let text = failure.to_string();
                let seconds = self.started.elapsed().as_secs_f64();
                state.tally.first_failure.get_or_insert_with(|| format!("{text} (at {seconds:.1} s)"));
                *state.tally.errors.entry(text).or_default() += 1;
            }
        }
    }

    /// The clock stops: nothing more will come.
    pub fn end(&self) {
        self.locked().ended.get_or_insert_with(Instant::now);
    }

    /// The counts as they are now.
    #[must_use]
    pub fn now(&self) -> Tally {
        let state = self.locked();
        let milliseconds = |at: &Instant| u64::try_from(at.elapsed().as_millis()).unwrap_or(u64::MAX);
        Tally {
            seconds: (state.ended.unwrap_or_else(Instant::now) - self.started).as_secs_f64(),
            last_answer_milliseconds_ago: state
                .last_answer
                .iter()
                .map(|(name, at)| (name.clone(), milliseconds(at)))
                .collect(),
            ..state.tally.clone()
        }
    }

    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(name: &str) -> Result<Answer, Failure> {
        Ok(Answer { name: name.to_owned(), status: Some(200) })
    }

    #[test]
    fn counts_answers_and_failures_since_a_mark() {
        let tally = SharedTally::default();
        tally.note(answer("v1"), Duration::from_millis(1));
        tally.note(Err(Failure::Status { status: 503, body: "no".to_owned() }), Duration::from_millis(1));
        let mark = tally.now();
        tally.note(answer("v1"), Duration::from_millis(1));
        tally.note(answer("v2"), Duration::from_millis(1));
        tally.end();
        let (all, since) = (tally.now(), tally.now().since(&mark));
        assert_eq!((all.sent, all.ok, all.failed, all.of("v1"), all.of("v2"), all.of("v3")), (4, 3, 1, 2, 1, 0));
        assert_eq!(all.statuses, BTreeMap::from([(200, 3), (503, 1)]));
        assert!(all.first_failure.as_ref().unwrap().starts_with("status 503: no (at "), "{all}");
        assert_eq!((since.sent, since.failed, since.of("v1"), since.of("v2")), (2, 0, 1, 1));
        assert!(since.errors.is_empty(), "{since:?}");
        assert_eq!(all.last_answer_milliseconds_ago.len(), 2);
        assert_eq!(all.seconds, tally.now().seconds, "the clock has stopped");
    }
}
