//! Thousands of objects that nothing runs: Nodes without a kubelet, Pods on them, Services with slices written by hand, and SMI
//! objects of every kind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use e2e::harness::{Cluster, TestNamespace};
use futures::{StreamExt, TryStreamExt, future::try_join_all, stream};
use http::Method;
use k8s_openapi::api::core::v1::{Node, Pod, Service};
use kube::{
    Api,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};

pub(super) const NAMESPACES: usize = 5;
pub(super) const SERVICES: usize = 500;
pub(super) const PODS: usize = 2000;
pub(super) const OBJECTS: usize = 5000;
const NODES: usize = 10;
/// Of each namespace.
const ROOTS: usize = SERVICES / NAMESPACES;
const PODS_EACH: usize = PODS / NAMESPACES;
/// Endpoints of each Service.
const ENDPOINTS: usize = PODS_EACH / ROOTS;
/// Requests on their way at once.
const AT_ONCE: usize = 24;
const LABEL: &str = "e2e/scale";

/// Plurals, kinds, and how many there are of each in a namespace.
const KINDS: [(&str, &str, &str, usize); 6] = [
    ("split.smi-spec.io", "trafficsplits", "TrafficSplit", 4 * ROOTS),
    ("specs.smi-spec.io", "httproutegroups", "HTTPRouteGroup", 2 * ROOTS),
    ("specs.smi-spec.io", "tcproutes", "TCPRoute", ROOTS / 2),
    ("specs.smi-spec.io", "udproutes", "UDPRoute", ROOTS / 2),
    ("access.smi-spec.io", "traffictargets", "TrafficTarget", 2 * ROOTS),
    ("access.smi-spec.io", "identitybindings", "IdentityBinding", ROOTS),
];

/// All of them.
pub(super) struct Crowd {
    pub(super) cluster: Cluster,
    pub(super) namespaces: Vec<TestNamespace>,
}

/// A Service that is split.
pub(super) struct Root {
    pub(super) namespace: TestNamespace,
    pub(super) number: usize,
    pub(super) address: SocketAddr,
}

impl Root {
    /// The name of its split without matches, which is its own name, too.
    pub(super) fn name(&self) -> String {
        root(self.number)
    }
}

impl Crowd {
    /// Namespaces and nothing in them.
    pub(super) async fn new(cluster: &Cluster) -> Result<Self> {
        let create = (0..NAMESPACES).map(|_| TestNamespace::create_with(cluster, "scale", false));
        Ok(Self { cluster: cluster.clone(), namespaces: try_join_all(create).await? })
    }

    /// Nodes, Services, slices and Pods.
    pub(super) async fn settle(&self) -> Result<()> {
        let nodes = (0..NODES).map(|number| ("/api/v1/nodes".to_owned(), node(number)));
        self.create(nodes.collect()).await?;
        let mut objects = Vec::new();
        for (place, namespace) in self.namespaces.iter().enumerate() {
            let core = format!("/api/v1/namespaces/{}", namespace.name);
            let slices = format!("/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices", namespace.name);
            objects.extend((0..PODS_EACH).map(|number| (format!("{core}/pods"), pod(number))));
            objects.extend((0..ROOTS).map(|number| (format!("{core}/services"), service(number))));
            objects.extend((0..ROOTS).map(|number| (slices.clone(), slice(place, number))));
        }
        self.create(objects).await?;
        let mut addresses = Vec::new();
        for (place, namespace) in self.namespaces.iter().enumerate() {
            addresses.extend((0..PODS_EACH).map(|number| {
                let path = format!("/api/v1/namespaces/{}/pods/{}/status", namespace.name, pod_name(number));
                let ip = ip(place, number).to_string();
                let ready = json!([{"type": "Ready", "status": "True"}]);
                let status = json!({"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": ready});
                (path, json!({"status": status}))
            }));
        }
        self.send(Method::PATCH, "application/merge-patch+json", addresses).await
    }

    /// SMI objects of every kind.
    pub(super) async fn govern(&self) -> Result<()> {
        let mut objects = Vec::new();
        for namespace in &self.namespaces {
            for (group, plural, kind, count) in KINDS {
                let path = format!("/apis/{group}/v1alpha4/namespaces/{}/{plural}", namespace.name);
                objects.extend((0..count).map(|number| {
                    let (name, spec) = smi(kind, number);
                    let object = json!({"apiVersion": format!("{group}/v1alpha4"), "kind": kind,
                        "metadata": {"name": name}, "spec": spec});
                    (path.clone(), object)
                }));
            }
        }
        self.create(objects).await
    }

    /// How many SMI objects have a status of their newest generation.
    pub(super) async fn said(&self) -> Result<usize> {
        let mut said = 0;
        for namespace in &self.namespaces {
            for (group, plural, _, _) in KINDS {
                let path = format!("/apis/{group}/v1alpha4/namespaces/{}/{plural}", namespace.name);
                let list: Value = self.cluster.get(&path).await?.json()?;
                let items = list["items"].as_array().context("no list")?;
                let is_said = |object: &&Value| {
                    let conditions = object["status"]["conditions"].as_array();
                    let is_accepted = |known: &Value| known["type"] == "Accepted" && known["status"] == "True";
                    conditions.is_some_and(|conditions| conditions.iter().any(is_accepted))
                        && object["status"]["observedGeneration"] == object["metadata"]["generation"]
                };
                said += items.iter().filter(is_said).count();
            }
        }
        Ok(said)
    }

