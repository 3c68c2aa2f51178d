//! Which replica leads: the holder of a Lease. The one that leads writes to the API server, the others only serve.

use std::{error::Error, pin::pin, time::Duration};

use k8s_openapi::{
    api::coordination::v1::{Lease as LeaseObject, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use thiserror::Error;
use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

/// Name of the Lease, in the operator's namespace.
const NAME: &str = "weft-operator";
/// Time without a renewal after which another replica takes over. The three durations are those of client-go's
/// `leaderelection` defaults.
const DURATION: Duration = Duration::from_secs(15);
/// Time without a successful renewal after which the holder stops to lead; shorter, so that two never lead at once.
const DEADLINE: Duration = Duration::from_secs(10);
/// Time between two looks at the Lease.
const RETRY: Duration = Duration::from_secs(2);
/// Time that a look may take: a connection that died unnoticed must not be waited for.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// A replica's part in the election.
pub struct Lease {
    api: Api<LeaseObject>,
    identity: String,
    leads: watch::Sender<bool>,
    /// What was last seen, and since when by our own clock: the clocks of replicas need not agree.
    seen: Option<(LeaseSpec, Instant)>,
    /// When the last renewal that succeeded began. The API server has it from a later moment, and others see it later still.
    renewed: Option<Instant>,
}

/// Why the Lease could not be looked at.
#[derive(Debug, Error)]
enum LookError {
    #[error(transparent)]
    Api(#[from] kube::Error),
    #[error("the API server did not answer in time")]
    Timeout(#[from] tokio::time::error::Elapsed),
}

/// What a replica does about the Lease.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Take,
    Renew,
    Wait,
}

impl Lease {
    /// Takes part as `identity`, which must be unique among replicas. The receiver tells whether this replica leads.
    #[must_use]
    pub fn new(client: Client, namespace: &str, identity: String) -> (Self, watch::Receiver<bool>) {
        let (leads, receiver) = watch::channel(false);
        let api = Api::namespaced(client, namespace);
        (Self { api, identity, leads, seen: None, renewed: None }, receiver)
    }

    async fn look(&mut self) -> kube::Result<()> {
        let found = self.api.get_opt(NAME).await?;
        let now = Instant::now();
        let spec = found.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        if self.seen.as_ref().is_none_or(|(seen, _)| *seen != spec) {
            self.seen = Some((spec.clone(), now));
        }
        let since = self.seen.as_ref().map_or(now, |(_, since)| *since);
        let step = step(&spec, &self.identity, now.saturating_duration_since(since));
        if step == Step::Wait {
            self.leads.send_if_modified(|leads| std::mem::replace(leads, false));
            return Ok(());
        }
        let next = self.claim(&spec, step == Step::Take);
        let written = match found {
            Some(mut lease) => {
                lease.spec = Some(next);
                self.api.replace(NAME, &PostParams::default(), &lease).await
            }
            None => {
                let metadata = ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() };
                let lease = LeaseObject { metadata, spec: Some(next) };
                self.api.create(&PostParams::default(), &lease).await
            }
        };
        match written {
            Ok(lease) => {
                self.seen = lease.spec.map(|spec| (spec, now));
                self.renewed = Some(now);
                if self.leads.send_if_modified(|leads| !std::mem::replace(leads, true)) {
                    tracing::info!(identity = self.identity, "Leads");
                }
                Ok(())
            }
            // Another replica was quicker; the next look shows it.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn claim(&self, current: &LeaseSpec, take: bool) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            renew_time: Some(now.clone()),
            acquire_time: if take { Some(now) } else { current.acquire_time.clone() },
            lease_transitions: Some(current.lease_transitions.unwrap_or(0) + i32::from(take)),
            ..LeaseSpec::default()
        }
    }

    /// Does `work`, and stops to lead meanwhile, by its own clock, if the last renewal gets too old. Whatever the API server answers
    /// or does not answer, nobody leads for longer than that.
    async fn while_valid<T>(leads: &watch::Sender<bool>, renewed: Option<Instant>, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        if let Some(renewed) = renewed {
            tokio::select! {
                done = &mut work => return done,
                () = sleep_until(renewed + DEADLINE) => {
                    if leads.send_if_modified(|leads| std::mem::replace(leads, false)) {
                        tracing::warn!("No longer leads: the Lease could not be renewed");
                    }
                }
            }
        }
        work.await
    }

    async fn release(&mut self) -> kube::Result<()> {
        if !*self.leads.borrow() {
            return Ok(());
        }
        let mut lease = self.api.get(NAME).await?;
        if let Some(spec) = lease.spec.as_mut().filter(|spec| spec.holder_identity.as_ref() == Some(&self.identity)) {
            spec.holder_identity = None;
            self.api.replace(NAME, &PostParams::default(), &lease).await?;
        }
        Ok(())
    }
}

/// Takes part in the election until `shutdown`, and then gives the Lease up so that another replica need not wait.
pub async fn hold(mut lease: Lease, shutdown: CancellationToken) {
    let leads = lease.leads.clone();
    loop {
        let renewed = lease.renewed;
        let look = Lease::while_valid(&leads, renewed, timeout(LOOK_LIMIT, lease.look()));
        if let Err(error) = look.await.map_err(LookError::from).and_then(|looked| Ok(looked?)) {
            tracing::warn!(error = &error as &dyn Error, "Could not look at the Lease, will be tried again");
        }
        tokio::select! {
            () = Lease::while_valid(&leads, lease.renewed, sleep(RETRY)) => {}
            () = shutdown.cancelled() => break,
        }
    }
    let release = timeout(LOOK_LIMIT, lease.release());
    if let Err(error) = release.await.map_err(LookError::from).and_then(|released| Ok(released?)) {
        tracing::warn!(
            error = &error as &dyn Error,
            "Could not give the Lease up; another replica takes it when it ends"
        );
    }
}

fn step(spec: &LeaseSpec, identity: &str, unchanged: Duration) -> Step {
    match spec.holder_identity.as_deref() {
        Some(holder) if holder == identity => Step::Renew,
        None | Some("") => Step::Take,
        Some(_) => {
            let duration = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
            let duration = duration.map_or(DURATION, Duration::from_secs);
            if unchanged > duration { Step::Take } else { Step::Wait }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use axum::body::Body;
    use http::{Method, Request, Response};
    use http_body_util::BodyExt;
    use serde_json::{Value, json};

    use super::*;

    /// What the API server does from some renewal on.
    #[derive(Clone, Copy, PartialEq)]
    enum Fault {
        Silence,
        Refusal,
        /// Reads are answered, but every write comes too late.
        Conflict,
    }

    /// An API server with one Lease that takes so many renewals, and where the moment of the last one is written down.
    fn api_server(renewals: usize, fault: Fault, last: &Arc<Mutex<Option<Instant>>>) -> Client {
        let state: Arc<Mutex<(Option<Value>, usize)>> = Arc::default();
        let last = Arc::clone(last);
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let (state, last) = (Arc::clone(&state), Arc::clone(&last));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let refuse = |code: u16, reason: &str| {
                    (
                        code,
                        json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": ""}),
                    )
                };
                let (known, written) = state.lock().unwrap().clone();
                let (code, answer) = match (written >= renewals, fault) {
                    (true, Fault::Silence) => std::future::pending().await,
                    (true, Fault::Refusal) => refuse(500, "InternalError"),
                    (true, Fault::Conflict) if head.method != Method::GET => refuse(409, "Conflict"),
                    _ if head.method == Method::GET => {
                        known.map_or_else(|| refuse(404, "NotFound"), |lease| (200, lease))
                    }
                    _ => {
                        let lease: Value = serde_json::from_slice(&body).unwrap();
                        *state.lock().unwrap() = (Some(lease.clone()), written + 1);
                        *last.lock().unwrap() = Some(Instant::now());
                        (200, lease)
                    }
                };
                Response::builder().status(code).body(Body::from(answer.to_string()))
            }
        });
        Client::new(service, "weft-system")
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_leads_who_cannot_renew() {
        for (name, fault) in [("silence", Fault::Silence), ("refusal", Fault::Refusal), ("conflicts", Fault::Conflict)]
        {
            let last = Arc::default();
            let (lease, mut leads) = Lease::new(api_server(3, fault, &last), "weft-system", "me".to_owned());
            let stop = tokio_util::sync::CancellationToken::new();
            let task = tokio::spawn(hold(lease, stop.clone()));
            let limit = Duration::from_secs(60);
            timeout(limit, leads.wait_for(|leads| *leads)).await.expect(name).unwrap();
            timeout(limit, leads.wait_for(|leads| !*leads)).await.expect(name).unwrap();
            let led = last.lock().unwrap().unwrap().elapsed();
            assert!(led <= DEADLINE && led >= DEADLINE - RETRY, "{name}: led for {led:?} after the last renewal");
            stop.cancel();
            task.await.unwrap();
        }
    }

    #[test]
    fn takes_only_what_is_free_or_stale() {
        let held = |holder: Option<&str>| LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        };
        for (name, spec, unchanged, want) in [
            ("new", LeaseSpec::default(), 0, Step::Take),
            ("given up", held(Some("")), 0, Step::Take),
            ("our own", held(Some("me")), 0, Step::Renew),
            ("another's", held(Some("you")), 15, Step::Wait),
            ("stale", held(Some("you")), 16, Step::Take),
        ] {
            assert_eq!(step(&spec, "me", Duration::from_secs(unchanged)), want, "{name}");
        }
    }
}
