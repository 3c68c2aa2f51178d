//! Writes the status of TrafficSplits and the Events for what their authors have to mend.

use std::{
    collections::{BTreeMap, HashMap},
    error::Error,
    sync::Arc,
    time::Duration,
};

use k8s_openapi::{api::core::v1::ObjectReference, jiff::Timestamp};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use smi_crds::{SmiStatus, specs::v1alpha4::HttpRouteGroup, split::v1alpha4::TrafficSplit};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::conditions::conditions;
use crate::{
    compile::{self, Finding, Judgement, Mesh},
    index::Index,
    model::{AppliedSplit, ServiceRef, Snapshot, Split, SplitRef},
    publish::{Ledger, Progress},
};

/// Field manager and reporting controller.
pub(super) const MANAGER: &str = "weft-operator";
/// Time in which changes are gathered, so that a rollout is a few writes and not one for each pod.
const GATHER: Duration = Duration::from_millis(100);
/// Time in which sidecars connect to an operator that is new: the longest pause between two of their attempts, and a little.
const RECONNECT: Duration = Duration::from_secs(6);
/// Time after which a failed write is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Keeps the status of every `TrafficSplit` true.
pub struct Splits {
    client: Client,
    recorder: Recorder,
    index: Arc<Index>,
    ledger: Arc<Ledger>,
    mesh: Mesh,
    /// What the status of each says.
    written: HashMap<SplitRef, Judged>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Judged {
    uid: String,
    generation: i64,
    findings: Vec<Finding>,
    progress: Progress,
}

impl Splits {
    /// Writes by `client` as the replica `instance`.
    #[must_use]
    pub fn new(client: Client, instance: String, index: Arc<Index>, ledger: Arc<Ledger>, mesh: Mesh) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(instance) };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, recorder, index, ledger, mesh, written: HashMap::new() }
    }

    /// Follows index and ledger until `shutdown`; writes while `leads`.
    pub async fn run(mut self, mut leads: watch::Receiver<bool>, shutdown: CancellationToken) {
        let follow = async {
            let (mut index, mut ledger) = (self.index.changes(), self.ledger.changes());
            self.index.synced().await;
            // Until the sidecars have found this operator nobody is known to use a root, and all would seem well.
            tokio::time::sleep(RECONNECT).await;
            loop {
                if leads.wait_for(|leads| *leads).await.is_err() {
                    return;
                }
                let pause = if self.write().await { GATHER } else { AGAIN };
                let done = pause == GATHER;
                tokio::select! {
                    changed = index.changed(), if done => if changed.is_err() { return },
                    changed = ledger.changed(), if done => if changed.is_err() { return },
                    changed = leads.changed() => {
                        if changed.is_err() { return }
                        // Another replica may have written since.
                        self.written.clear();
                    }
                    () = tokio::time::sleep(pause), if !done => {}
                }
                tokio::time::sleep(GATHER).await;
            }
        };
        tokio::select! {
            () = follow => {}
            () = shutdown.cancelled() => {}
        }
    }

    /// Writes what changed; `false` when something could not be written.
    async fn write(&mut self) -> bool {
        let current = self.judge();
        self.written.retain(|name, _| current.contains_key(name));
        let mut all = true;
        for (name, judged) in current {
            if self.written.get(&name) == Some(&judged) {
                continue;
            }
            match self.write_one(&name, &judged).await {
                Ok(()) => {
                    self.written.insert(name, judged);
                }
                Err(error) => {
                    all = false;
                    tracing::warn!(split = %name, error = &error as &dyn Error, "Could not write the status");
                }
            }
        }
        all
    }

    fn judge(&self) -> BTreeMap<SplitRef, Judged> {
        let judge = |snapshot: &Snapshot, name: &SplitRef, split: &Split| {
            let Judgement { root, applied, findings } = compile::judge(snapshot, &self.mesh, name);
            let progress = Progress::default();
            let judged = Judged { uid: split.uid.clone(), generation: split.generation, findings, progress };
            (name.clone(), (root.zip(applied), judged))
        };
        let compiled: BTreeMap<_, _> = self
            .index
            .read(|snapshot| snapshot.splits.iter().map(|(name, split)| judge(snapshot, name, split)).collect());
        // Counted after the index is free again: its watches need it.
        let count = |(name, (in_force, mut judged)): (SplitRef, (Option<(ServiceRef, AppliedSplit)>, Judged))| {
            if let Some((root, applied)) = in_force {
                judged.progress = self.ledger.progress(&root, &applied);
            }
            (name, judged)
        };
        compiled.into_iter().map(count).collect()
    }

    async fn write_one(&self, name: &SplitRef, judged: &Judged) -> kube::Result<()> {
        let api: Api<TrafficSplit> = Api::namespaced(self.client.clone(), &name.namespace);
        // Gone in the meantime: the index will hear of it.
        let Some(object) = api.get_opt(&name.name).await? else {
            return Ok(());
        };
        let current = object.status.unwrap_or_default();
        let conditions =
            conditions(&judged.findings, &judged.progress, judged.generation, &current.conditions, Timestamp::now());
        for finding in &judged.findings {
            let text = finding.to_string();
            if !current.conditions.iter().any(|known| known.message.contains(&text)) {
                self.warn(name, &judged.uid, finding, text).await;
            }
        }
        let status = SmiStatus { conditions, observed_generation: Some(judged.generation) };
        if status == current {
            return Ok(());
        }
        let patch = serde_json::json!({
            "apiVersion": TrafficSplit::api_version(&()),
            "kind": TrafficSplit::kind(&()),
            "metadata": {"name": name.name, "uid": judged.uid},
            "status": status,
        });
        let written = api.patch_status(&name.name, &PatchParams::apply(MANAGER).force(), &Patch::Apply(patch)).await;
        match written {
            // The uid keeps a split that was made anew from getting the old one's status.
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(()),
            written => written.map(drop),
        }
    }

    /// Publishes an Event. One that cannot be published must not keep the status from being written.
    async fn warn(&self, name: &SplitRef, uid: &str, finding: &Finding, note: String) {
        let (api_version, kind) = (TrafficSplit::api_version(&()).into_owned(), TrafficSplit::kind(&()).into_owned());
        let about = ObjectReference {
            api_version: Some(api_version),
            kind: Some(kind),
            namespace: Some(name.namespace.clone()),
            name: Some(name.name.clone()),
            uid: Some(uid.to_owned()),
            ..ObjectReference::default()
        };
        // The recorder takes two Events for one unless they differ in more than their note.
        let secondary = finding.backend().map(|(backend, port)| ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Service".to_owned()),
            namespace: Some(name.namespace.clone()),
            name: Some(backend.to_owned()),
            field_path: port.map(|port| format!("spec.ports[{port}]")),
            ..ObjectReference::default()
        });
        let secondary = secondary.or_else(|| {
            finding.group().map(|group| ObjectReference {
                api_version: Some(HttpRouteGroup::api_version(&()).into_owned()),
                kind: Some(HttpRouteGroup::kind(&()).into_owned()),
                namespace: Some(name.namespace.clone()),
                name: Some(group.to_owned()),
                ..ObjectReference::default()
            })
        });
        let event = Event {
            type_: EventType::Warning,
            reason: finding.reason().to_owned(),
            note: Some(note),
            action: "Compile".to_owned(),
            secondary,
        };
        if let Err(error) = self.recorder.publish(&event, &about).await {
            tracing::warn!(split = %name, error = &error as &dyn Error, "Could not publish an Event");
        }
    }
}