    /// Every root, by namespace and number.
    pub(super) async fn roots(&self) -> Result<Vec<Root>> {
        let mut roots = Vec::new();
        for namespace in &self.namespaces {
            let services = namespace.api::<Service>().list(&ListParams::default()).await?;
            for number in 0..ROOTS {
                let service = services.items.iter().find(|service| service.metadata.name == Some(root(number)));
                let spec = service.and_then(|service| service.spec.as_ref()).context("a Service is missing")?;
                let ip: IpAddr = spec.cluster_ip.as_deref().context("no address")?.parse()?;
                roots.push(Root { namespace: namespace.clone(), number, address: SocketAddr::new(ip, 80) });
            }
        }
        Ok(roots)
    }

    /// Some pods of a namespace.
    pub(super) async fn pods(&self, namespace: &TestNamespace, count: usize) -> Result<Vec<Pod>> {
        let pods = namespace.api::<Pod>();
        try_join_all((0..count).map(|number| {
            let pods = pods.clone();
            async move { Ok(pods.get(&pod_name(number)).await?) }
        }))
        .await
    }

    /// Deletes everything.
    pub(super) async fn disperse(&self) -> Result<()> {
        for namespace in &self.namespaces {
            namespace.delete().await?;
        }
        let nodes = Api::<Node>::all(self.cluster.client.clone());
        nodes.delete_collection(&DeleteParams::default(), &ListParams::default().labels(LABEL)).await?;
        Ok(())
    }

    async fn create(&self, objects: Vec<(String, Value)>) -> Result<()> {
        self.send(Method::POST, "application/json", objects).await
    }

    async fn send(&self, method: Method, media: &str, objects: Vec<(String, Value)>) -> Result<()> {
        let send = |(path, object): (String, Value)| {
            let method = method.clone();
            async move {
                let headers = [("content-type", media)];
                let reply = self.cluster.request(method, &path, &headers, object.to_string()).await?;
                reply.json::<Value>().with_context(|| path).map(drop)
            }
        };
        stream::iter(objects.into_iter().map(send)).buffer_unordered(AT_ONCE).try_collect().await
    }
}

fn root(number: usize) -> String {
    format!("root-{number}")
}

fn pod_name(number: usize) -> String {
    format!("pod-{number}")
}

/// An address of nobody: this range is of the cluster's pods on nodes that it will never have.
fn ip(place: usize, number: usize) -> Ipv4Addr {
    let octet = |number: usize| u8::try_from(number % 250).unwrap_or_default();
    Ipv4Addr::new(10, 200 + octet(place), octet(number / 250), 1 + octet(number))
}

fn node(number: usize) -> Value {
    let taints = json!([{"key": LABEL, "effect": "NoSchedule"}]);
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("scale-{number}"), "labels": {LABEL: "1"}},
        "spec": {"taints": taints, "unschedulable": true}})
}

fn pod(number: usize) -> Value {
    let container = |name: &str| json!({"name": name, "image": "localhost/none:dev"});
    json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": pod_name(number), "labels": {"app": root(number / ENDPOINTS), LABEL: "1"}},
        "spec": {"nodeName": format!("scale-{}", number % NODES), "automountServiceAccountToken": false,
            "tolerations": [{"operator": "Exists"}],
            "initContainers": [container("weft-proxy")], "containers": [container("app")]}})
}

fn service(number: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": root(number)},
        "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}})
}

fn slice(place: usize, number: usize) -> Value {
    let endpoint = |endpoint: usize| {
        let pod = number * ENDPOINTS + endpoint;
        json!({"addresses": [ip(place, pod).to_string()], "conditions": {"ready": true},
            "targetRef": {"kind": "Pod", "name": pod_name(pod)}})
    };
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"name": root(number), "labels": {"kubernetes.io/service-name": root(number)}},
        "ports": [{"name": "http", "port": 8080}],
        "endpoints": (0..ENDPOINTS).map(endpoint).collect::<Vec<_>>()})
}

/// Name and spec of an object. The first splits have no matches, so that each root has one for what is left.
fn smi(kind: &str, number: usize) -> (String, Value) {
    let root_number = number % ROOTS;
    let neighbour = |by: usize| root((root_number + by) % ROOTS);
    let backends = json!([{"service": neighbour(1), "weight": 90}, {"service": neighbour(2), "weight": 10}]);
    let (name, account) = (root(number), json!({"kind": "ServiceAccount", "name": "default"}));
    let spec = match kind {
        "TrafficSplit" if number < ROOTS => json!({"service": root(root_number), "backends": backends}),
        "TrafficSplit" => json!({"service": root(root_number), "backends": backends,
            "matches": [{"kind": "HTTPRouteGroup", "name": root(number % (2 * ROOTS))}]}),
        "HTTPRouteGroup" => json!({"matches": [
            {"name": "read", "pathRegex": format!("/read/{number}/[a-z]+"), "methods": ["GET", "HEAD"]},
            {"name": "insiders", "headers": {"cookie": "(^|.*; )insider=1(;.*|$)"}}]}),
        "TCPRoute" | "UDPRoute" => json!({"matches": {"ports": [8080, 9090]}}),
        "TrafficTarget" => {
            json!({"destination": account, "sources": [{"kind": "IdentityBinding", "name": root(root_number)}],
            "rules": [{"kind": "HTTPRouteGroup", "name": name, "matches": ["read"]},
                {"kind": "TCPRoute", "name": root(root_number % (ROOTS / 2))}]})
        }
        _ => json!({"schemes": {"podLabelSelector": {"matchLabels": {"app": name}}}}),
    };
    (name, spec)
}
