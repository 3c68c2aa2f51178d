//! Keeps the mesh's issuer: watches its Secret, leads rotations, and tells everybody in this process who signs and who is trusted.

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use jiff::Timestamp;
use kube::Client;
use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{
    Authorities, Authority, Counts, Issuer,
    events::{Events, Notice},
    life, made,
    record::{self, Active},
    rotation::{Facts, Link, Offer, State},
    slot::Slot,
    store::{ACTIVE, Store, Stored, WANTED},
};
use crate::{
    index::Index,
    model::Trust,
    publish::{TrustLedger, TrustProgress},
};

/// Time in which changes are gathered.
const GATHER: Duration = Duration::from_millis(200);
/// Time after which a failed write is tried again, and between two looks at a rotation under way.
const AGAIN: Duration = Duration::from_secs(1);
/// Time after which everything is looked at even if nothing seems to have changed: certificates expire silently.
const IDLE: Duration = Duration::from_secs(30);

/// How the mesh's identities are set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Namespace of the operator.
    pub namespace: String,
    /// Name of the operator's pod.
    pub instance: String,
    /// As in `spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT`.
    pub trust_domain: String,
    /// Life of workloads' certificates.
    pub certificate_life: Duration,
    /// Life of issuers that the operator makes.
    pub issuer_life: Duration,
    /// Time for sidecars to connect to a new process, and for a new root to be everywhere: `rotation::SETTLE` unless given.
    pub settle: Duration,
}

/// What the keeper has to know of the rest of the operator.
pub struct Surroundings {
    /// Whether the cluster has been read, before which no sidecar can connect.
    pub index: Arc<Index>,
    /// What the connected sidecars believe.
    pub ledger: Arc<TrustLedger>,
    /// Where failures are counted.
    pub counts: Arc<Counts>,
    /// The bundle that each kind of copy has been brought up to, while this replica leads.
    pub copies: Vec<watch::Receiver<Option<Arc<str>>>>,
    /// Whether this replica leads.
    pub leads: watch::Receiver<bool>,
}

