//! Keeps the status of every SMI object true, while this replica leads.
//!
//! Changes are gathered; what they concern is judged, and what differs from its status waits for its turn to be written. What a
//! status says comes from the same watches as everything else, so a new operator, or one that takes over, writes what is wrong
//! and nothing else.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use kube::Client;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    Counts,
    judge::{judge, names, users},
    pace::Pace,
    verdict::{Difference, Verdict},
    write::{Outcome, Writer},
};
use crate::{
    compile::Mesh,
    index::{Index, Said, Unjudged},
    model::{ObjectRef, SmiKind},
    publish::Ledger,
};

/// Time in which changes are gathered, so that a rollout is judged a few times and not once for each pod.
const GATHER: Duration = Duration::from_millis(100);
/// Rest after judging, as a multiple of what it took: in a cluster of many objects it must not take a whole processor.
const REST: u32 = 4;
/// Objects that are judged before others get a word in.
const BATCH: usize = 64;
/// Time in which sidecars connect to an operator that is new: the longest pause between two of their attempts, and a little.
const RECONNECT: Duration = Duration::from_secs(6);
/// Time after which a failed write is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// The same if the API server will refuse it until somebody changes the object, which is noticed at once. The rules may change, too.
const REFUSED_AGAIN: Duration = Duration::from_secs(300);
/// Writes that are on their way at once.
const IN_FLIGHT: usize = 8;

/// Judges and writes.
pub struct Engine {
    writer: Writer,
    index: Arc<Index>,
    ledger: Arc<Ledger>,
    mesh: Mesh,
    counts: Arc<Counts>,
    pace: Pace,
    unjudged: BTreeSet<ObjectRef>,
    judge_at: Option<Instant>,
    rest_until: Option<Instant>,
    /// What was written and the watch has not told of yet.
    written: HashMap<ObjectRef, Said>,
    /// Objects that take no status.
    refused: HashMap<ObjectRef, Refused>,
    in_flight: HashSet<ObjectRef>,
    writes: JoinSet<(ObjectRef, u64, kube::Result<Outcome>)>,
}

/// Why an object takes no status.
#[derive(Debug)]
struct Refused {
    /// Of the object that does not.
    version: u64,
    why: String,
}

impl Engine {
    /// Writes by `client` as the replica `instance`.
    #[must_use]
    pub fn new(
        client: Client,
        instance: String,
        index: Arc<Index>,
        ledger: Arc<Ledger>,
        mesh: Mesh,
        counts: Arc<Counts>,
    ) -> Self {
        Self {
            writer: Writer::new(client, instance),
            index,
            ledger,
            mesh,
            counts,
            pace: Pace::default(),
            unjudged: BTreeSet::new(),
            judge_at: None,
            rest_until: None,
            written: HashMap::new(),
            refused: HashMap::new(),
            in_flight: HashSet::new(),
            writes: JoinSet::new(),
        }
    }

    /// With another pace.
    #[cfg(test)]
    pub(super) fn with_pace(self, pace: Pace) -> Self {
        Self { pace, ..self }
    }

    /// Follows index and ledger until `shutdown`; writes while `leads`.
    pub async fn run(mut self, leads: watch::Receiver<bool>, shutdown: CancellationToken) {
        let follow = async {
            self.index.synced().await;
            // Until the sidecars have found this operator nobody is known to use a root, and all would seem well.
            tokio::time::sleep(RECONNECT).await;
            self.follow(leads).await;
        };
        tokio::select! {
            () = follow => {}
            () = shutdown.cancelled() => {}
        }
    }

    pub(super) async fn follow(&mut self, mut leads: watch::Receiver<bool>) {
        let (mut statuses, mut ledger) = (self.index.statuses().changes(), self.ledger.changes());
        while leads.wait_for(|leads| *leads).await.is_ok() {
            self.take_over();
            while *leads.borrow() {
                let now = Instant::now();
                if self.judge_at.is_some_and(|at| at <= now) {
                    self.gather();
                    while self.judge_some() {
                        self.start_writes();
                        tokio::task::yield_now().await;
                    }
                    // Measured with the others' words: where they need the processor there is the more reason to rest.
                    self.rest_until = Some(Instant::now() + now.elapsed() * REST);
                    self.judge_at = None;
                }
                self.start_writes();
                let wake = [self.judge_at, self.wake_to_write()].into_iter().flatten().min();
                tokio::select! {
                    changed = statuses.changed() => if changed.is_err() { return } else { self.judge_soon() },
                    changed = ledger.changed() => if changed.is_err() { return } else { self.judge_soon() },
                    changed = leads.changed() => if changed.is_err() { return },
                    Some(done) = self.writes.join_next() => if let Ok((name, version, written)) = done { self.finish(name, version, written) },
                    () = until(wake) => {}
                }
            }
            // Another replica writes now.
            self.writes.shutdown().await;
        }
    }

