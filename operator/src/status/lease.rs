//! Which replica leads: the holder of a Lease. The one that leads writes to the API server, the others only serve.

use std::{
    error::Error,
    time::{Duration, Instant},
};

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
use tokio::{sync::watch, time::timeout};
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

/// A replica's part in the election.
pub struct Lease {
    api: Api<LeaseObject>,
    identity: String,
    leads: watch::Sender<bool>,
    /// What was last seen, and since when by our own clock: the clocks of replicas need not agree.
    seen: Option<(LeaseSpec, Instant)>,
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
    loop {
        // A connection that died unnoticed must not keep this replica leading while another takes over.
        let look = timeout(DEADLINE / 2, lease.look());
        if let Err(error) = look.await.map_err(LookError::from).and_then(|looked| Ok(looked?)) {
            tracing::warn!(error = &error as &dyn Error, "Could not look at the Lease, will be tried again");
            if lease.renewed.is_none_or(|renewed| renewed.elapsed() > DEADLINE)
                && lease.leads.send_if_modified(|leads| std::mem::replace(leads, false))
            {
                tracing::warn!("No longer leads: the Lease could not be renewed");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(RETRY) => {}
            () = shutdown.cancelled() => break,
        }
    }
    let release = timeout(DEADLINE / 2, lease.release());
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
    use super::*;

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