/// Why a turn could not be finished.
#[derive(Debug, Error)]
enum TurnError {
    #[error("the API server refused")]
    Api(#[from] kube::Error),
    #[error("no issuer could be made")]
    Make(#[from] rcgen::Error),
    #[error("the state cannot be written")]
    Write(#[from] serde_json::Error),
}

/// Keeps the mesh's issuer.
pub struct Keeper {
    settings: Settings,
    around: Surroundings,
    store: Store,
    events: Events,
    authority: watch::Sender<Option<Arc<Authority>>>,
    wanted: Slot,
    active: Slot,
    state: Option<State>,
    /// Since when sidecars can have connected.
    open: Option<Instant>,
    /// The last notice that was given of an issuer's end.
    noticed: Option<Notice>,
}

impl Keeper {
    /// Begins to work when it is run. `authority` is where the result goes.
    #[must_use]
    pub fn new(
        client: Client,
        settings: Settings,
        around: Surroundings,
        authority: watch::Sender<Option<Arc<Authority>>>,
    ) -> Self {
        let store = Store::new(client.clone(), &settings.namespace);
        let events = Events::new(client, &settings.namespace, settings.instance.clone());
        Self {
            settings,
            around,
            store,
            events,
            authority,
            wanted: Slot::default(),
            active: Slot::default(),
            state: None,
            open: None,
            noticed: None,
        }
    }

    /// A channel for [`Keeper::new`]: `None` until the first issuer is known.
    #[must_use]
    pub fn channel() -> (watch::Sender<Option<Arc<Authority>>>, Authorities) {
        watch::channel(None)
    }

    /// Works until `shutdown`; writes while this replica leads, but for the first issuer of all, which any may make.
    pub async fn run(mut self, shutdown: CancellationToken) {
        let mut leads = self.around.leads.clone();
        loop {
            let leading = *leads.borrow_and_update();
            // Another replica may have written since, and its sidecars may be on their way here.
            (self.state, self.open) = (None, None);
            // What is wrong with the Secret is said to its owner by the replica that leads.
            self.wanted = Slot::default();
            tokio::select! {
                () = self.follow(leading) => {}
                changed = leads.changed() => if changed.is_err() { return },
                () = shutdown.cancelled() => return,
            }
        }
    }

    async fn follow(&mut self, leading: bool) {
        let mut objects = std::pin::pin!(self.store.watch());
        let mut sidecars = self.around.ledger.changes();
        let mut stored = Stored::default();
        let mut wake = tokio::time::Instant::now() + IDLE;
        loop {
            tokio::select! {
                object = objects.next() => match object {
                    Some(Ok(change)) => {
                        stored.apply(change);
                        wake = wake.min(tokio::time::Instant::now() + GATHER);
                    }
                    Some(Err(error)) => {
                        tracing::warn!(error = &error as &dyn Error, "Watch of the issuer failed, will be tried again");
                    }
                    None => return,
                },
                changed = sidecars.changed() => {
                    if changed.is_err() { return }
                    if self.state.as_ref().is_some_and(State::is_rotating) {
                        wake = wake.min(tokio::time::Instant::now() + GATHER);
                    }
                }
                () = tokio::time::sleep_until(wake) => {
                    let pause = if stored.is_known() { self.turn(&stored, leading).await } else { IDLE };
                    wake = tokio::time::Instant::now() + pause;
                }
            }
        }
    }

    /// Does what is due, and says when to look again.
    async fn turn(&mut self, stored: &Stored, leading: bool) -> Duration {
        let now = Timestamp::now();
        if self.open.is_none() && self.around.index.is_synced() {
            self.open = Some(Instant::now());
        }
        self.look(stored, leading, now).await;
        if !leading && stored.is_bare() {
            // The one that leads may be of an earlier version, and wait for this one to be ready. Creating happens once, whoever asks.
            if let Err(error) = self.make_first(now).await {
                tracing::warn!(error = &error as &dyn Error, "Could not make an issuer, will be tried again");
                return AGAIN;
            }
        }
        // The leader knows better than a watch that lags behind its own writes.
        if !leading || self.state.is_none() {
            self.state = stored.record().and_then(|record| self.recorded(record, now));
        }
        // What whoever leads will write first; a replica must not have to lead before it can serve.
        if self.state.is_none() {
            self.state = self.first();
        }
        let mut pause = self.state.as_ref().map_or(IDLE, |state| pause(state, now, self.settings.settle));
        if leading {
            match self.lead(stored, now).await {
                Ok(true) => pause = GATHER,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(error = &error as &dyn Error, "Could not lead a rotation on, will be tried again");
                    pause = AGAIN;
                }
            }
        }
        self.announce();
        pause
    }

    /// Looks at both Secrets.
    async fn look(&mut self, stored: &Stored, leading: bool, now: Timestamp) {
        if let Some(error) = self.wanted.look(stored.wanted(), now) {
            self.around.counts.issuer_refused(error.reason());
            tracing::error!(secret = WANTED, error = &error as &dyn Error, "The issuer cannot be used");
            if leading {
                let note = format!("The issuer cannot be used and the last good one goes on, if there is one: {error}");
                self.events.invalid(stored.wanted(), note).await;
            }
        }
        self.around.counts.issuer_usable(self.wanted.issuer().is_some());
        if let Some(error) = self.active.look(stored.active(), now) {
            tracing::error!(secret = ACTIVE, error = &error as &dyn Error, "The copy of the issuer cannot be used");
        }
    }

    /// Does one step, and brings what is stored up to it. Whether there may be another step.
    async fn lead(&mut self, stored: &Stored, now: Timestamp) -> Result<bool, TurnError> {
        self.provide(stored, now).await?;
        self.give_notice(stored, now).await;
        let wanted = self.wanted.issuer().map(offer);
        let (life, settle) = (self.settings.certificate_life, self.settings.settle);
        let Some(mut state) = self.state.clone() else { return Ok(false) };

        let progress = self.around.ledger.progress(&self.trust(&state));
        let active_signs = self.held(state.active).is_some_and(|issuer| now < issuer.not_after());
        let open = self.open.map(|open| open.elapsed());
        let copies = self.around.copies.iter().map(|copy| copy.borrow().clone());
        let followed = is_followed(open, settle, copies, &record::bundle(&state), &progress);
        let step = state.advance(&Facts { now, offer: wanted.as_ref(), active_signs, followed, life, settle });

        let issuer = self.held(state.active);
        let is_wanted = wanted.is_some_and(|offer| offer.link == state.active);
        let brought = is_wanted && stored.wanted().is_some_and(|secret| made::renewal(secret).is_none());
        let active = issuer.as_ref().map(|issuer| Active { expires: issuer.not_after(), brought });
        let record = record::write(&state, active, &progress)?;
        let is_stored = |(name, text)| stored.record().is_some_and(|known| known.get(name) == Some(text));
        if !record.iter().all(is_stored) {
            self.store.write_record(&record).await?;
        }
        self.state = Some(state);
        if let Some(step) = &step {
            tracing::info!(%step, "The trust of the mesh goes on");
            self.events.step(stored.wanted(), step).await;
        }
        // After the record: whoever finds the record newer than the copy has the issuer in the wanted Secret.
        let kept = self.active.issuer();
        if let Some(issuer) = issuer.filter(|issuer| kept.is_none_or(|kept| !kept.leads_like(issuer))) {
            self.store.keep_active(&issuer).await?;
            if kept.is_some_and(|kept| link(kept) == link(&issuer)) {
                tracing::info!(issuer = %issuer.fingerprint(), "The certificates between the issuer and its root are others");
                self.events.chain(stored.wanted(), issuer.fingerprint(), issuer.not_after()).await;
            }
        }
        Ok(step.is_some())
    }

    /// Makes an issuer where there is none, and another in time for one that the operator made.
    async fn provide(&self, stored: &Stored, now: Timestamp) -> Result<(), TurnError> {
        let life = self.settings.issuer_life;
        match stored.wanted() {
            None => self.make_first(now).await?,
            Some(secret) => {
                let is_due = made::renewal(secret).is_some_and(|due| due <= now);
                // One after the other: what is coming must arrive before something else comes.
                let is_coming = self.state.as_ref().is_some_and(|state| state.next.is_some());
                if is_due && !is_coming {
                    self.store.replace_wanted(secret, made::make(life, now)?).await?;
                    tracing::info!(secret = WANTED, "Made the next issuer");
                    self.events.made(Some(secret), "Made the next issuer, at two thirds of the life of this").await;
                }
            }
        }
        Ok(())
    }

    /// Makes an issuer where there is none, unless somebody else is quicker.
    async fn make_first(&self, now: Timestamp) -> Result<(), TurnError> {
        if self.store.create_wanted(made::make(self.settings.issuer_life, now)?).await? {
            tracing::info!(secret = WANTED, "Made an issuer");
            self.events.made(None, "Made an issuer, because there was none").await;
        }
        Ok(())
    }

    /// Tells the owner of the Secret that the issuer ends soon, if nobody but them will replace it: the one that they brought, or,
    /// while the Secret cannot be used, whichever signs.
    async fn give_notice(&mut self, stored: &Stored, now: Timestamp) {
        let Some(secret) = stored.wanted() else { return };
        let signs = || self.state.as_ref().and_then(|state| self.held(state.active));
        let issuer = match self.wanted.issuer() {
            Some(_) if made::renewal(secret).is_some() => return,
            Some(issuer) => Some(Arc::clone(issuer)),
            None => signs(),
        };
        let notice = issuer.and_then(|issuer| Notice::of(&issuer, self.wanted.complaint(), now));
        if let Some(notice) = notice.filter(|notice| self.noticed.as_ref() != Some(notice)) {
            tracing::warn!(%notice, "The issuer ends and has to be replaced by its owner");
            self.events.expires(stored.wanted(), &notice).await;
            self.noticed = Some(notice);
        }
    }

    /// The state of a mesh that nothing is recorded of: what signed last, or else what is wanted, signs.
    fn first(&self) -> Option<State> {
        Some(State::new(&offer(self.first_issuer()?), self.settings.certificate_life))
    }

    fn first_issuer(&self) -> Option<&Arc<Issuer>> {
        self.active.issuer().or_else(|| self.wanted.issuer())
    }

    /// The state that is recorded. A record that cannot be read loses no root.
    fn recorded(&self, record: &BTreeMap<String, String>, now: Timestamp) -> Option<State> {
        match record::read(record) {
            Ok(state) => Some(state),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn Error,
                    "Cannot use the record of the trust bundle, and keeps every root in it"
                );
                // How long certificates lived is lost with it.
                let life = self.settings.certificate_life.max(life::CERTIFICATE);
                Some(record::recover(record, &offer(self.first_issuer()?), life, now))
            }
        }
    }