    /// Begins anew: another replica may have written since.
    fn take_over(&mut self) {
        self.pace.clear();
        self.written.clear();
        self.refused.clear();
        self.in_flight.clear();
        let everything = SmiKind::ALL.into_iter();
        self.unjudged = self.index.read(|snapshot| everything.flat_map(|kind| names(snapshot, kind, None)).collect());
        self.judge_at = Some(Instant::now());
    }

    fn judge_soon(&mut self) {
        let soon = Instant::now() + GATHER;
        let at = self.rest_until.map_or(soon, |rest| rest.max(soon));
        self.judge_at.get_or_insert(at);
    }

    /// Turns what changed into objects to judge.
    fn gather(&mut self) {
        let Unjudged { all_of, objects } = self.index.statuses().take_unjudged();
        let touched = self.ledger.take_touched();
        self.written.retain(|name, _| self.index.statuses().said(name).is_some());
        self.unjudged.extend(objects);
        let concerned = self.index.read(|snapshot| {
            let all_of = all_of.iter().flat_map(|(kind, namespace)| names(snapshot, *kind, namespace.as_deref()));
            all_of.chain(touched.iter().flat_map(|root| users(snapshot, root))).collect::<Vec<_>>()
        });
        self.unjudged.extend(concerned);
    }

    /// Judges some of what waits for it; `false` when nothing is left.
    fn judge_some(&mut self) -> bool {
        let now = Instant::now();
        for _ in 0..BATCH {
            let Some(name) = self.unjudged.pop_first() else { return false };
            match self.differs(&name) {
                Some((_, said, _))
                    if self.refused.get(&name).is_some_and(|refused| refused.version == said.version) => {}
                Some((_, _, difference)) => self.pace.want(&name, difference, now),
                None => self.pace.cancel(&name),
            }
        }
        !self.unjudged.is_empty()
    }

    /// What is to be said about an object, if its status says something else.
    fn differs(&mut self, name: &ObjectRef) -> Option<(Verdict, Said, Difference)> {
        let Some(verdict) = judge(&self.index, &self.ledger, &self.mesh, name) else {
            self.written.remove(name);
            self.refused.remove(name);
            return None;
        };
        let mut said = self.index.statuses().said(name).unwrap_or_default();
        match self.written.get(name) {
            Some(written) if written.uid == said.uid && written.version > said.version => said = written.clone(),
            Some(_) => drop(self.written.remove(name)),
            None => {}
        }
        if said.uid != verdict.uid {
            said = Said::default();
        }
        let difference = verdict.difference(&said.status)?;
        Some((verdict, said, difference))
    }

    fn wake_to_write(&self) -> Option<Instant> {
        self.pace.wake().filter(|_| self.writes.len() < IN_FLIGHT)
    }

    fn start_writes(&mut self) {
        while self.writes.len() < IN_FLIGHT {
            let now = Instant::now();
            let Some(name) = self.pace.next(now) else { return };
            if self.in_flight.contains(&name) {
                self.pace.again(&name, now + AGAIN);
                continue;
            }
            // As it is now: since it was judged more sidecars may have answered.
            let Some((verdict, said, _)) = self.differs(&name) else { continue };
            self.in_flight.insert(name.clone());
            self.counts.wrote(name.kind);
            let (writer, told) = (self.writer.clone(), self.refused.get(&name).map(|refused| refused.why.clone()));
            self.writes.spawn(async move {
                let written = writer.write(&name, &verdict, &said.status, told.as_deref()).await;
                (name, said.version, written)
            });
        }
    }

    /// Of a write over `version` of an object.
    fn finish(&mut self, name: ObjectRef, version: u64, written: kube::Result<Outcome>) {
        self.in_flight.remove(&name);
        match written {
            Ok(Outcome::Written(said)) => {
                self.refused.remove(&name);
                self.written.insert(name, said);
            }
            Ok(Outcome::Gone) => {}
            Ok(Outcome::Refused(why)) => {
                self.pace.again(&name, Instant::now() + REFUSED_AGAIN);
                if self.refused.get(&name).is_none_or(|known| known.why != why) {
                    tracing::warn!(object = %name, why, "The API server takes no status of an object");
                }
                self.refused.insert(name, Refused { version, why });
            }
            Err(error) => {
                tracing::warn!(object = %name, error = &error as &dyn Error, "Could not write the status, will be tried again");
                self.pace.again(&name, Instant::now() + AGAIN);
            }
        }
    }
}

/// Waits until then; for ever when there is no such time.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
