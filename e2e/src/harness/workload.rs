//! Deployments of the test applications.

use std::collections::BTreeMap;

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use serde_json::{Value, json};

use super::{SKIP_INBOUND_PORTS, TestNamespace};

/// Name of the application's container in its pod.
pub(crate) const APPLICATION: &str = "app";

/// A test application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Image {
    /// Answers, and counts who asked.
    Server,
    /// Asks, and counts who answered.
    Client,
}

impl Image {
    /// Name of the image as the cluster knows it.
    #[must_use]
    pub fn reference(self) -> String {
        let name = match self {
            Self::Server => "testserver",
            Self::Client => "testclient",
        };
        image(name)
    }
}

/// The image `name` as the cluster knows it. Whoever has a registry sets the environment variable `WEFT_E2E_IMAGES` to a pattern
/// like `registry.example/weft/{name}:v1`.
#[must_use]
pub fn image(name: &str) -> String {
    std::env::var("WEFT_E2E_IMAGES").unwrap_or_else(|_unset| "localhost/{name}:dev".to_owned()).replace("{name}", name)
}

/// A Deployment to be, and for a server its Service.
#[derive(Clone)]
pub struct Workload {
    namespace: TestNamespace,
    name: String,
    image: Image,
    replicas: u32,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    pod: Value,
    http_port: u16,
    own_service: bool,
}

impl Workload {
    pub(crate) fn server(namespace: TestNamespace, name: &str) -> Self {
        Self::new(namespace, name, Image::Server).label("app", "web")
    }

    pub(crate) fn client(namespace: TestNamespace, name: &str) -> Self {
        Self { own_service: false, ..Self::new(namespace, name, Image::Client) }
    }

    fn new(namespace: TestNamespace, name: &str, image: Image) -> Self {
        Self {
            namespace,
            name: name.to_owned(),
            image,
            replicas: 1,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            environment: BTreeMap::new(),
            pod: json!({}),
            http_port: 8080,
            own_service: true,
        }
        .label("name", name)
        // The harness controls the applications by this port, which is no traffic of the mesh.
        .annotation(SKIP_INBOUND_PORTS, "9000")
    }

    /// Number of pods.
    #[must_use]
    pub fn replicas(self, replicas: u32) -> Self {
        Self { replicas, ..self }
    }

    /// A label of the pods.
    #[must_use]
    pub fn label(mut self, key: &str, value: &str) -> Self {
        self.labels.insert(key.to_owned(), value.to_owned());
        self
    }

    /// An annotation of the pods.
    #[must_use]
    pub fn annotation(mut self, key: &str, value: &str) -> Self {
        self.annotations.insert(key.to_owned(), value.to_owned());
        self
    }

    /// An environment variable of the application.
    #[must_use]
    pub fn environment(mut self, key: &str, value: &str) -> Self {
        self.environment.insert(key.to_owned(), value.to_owned());
        self
    }

    /// A field of the pods' spec.
    #[must_use]
    pub fn pod(mut self, field: &str, value: Value) -> Self {
        self.pod[field] = value;
        self
    }

    /// Where a server listens for HTTP, in place of 8080.
    #[must_use]
    pub fn http_port(self, port: u16) -> Self {
        Self { http_port: port, ..self }.environment("HTTP_PORT", &port.to_string())
    }

    /// Makes no Service of the server's name.
    #[must_use]
    pub fn without_service(self) -> Self {
        Self { own_service: false, ..self }
    }

    /// Applies it; [`TestNamespace::rolled_out`] awaits it.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn apply(&self) -> Result<Deployment> {
        if self.own_service {
            self.namespace.service(&self.name, json!({"name": self.name})).await?;
        }
        self.namespace.apply(&self.name, self.manifest()).await
    }

    /// Applies it and awaits its pods.
    ///
    /// # Errors
    /// When the API server refuses, or the pods are not ready in time.
    pub async fn rolled_out(&self) -> Result<Deployment> {
        self.apply().await?;
        self.namespace.rolled_out(&self.name).await
    }

    fn manifest(&self) -> Value {
        json!({"spec": {
            "replicas": self.replicas,
            "selector": {"matchLabels": {"name": self.name}},
            "template": self.template(),
        }})
    }

    /// The pods' template.
    #[must_use]
    pub fn template(&self) -> Value {
        let mut environment: Vec<Value> =
            self.environment.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        environment.push(json!({"name": "NAME", "value": self.name}));
        environment.push(json!({"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}));
        let mut container = json!({
            "name": APPLICATION,
            "image": self.image.reference(),
            "imagePullPolicy": "IfNotPresent",
            "env": environment,
        });
        let ready = |path: &str, port: u16| json!({"httpGet": {"path": path, "port": port}, "periodSeconds": 1});
        match self.image {
            Image::Server => {
                container["ports"] = json!([{"name": "http", "containerPort": self.http_port}]);
                container["readinessProbe"] = ready("/probe", self.http_port);
            }
            Image::Client => {
                container["args"] = json!(["serve"]);
                container["readinessProbe"] = ready("/ready", 9000);
            }
        }
        let mut pod = json!({"containers": [container], "terminationGracePeriodSeconds": 20});
        for (field, value) in self.pod.as_object().into_iter().flatten() {
            pod[field] = value.clone();
        }
        json!({"metadata": {"labels": self.labels, "annotations": self.annotations}, "spec": pod})
    }
}
