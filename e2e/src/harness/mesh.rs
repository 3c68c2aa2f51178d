//! Weft's own parts and the node's daemons, for tests that break them.

use std::{process::Command, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::{
    api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod},
    jiff::{SignedDuration, Timestamp},
};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;

use super::{
    Cluster, WEFT_NAMESPACE,
    cluster::{is_existing, node_scripts},
    eventually,
    namespace::is_ready,
};

const OPERATOR: &str = "weft-operator";

/// Weft's operator.
#[derive(Clone)]
pub struct Mesh {
    cluster: Cluster,
}

impl Mesh {
    /// The Weft of this cluster.
    #[must_use]
    pub fn new(cluster: &Cluster) -> Self {
        Self { cluster: cluster.clone() }
    }

    /// Kills every operator without grace, does `meanwhile`, and starts one again, even if `meanwhile` fails.
    ///
    /// # Errors
    /// Those of `meanwhile`; and when the operators are not gone, or not back, in time.
    pub async fn without_operator<T>(&self, meanwhile: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        let done = match self.kill_operator().await {
            Ok(()) => meanwhile().await,
            Err(error) => Err(error),
        };
        self.start_operator().await?;
        done
    }

    /// Runs so many operators, does `meanwhile`, and runs one again, even if `meanwhile` fails.
    ///
    /// # Errors
    /// Those of `meanwhile`; and when they are not ready in time.
    pub async fn with_replicas<T>(&self, replicas: u8, meanwhile: impl AsyncFnOnce() -> Result<T>) -> Result<T> {
        self.scale(replicas.into()).await?;
        let ready = eventually(Duration::from_secs(60), "ready operators", async || {
            let pods = self.pods().list(&operator_pods()).await?;
            let ready = pods.iter().filter(|pod| is_ready(pod)).count();
            ensure!(ready == usize::from(replicas), "{ready} are ready");
            Ok(())
        });
        let done = match ready.await {
            Ok(()) => meanwhile().await,
            Err(error) => Err(error),
        };
        self.scale(1).await?;
        eventually(Duration::from_secs(60), "one operator", async || {
            let pods = self.pods().list(&operator_pods()).await?;
            ensure!(pods.items.len() == 1 && pods.iter().all(is_ready), "there are {}", pods.items.len());
            Ok(())
        })
        .await?;
        self.reached().await?;
        done
    }

    /// Kills one ready operator without grace, and returns its name. Another pod takes its place later.
    ///
    /// # Errors
    /// When none is ready.
    pub async fn kill_one(&self) -> Result<String> {
        let pods = self.pods().list(&operator_pods()).await?;
        let pod = pods.iter().find(|pod| is_ready(pod)).context("none is ready")?;
        let name = pod.metadata.name.clone().context("a pod without a name")?;
        self.pods().delete(&name, &DeleteParams::default().grace_period(0)).await?;
        Ok(name)
    }