    /// The issuer of a link, wherever it still is. First as its owner wants it now: certificates between it and its root may have
    /// been renewed.
    fn held(&self, wanted: Link) -> Option<Arc<Issuer>> {
        let current = self.authority.borrow().as_ref().map(|authority| Arc::clone(&authority.issuer));
        let slots = [self.wanted.issuer(), self.active.issuer()];
        slots.into_iter().flatten().cloned().chain(current).find(|issuer| link(issuer) == wanted)
    }

    fn trust(&self, state: &State) -> Trust {
        let mut roots: Vec<_> = state.roots.iter().map(|root| root.certificate.clone()).collect();
        roots.sort();
        Trust { trust_domain: self.settings.trust_domain.clone(), roots, issuer: state.active.issuer }
    }

    /// Tells everybody in this process. Without a key that can sign, what was said before holds.
    fn announce(&self) {
        let Some(state) = &self.state else { return };
        let Some(issuer) = self.held(state.active) else {
            tracing::error!(issuer = %state.active.issuer, "The key of the issuer is nowhere to be found");
            return;
        };
        let next = Authority { issuer, trust: Arc::new(self.trust(state)), bundle: record::bundle(state).into() };
        self.authority.send_if_modified(|current| {
            let is_same =
                |current: &Arc<Authority>| current.trust == next.trust && current.issuer.leads_like(&next.issuer);
            let changed = !current.as_ref().is_some_and(is_same);
            if changed {
                *current = Some(Arc::new(next));
            }
            changed
        });
    }
}

/// Everybody who is connected has followed, those who are not have had the time to connect, and all copies are written.
fn is_followed(
    open: Option<Duration>,
    settle: Duration,
    mut copies: impl Iterator<Item = Option<Arc<str>>>,
    bundle: &str,
    progress: &TrustProgress,
) -> bool {
    open.is_some_and(|open| open >= settle)
        && copies.all(|copy| copy.as_deref() == Some(bundle))
        && progress.waiting.is_empty()
}

/// How long nothing can happen by itself.
fn pause(state: &State, now: Timestamp, settle: Duration) -> Duration {
    let left = state.due(settle).map_or(IDLE, |due| Duration::try_from(due.duration_since(now)).unwrap_or_default());
    // What is overdue waits for somebody.
    left.clamp(AGAIN, IDLE)
}

fn link(issuer: &Issuer) -> Link {
    Link { issuer: issuer.fingerprint(), root: super::issuer::fingerprint(issuer.root()) }
}

fn offer(issuer: &Arc<Issuer>) -> Offer {
    Offer { link: link(issuer), root: issuer.root().to_vec() }
}
