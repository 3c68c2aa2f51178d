//! A namespace for each test.

use std::{panic::AssertUnwindSafe, time::Duration};

use anyhow::{Context, Result, anyhow, ensure};
use futures::FutureExt;
use k8s_openapi::{
    NamespaceResourceScope,
    api::{
        apps::v1::Deployment,
        core::v1::{Event, Namespace, Pod, Service, ServiceAccount},
    },
};
use kube::{
    Api, Resource, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::NamespaceResourceScope as Scoped,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::json;
use tokio::sync::Mutex;

use super::{Cluster, INJECT_LABEL, TestClient, Workload, diagnosis, eventually, split::SplitSpec};

/// Time that applications get to start.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Time for a failed test to print what may tell why.
const DIAGNOSIS_LIMIT: Duration = Duration::from_secs(60);
/// Name under which the harness applies objects.
pub(crate) const FIELD_MANAGER: &str = "weft-e2e";

/// A namespace that belongs to one test.
#[derive(Clone)]
pub struct TestNamespace {
    /// Where it is.
    pub cluster: Cluster,
    /// Generated from the test's name.
    pub name: String,
}

/// Runs a test in a namespace of its own, whose pods get sidecars.
///
/// When the test fails, the objects, Events, logs and proxy configurations of the namespace are printed. Afterwards the
/// namespace is deleted, unless it failed and `WEFT_KEEP=1`.
///
/// # Panics
/// When the test fails, or there is no cluster.
pub fn run(name: &str, test: impl AsyncFnOnce(&TestNamespace) -> Result<()>) {
    block_on(in_namespace(name, test));
}

/// Like [`run`], and no other test of this program that asks for the same runs meanwhile: for tests that break what all share.
///
/// # Panics
/// When the test fails, or there is no cluster.
pub fn run_alone(name: &str, test: impl AsyncFnOnce(&TestNamespace) -> Result<()>) {
    static ALONE: Mutex<()> = Mutex::const_new(());
    block_on(async {
        let _alone = ALONE.lock().await;
        in_namespace(name, test).await;
    });
}

fn block_on(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(test);
}

async fn in_namespace(name: &str, test: impl AsyncFnOnce(&TestNamespace) -> Result<()>) {
    let namespace = match TestNamespace::create(name).await {
        Ok(namespace) => namespace,
        Err(error) => panic!("{error:#}"),
    };
    let result = AssertUnwindSafe(test(&namespace)).catch_unwind().await;
    let failed = !matches!(result, Ok(Ok(())));
    if failed {
        let printing = diagnosis::print(&namespace);
        if tokio::time::timeout(DIAGNOSIS_LIMIT, printing).await.is_err() {
            println!("no more within {DIAGNOSIS_LIMIT:?}");
        }
    }
    if failed && std::env::var("WEFT_KEEP").is_ok_and(|value| value == "1") {
        println!("WEFT_KEEP=1: namespace {} stays", namespace.name);
    } else if let Err(error) = namespace.delete().await {
        println!("cannot delete namespace {}: {error:#}", namespace.name);
    }
    match result {
        Ok(Ok(())) => {}
        Ok(Err(error)) => panic!("{error:#}"),
        Err(panicked) => std::panic::resume_unwind(panicked),
    }
}

impl TestNamespace {
    async fn create(name: &str) -> Result<Self> {
        Self::create_with(&Cluster::connect().await?, name, true).await
    }

    /// One more namespace, whose pods get sidecars or not. Whoever creates it deletes it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn create_with(cluster: &Cluster, name: &str, inject: bool) -> Result<Self> {
        let labels = if inject { json!({ INJECT_LABEL: "enabled" }) } else { json!({}) };
        let namespace = serde_json::from_value(json!({
            "metadata": {"generateName": format!("e2e-{name}-"), "labels": labels},
        }))?;
        let namespace: Namespace = Api::all(cluster.client.clone()).create(&PostParams::default(), &namespace).await?;
        let namespace = Self { cluster: cluster.clone(), name: namespace.name_any() };
        // Pods are refused before.
        eventually(START_LIMIT, "the service account of a new namespace", async || {
            Ok(namespace.api::<ServiceAccount>().get("default").await?)
        })
        .await?;
        Ok(namespace)
    }

    /// Deletes the namespace, without waiting for its end.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn delete(&self) -> Result<()> {
        // Applications linger on SIGTERM; nobody needs them to here.
        let at_once = DeleteParams::default().grace_period(0);
        let _best_effort = self.api::<Deployment>().delete_collection(&at_once, &ListParams::default()).await;
        let _best_effort = self.api::<Pod>().delete_collection(&at_once, &ListParams::default()).await;
        let namespaces = Api::<Namespace>::all(self.cluster.client.clone());
        namespaces.delete(&self.name, &DeleteParams::background()).await?;
        Ok(())
    }

    /// Objects of one kind in this namespace.
    #[must_use]
    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<Scope = Scoped>,
        K::DynamicType: Default,
    {
        Api::namespaced(self.cluster.client.clone(), &self.name)
    }

    /// Applies an object, given as JSON without API version and kind.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn apply<K>(&self, name: &str, object: serde_json::Value) -> Result<K>
    where
        K: Resource<Scope = Scoped>
            + k8s_openapi::Resource<Scope = NamespaceResourceScope>
            + Clone
            + Serialize
            + DeserializeOwned
            + std::fmt::Debug,
        <K as Resource>::DynamicType: Default,
    {
        let mut object = object;
        object["apiVersion"] = K::API_VERSION.into();
        object["kind"] = K::KIND.into();
        object["metadata"]["name"] = name.into();
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        self.api::<K>()
            .patch(name, &parameters, &Patch::Apply(&object))
            .await
            .with_context(|| format!("applying {} {name}", K::KIND))
    }

    /// A test server's Deployment `name` with a Service of that name.
    #[must_use]
    pub fn server(&self, name: &str) -> Workload {
        Workload::server(self.clone(), name)
    }

    /// A test client's Deployment `name`.
    #[must_use]
    pub fn client(&self, name: &str) -> Workload {
        Workload::client(self.clone(), name)
    }

    /// What most tests need: servers `backends`, each a Deployment and a Service; a Service `web` in front of all; and a test
    /// client that was seen to reach it.
    ///
    /// # Errors
    /// When they do not start in time.
    pub async fn web(&self, backends: &[&str]) -> Result<TestClient> {
        self.shop("web", json!({"app": "web"}), backends).await
    }

    /// Like [`web`](Self::web), with a root of another name, in front of those servers that `selector` selects.
    ///
    /// # Errors
    /// When they do not start in time.
    pub async fn shop(&self, root: &str, selector: serde_json::Value, backends: &[&str]) -> Result<TestClient> {
        for backend in backends {
            self.server(backend).apply().await?;
        }
        self.service(root, selector).await?;
        self.client("client").apply().await?;
        for name in backends.iter().chain(&["client"]) {
            self.rolled_out(name).await?;
        }
        let client = self.test_client("client").await?;
        client.reaches(&format!("http://{root}:8080/")).await?;
        Ok(client)
    }

    /// A Service for the test servers that `selector` selects, with all their ports.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn service(&self, name: &str, selector: serde_json::Value) -> Result<Service> {
        let port = |name: &str, port: u16| json!({"name": name, "port": port, "targetPort": port});
        let ports = [port("http", 8080), port("tcp", 9090), port("mysql", 3306)];
        self.apply(name, json!({"spec": {"selector": selector, "ports": ports}})).await
    }

    /// The ready pod of a test client's Deployment.
    ///
    /// # Errors
    /// When there is none.
    pub async fn test_client(&self, name: &str) -> Result<TestClient> {
        let pods = self.pods(name).await?;
        let pod = pods.into_iter().find(is_ready).ok_or_else(|| anyhow!("no pod of {name} is ready"))?;
        Ok(TestClient::new(self.cluster.clone(), pod))
    }

    /// Awaits that every pod of a Deployment is of its newest template and ready, and that no other pod is left.
    ///
    /// # Errors
    /// When that takes more than two minutes.
    pub async fn rolled_out(&self, name: &str) -> Result<Deployment> {
        eventually(START_LIMIT, &format!("the roll-out of Deployment {name}"), async || {
            let deployment = self.api::<Deployment>().get(name).await?;
            let status = deployment.status.clone().unwrap_or_default();
            let want = deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1);
            ensure!(status.observed_generation >= deployment.metadata.generation, "not seen by its controller yet");
            let counts =
                [status.replicas, status.updated_replicas, status.available_replicas].map(Option::unwrap_or_default);
            ensure!(counts == [want; 3], "pods, of the newest template, available: {counts:?}, of {want}");
            Ok(deployment)
        })
        .await
    }

    /// Sets the number of replicas of a Deployment.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn scale(&self, name: &str, replicas: u32) -> Result<()> {
        let patch = json!({"spec": {"replicas": replicas}});
        self.api::<Deployment>().patch_scale(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        Ok(())
    }

    /// Pods whose label `name` is this; a [`Workload`] labels its pods so. Those that are being deleted are left out.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn pods(&self, name: &str) -> Result<Vec<Pod>> {
        let pods = self.api::<Pod>().list(&ListParams::default().labels(&format!("name={name}"))).await?;
        Ok(pods.into_iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect())
    }

    /// The one pod of a [`Workload`] whose application runs, ready or not.
    ///
    /// # Errors
    /// When that does not come to be in time.
    pub async fn running_pod(&self, name: &str) -> Result<Pod> {
        eventually(START_LIMIT, &format!("the running pod of {name}"), async || {
            let pods = self.pods(name).await?;
            let [pod] = &pods[..] else { anyhow::bail!("there are {} pods", pods.len()) };
            let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
            ensure!(phase == Some("Running"), "it is {phase:?}");
            Ok(pod.clone())
        })
        .await
    }

    /// Applies a TrafficSplit.
    #[must_use]
    pub fn split(&self, name: &str, root: &str) -> SplitSpec {
        SplitSpec::new(self.clone(), name, root)
    }

    /// Events about the object of this name.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn events(&self, object: &str) -> Result<Vec<Event>> {
        let parameters = ListParams::default().fields(&format!("involvedObject.name={object}"));
        Ok(self.api::<Event>().list(&parameters).await?.items)
    }

    /// Awaits an Event about `object` with `reason`, whose message holds every one of `words`.
    ///
    /// # Errors
    /// When it does not come in time; the message holds the Events that did.
    pub async fn event(&self, object: &str, reason: &str, words: &[&str]) -> Result<Event> {
        eventually(Duration::from_secs(20), &format!("an Event {reason} about {object} with {words:?}"), async || {
            let events = self.events(object).await?;
            let is_it = |event: &&Event| {
                let message = event.message.as_deref().unwrap_or_default();
                event.reason.as_deref() == Some(reason) && words.iter().all(|word| message.contains(word))
            };
            let found = events.iter().find(is_it).cloned();
            found.ok_or_else(|| {
                let texts = events.iter().map(|event| format!("{:?}: {:?}", event.reason, event.message));
                anyhow!("there are {:?}", texts.collect::<Vec<_>>())
            })
        })
        .await
    }

    /// Awaits that a Deployment has no pod because the webhook `webhook` does not let its pods be created.
    ///
    /// # Errors
    /// When that is not seen in time.
    pub async fn waits_for_pods(&self, deployment: &str, webhook: &str) -> Result<()> {
        eventually(
            Duration::from_secs(30),
            &format!("Deployment {deployment} waiting for webhook {webhook}"),
            async || {
                let status = self.api::<Deployment>().get(deployment).await?.status.unwrap_or_default();
                let why = status.conditions.iter().flatten().find(|condition| condition.type_ == "ReplicaFailure");
                let why = why.and_then(|condition| condition.message.as_deref()).unwrap_or_default();
                ensure!(why.contains(webhook), "its conditions are {}", serde_json::to_string(&status.conditions)?);
                ensure!(status.replicas.unwrap_or_default() == 0, "it has {:?} pods", status.replicas);
                Ok(())
            },
        )
        .await
    }

    /// What the sidecar of a pod believes.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn proxy_config(&self, pod: &Pod) -> Result<serde_json::Value> {
        let config =
            self.cluster.ask_pod(http::Method::GET, pod, super::PROXY_ADMIN_PORT, "config", String::new()).await?;
        Ok(serde_json::from_str(&config)?)
    }
}

/// Whether a pod has the condition `Ready`.
pub(crate) fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.as_ref().and_then(|status| status.conditions.as_deref()).unwrap_or_default();
    conditions.iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}
