//! Deployments of software that others wrote.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{ConfigMap, Pod, Service},
};
use serde_json::{Value, json};

use super::{INJECT_LABEL, TestNamespace, image, workload::APPLICATION};

/// Folder of [`Program::file`].
const FILES: &str = "/files";

/// A Deployment of one pod to be, and for a server its Service.
#[derive(Clone)]
pub struct Program {
    namespace: TestNamespace,
    name: String,
    image: String,
    command: Vec<String>,
    ports: Vec<u16>,
    ready: Vec<String>,
    files: BTreeMap<String, String>,
    user: Option<i64>,
    meshed: bool,
}

impl TestNamespace {
    /// A program of the image `image`: `debian`, a root file system with servers and clients, or `interop`, tests of protocols.
    #[must_use]
    pub fn program(&self, image_name: &str, command: &[&str]) -> Program {
        Program {
            namespace: self.clone(),
            name: "program".to_owned(),
            image: image(image_name),
            command: command.iter().map(|&word| word.to_owned()).collect(),
            ports: Vec::new(),
            ready: Vec::new(),
            files: BTreeMap::new(),
            user: None,
            meshed: true,
        }
    }
}

impl Program {
    /// Name of its Deployment, and of its Service.
    #[must_use]
    pub fn name(self, name: &str) -> Self {
        Self { name: name.to_owned(), ..self }
    }

    /// A port that its Service has.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.ports.push(port);
        self
    }

    /// A command that succeeds in its container once it serves. To the kubelet a sidecar answers before its application does.
    #[must_use]
    pub fn ready(self, command: &[&str]) -> Self {
        Self { ready: command.iter().map(|&word| word.to_owned()).collect(), ..self }
    }

    /// A file `/files/NAME`.
    #[must_use]
    pub fn file(mut self, name: &str, content: &str) -> Self {
        self.files.insert(name.to_owned(), content.to_owned());
        self
    }

    /// The number of the user that it runs as.
    #[must_use]
    pub fn user(self, user: i64) -> Self {
        Self { user: Some(user), ..self }
    }

    /// Whether it gets a sidecar.
    #[must_use]
    pub fn meshed(self, meshed: bool) -> Self {
        Self { meshed, ..self }
    }

    /// Applies it; [`started`](Self::started) awaits it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn apply(&self) -> Result<()> {
        let (namespace, name) = (&self.namespace, self.name.as_str());
        if !self.files.is_empty() {
            namespace.apply::<ConfigMap>(name, json!({"data": self.files})).await?;
        }
        if !self.ports.is_empty() {
            let ports: Vec<Value> =
                self.ports.iter().map(|port| json!({"name": format!("port-{port}"), "port": port})).collect();
            namespace.apply::<Service>(name, json!({"spec": {"selector": {"name": name}, "ports": ports}})).await?;
        }
        let deployment = json!({"spec": {
            "selector": {"matchLabels": {"name": name}},
            "template": {"metadata": {"labels": self.labels()}, "spec": self.pod()},
        }});
        namespace.apply::<Deployment>(name, deployment).await?;
        Ok(())
    }

    /// Awaits its pod.
    ///
    /// # Errors
    /// When it is not ready in time.
    pub async fn started(&self) -> Result<Pod> {
        self.namespace.rolled_out(&self.name).await?;
        self.namespace.running_pod(&self.name).await
    }

    fn labels(&self) -> Value {
        json!({"name": self.name, INJECT_LABEL: if self.meshed { "enabled" } else { "disabled" }})
    }

    fn pod(&self) -> Value {
        let mut container = json!({
            "name": APPLICATION,
            "image": self.image,
            "imagePullPolicy": "IfNotPresent",
            "command": self.command,
        });
        if !self.ready.is_empty() {
            container["readinessProbe"] =
                json!({"exec": {"command": self.ready}, "periodSeconds": 1, "failureThreshold": 60});
        }
        let mut pod = json!({"terminationGracePeriodSeconds": 2});
        if !self.files.is_empty() {
            container["volumeMounts"] = json!([{"name": "files", "mountPath": FILES}]);
            pod["volumes"] = json!([{"name": "files", "configMap": {"name": self.name}}]);
        }
        if let Some(user) = self.user {
            container["securityContext"] = json!({"runAsUser": user, "runAsGroup": user});
        }
        pod["containers"] = json!([container]);
        pod
    }
}