    async fn kill_operator(&self) -> Result<()> {
        self.scale(0).await?;
        let pods = self.pods();
        pods.delete_collection(&DeleteParams::default().grace_period(0), &operator_pods()).await?;
        eventually(Duration::from_secs(30), "the end of the operator's pods", async || {
            let left = pods.list(&operator_pods()).await?.items.len();
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
        .await?;
        // The API server forgets a pod that is deleted without grace before its process has ended, for which the kubelet gives it
        // two seconds. A process that leads renews its Lease every two seconds.
        eventually(Duration::from_secs(30), "the end of the operator's process", async || {
            let (_, silent) = self.lease().await?;
            ensure!(silent > SignedDuration::from_secs(6), "it renewed its Lease {silent:#} ago");
            Ok(())
        })
        .await
    }

    /// Whether somebody holds the Lease, and how long ago it was renewed.
    async fn lease(&self) -> Result<(bool, SignedDuration)> {
        let leases = Api::<Lease>::namespaced(self.cluster.client.clone(), WEFT_NAMESPACE);
        let lease = leases.get(OPERATOR).await?.spec.context("the Lease is empty")?;
        let renewed = lease.renew_time.context("the Lease was never renewed")?.0;
        let held = lease.holder_identity.is_some_and(|holder| !holder.is_empty());
        Ok((held, Timestamp::now().duration_since(renewed)))
    }

    async fn start_operator(&self) -> Result<()> {
        self.scale(1).await?;
        eventually(Duration::from_secs(60), "a ready operator", async || {
            let pods = self.pods().list(&operator_pods()).await?;
            ensure!(pods.iter().any(is_ready), "none of {} pods is ready", pods.items.len());
            // Whether it lives is told by its Lease when it is killed again.
            let (held, silent) = self.lease().await?;
            ensure!(held && silent <= SignedDuration::from_secs(4), "it does not lead yet");
            Ok(())
        })
        .await?;
        self.reached().await
    }

    /// Awaits that the node's rules lead the API server to the operator's new address: it converts and validates an object.
    async fn reached(&self) -> Result<()> {
        let path = format!("/apis/split.smi-spec.io/v1alpha1/namespaces/{WEFT_NAMESPACE}/trafficsplits?dryRun=All");
        let split = json!({
            "apiVersion": "split.smi-spec.io/v1alpha1",
            "kind": "TrafficSplit",
            "metadata": {"name": "reached"},
            "spec": {"service": "web", "backends": [{"service": "v1", "weight": "1"}]},
        });
        eventually(Duration::from_secs(30), "the operator's webhooks", async || {
            let headers = [("content-type", "application/json")];
            let reply = self.cluster.request(http::Method::POST, &path, &headers, split.to_string()).await?;
            ensure!(reply.status == 201, "{}: {}", reply.status, reply.body);
            Ok(())
        })
        .await
    }

    async fn scale(&self, replicas: u32) -> Result<()> {
        let deployments = Api::<Deployment>::namespaced(self.cluster.client.clone(), WEFT_NAMESPACE);
        let patch = json!({"spec": {"replicas": replicas}});
        deployments.patch_scale(OPERATOR, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        Ok(())
    }

    fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.cluster.client.clone(), WEFT_NAMESPACE)
    }
}

fn operator_pods() -> ListParams {
    ListParams::default().labels(&format!("app.kubernetes.io/name={OPERATOR}"))
}

/// A node of the local cluster, whose daemons can be killed.
#[derive(Debug, Clone, Copy)]
pub struct Node(u8);

impl Node {
    /// Node 1 of the local cluster. `None` on somebody else's, where such a test says so and passes.
    #[must_use]
    pub fn local() -> Option<Self> {
        if is_existing() {
            println!("skipped: needs the local cluster, and WEFT_CLUSTER=existing");
            return None;
        }
        Some(Self(1))
    }

    /// Its number, as the scripts know it.
    pub(crate) fn number(self) -> u8 {
        self.0
    }

    /// Kills a daemon, and returns once it is back. The caller's other work goes on meanwhile.
    ///
    /// # Errors
    /// When it does not come back; the message holds what the script said.
    pub async fn kill(self, daemon: &'static str) -> Result<()> {
        let script = node_scripts().join("kill.sh");
        let kill = move || Command::new(&script).arg(self.0.to_string()).arg(daemon).output();
        let output = tokio::task::spawn_blocking(kill).await?.context("cannot run kill.sh")?;
        ensure!(output.status.success(), "kill.sh {daemon}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }

    /// Gives an image of the node another name, too.
    ///
    /// # Errors
    /// When there is no such image.
    pub async fn tag(self, image: &str, name: &str) -> Result<()> {
        let mut command = Command::new(node_scripts().join("enter.sh"));
        command.arg(self.0.to_string()).args(["ctr", "-n", "k8s.io", "images", "tag", "--force", image, name]);
        let output = tokio::task::spawn_blocking(move || command.output()).await?.context("cannot run enter.sh")?;
        ensure!(output.status.success(), "{image}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    }
}
