//! The intruder in its pod.

use anyhow::{Context, Result};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{Cluster, SKIP_INBOUND_PORTS, TestNamespace, Workload, as_manifest, bare_pod, image};
use crate::intrusion::{Approach, Attack, CONTROL_PORT, Damage, Outcome, Petition, Pose, Ruling, Seen};

/// Port of the sidecar that the intruder takes the place of.
const INBOUND_PORT: u16 = 15006;
/// Name of the sidecar's container.
const SIDECAR: &str = "weft-proxy";

/// A pod that does what nobody should get away with.
#[derive(Clone)]
pub struct Intruder {
    cluster: Cluster,
    /// Its pod.
    pub pod: Pod,
}

/// An attack that goes on.
pub struct RunningAttack<'a> {
    intruder: &'a Intruder,
    id: u64,
}

#[derive(Deserialize)]
struct Started {
    id: u64,
}

impl TestNamespace {
    /// An intruder in a pod outside of the mesh.
    ///
    /// # Errors
    /// When it does not start in time.
    pub async fn intruder(&self, name: &str) -> Result<Intruder> {
        let mut pod = bare_pod(
            name,
            json!({"containers": [{
                "name": "app",
                "image": image("intruder"),
                "imagePullPolicy": "IfNotPresent",
                "args": ["serve"],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": CONTROL_PORT}, "periodSeconds": 1},
            }]}),
        );
        pod["metadata"]["labels"][super::INJECT_LABEL] = "disabled".into();
        Ok(Intruder { cluster: self.cluster.clone(), pod: self.started_pod(&pod).await? })
    }

    /// A pod of `server` whose sidecar is the intruder: everybody takes it for a part of the mesh.
    ///
    /// # Errors
    /// When it does not start in time.
    pub async fn intruder_as_sidecar(&self, name: &str, server: Workload) -> Result<Intruder> {
        let mut pod = server.annotation(SKIP_INBOUND_PORTS, &format!("9000,{CONTROL_PORT}")).template();
        pod["metadata"]["name"] = name.into();
        // All ports lead to the intruder but this one, so here the kubelet has to ask the application.
        pod["spec"]["containers"][0]["readinessProbe"]["httpGet"] = json!({"path": "/ready", "port": 9000});
        let mut pod = as_manifest(&self.admitted(&pod).await?);
        let containers = pod["spec"]["initContainers"].as_array_mut().context("no init containers")?;
        let sidecar = containers.iter_mut().find(|container| container["name"] == SIDECAR).context("no sidecar")?;
        sidecar["image"] = image("intruder").into();
        sidecar["args"] = json!(["serve", format!("--pose-port={INBOUND_PORT}")]);
        for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
            sidecar.as_object_mut().context("no container")?.remove(probe);
        }
        Ok(Intruder { cluster: self.cluster.clone(), pod: self.started_pod(&pod).await? })
    }
}

impl Intruder {
    /// Makes one TLS connection.
    ///
    /// # Errors
    /// When the intruder does not answer. A refusal by the other side is an outcome.
    pub async fn approach(&self, wish: &Approach) -> Result<Outcome> {
        self.post("approach", wish).await
    }

    /// Asks the operator for a certificate.
    ///
    /// # Errors
    /// When the intruder does not answer, or cannot reach the operator. A refusal by the operator is a ruling.
    pub async fn petition(&self, petition: &Petition) -> Result<Ruling> {
        self.post("petition", petition).await
    }

    /// Answers from now on like this, in a sidecar's place.
    ///
    /// # Errors
    /// When the intruder does not answer.
    pub async fn pose(&self, pose: &Pose) -> Result<()> {
        self.send(Method::POST, "pose", serde_json::to_string(pose)?).await.map(|_nothing| ())
    }

    /// What has come since it took its pose.
    ///
    /// # Errors
    /// When the intruder does not answer.
    pub async fn seen(&self) -> Result<Seen> {
        self.get("pose").await
    }

    /// Starts an attack.
    ///
    /// # Errors
    /// When the intruder does not answer.
    pub async fn attack(&self, attack: &Attack) -> Result<RunningAttack<'_>> {
        let Started { id } = self.post("attack", attack).await?;
        Ok(RunningAttack { intruder: self, id })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        read(&self.send(Method::GET, path, String::new()).await?)
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        read(&self.send(Method::POST, path, serde_json::to_string(body)?).await?)
    }

    async fn send(&self, method: Method, path: &str, body: String) -> Result<String> {
        self.cluster.ask_pod(method, &self.pod, CONTROL_PORT, path, body).await.context("the intruder")
    }
}

impl RunningAttack<'_> {
    /// What it has done so far.
    ///
    /// # Errors
    /// When the intruder does not answer.
    pub async fn damage(&self) -> Result<Damage> {
        self.intruder.get(&format!("attack/{}", self.id)).await
    }

    /// Ends it and returns what it had done.
    ///
    /// # Errors
    /// When the intruder does not answer.
    pub async fn stop(self) -> Result<Damage> {
        self.intruder.post(&format!("attack/{}/stop", self.id), &()).await
    }
}

fn read<T: DeserializeOwned>(answer: &str) -> Result<T> {
    serde_json::from_str(answer).with_context(|| format!("unexpected answer: {answer}"))
}
