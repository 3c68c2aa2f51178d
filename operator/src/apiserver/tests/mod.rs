//! Tests of the API: requests as the API server sends them, against an API server that answers from a list.

mod access;
mod authentication;
mod documents;
mod metrics;

use std::{
    num::NonZeroU16,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::body::Body;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use rcgen::{BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::{ApiServer, Moment};
use crate::{
    https::Peer,
    model::{PodRef, ServiceRef, WorkloadKind, WorkloadRef},
    traffic::{Direction, EdgeKey, Histogram, Report, Source, Store, Totals, latency_bounds},
};

/// An authority, with the certificates that it has signed.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, "front-proxy-ca");
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(super) fn client(&self, common_name: &str) -> Vec<CertificateDer<'static>> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, common_name);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        vec![params.signed_by(&key, &self.issuer).unwrap().der().clone()]
    }

    pub(super) fn config_map(&self) -> std::collections::BTreeMap<String, String> {
        [
            ("requestheader-client-ca-file", self.pem.as_str()),
            ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            ("requestheader-uid-headers", r#"["X-Remote-Uid"]"#),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }
}

pub(super) fn peer(certificates: Vec<CertificateDer<'static>>) -> Peer {
    Peer { address: ([127, 0, 0, 1], 1).into(), certificates: certificates.into() }
}

/// The API server as the operator's client sees it: it has some objects, allows everybody everything but `mallory`, and keeps
/// what it was asked.
#[derive(Clone, Default)]
pub(super) struct Cluster {
    asked: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Cluster {
    pub(super) fn client(&self) -> Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let cluster = cluster.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let path = head.uri.path_and_query().unwrap().to_string();
                let (code, answer) = answer(&path, &body);
                cluster.asked.lock().unwrap().push((path, body));
                Response::builder().status(code).body(Body::from(answer.to_string()))
            }
        });
        Client::new(service, "default")
    }

    pub(super) fn asked(&self) -> Vec<(String, Value)> {
        self.asked.lock().unwrap().clone()
    }
}

fn answer(path: &str, body: &Value) -> (u16, Value) {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let object = |namespace: &str, name: &str| {
        json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": { "namespace": namespace, "name": name },
        })
    };
    let list = |items: &[(&str, &str)]| {
        let items: Vec<_> = items.iter().map(|(namespace, name)| object(namespace, name)).collect();
        json!({
            "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
            "metadata": { "resourceVersion": "7", "continue": "more" }, "items": items,
        })
    };
    let failure = |code: u16, reason: &str| {
        (
            code,
            json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason }),
        )
    };
    match path {
        "/apis/authorization.k8s.io/v1/subjectaccessreviews" => {
            let mut review = body.clone();
            let allowed = body["spec"]["user"] != "mallory";
            review["status"] = json!({ "allowed": allowed, "reason": if allowed { "" } else { "no rule says so" } });
            (201, review)
        }
        "/apis/apps/v1/namespaces/demo/deployments" if query.contains("Expired") => failure(410, "Expired"),
        "/apis/apps/v1/namespaces/demo/deployments" if query.contains("none") => (200, list(&[])),
        "/apis/apps/v1/namespaces/demo/deployments" if query.contains("labelSelector") => {
            (200, list(&[("demo", "web")]))
        }
        "/apis/apps/v1/namespaces/demo/deployments" => (200, list(&[("demo", "idle"), ("demo", "web")])),
        "/apis/apps/v1/deployments" => (200, list(&[("demo", "web"), ("other", "web")])),
        "/api/v1/namespaces/demo/pods" => (200, list(&[("demo", "web-0")])),
        "/apis/apps/v1/namespaces/demo/statefulsets" => failure(500, "Broken"),
        "/apis/apps/v1/namespaces/demo/deployments/web" => (200, object("demo", "web")),
        "/apis/apps/v1/namespaces/demo/deployments/idle" => (200, object("demo", "idle")),
        "/api/v1/namespaces/demo/pods/web-0" => (200, object("demo", "web-0")),
        _ => failure(404, "NotFound"),
    }
}

/// The moment of every test: ten seconds after the epoch.
fn clock() -> Moment {
    static INSTANT: std::sync::LazyLock<Instant> = std::sync::LazyLock::new(Instant::now);
    Moment { instant: *INSTANT, timestamp: jiff::Timestamp::from_second(1_554_762_355).unwrap() }
}

fn workload(name: &str) -> WorkloadRef {
    WorkloadRef { namespace: "demo".into(), kind: WorkloadKind::Deployment, name: name.into() }
}

fn edge(direction: Direction, root: Option<&str>, peer: Option<&str>) -> EdgeKey {
    EdgeKey {
        direction,
        root: root.map(|name| ServiceRef { namespace: "demo".into(), name: name.into() }),
        split: None,
        backend: None,
        peer: peer.map(workload),
        peer_pod: peer.map(|peer| format!("{peer}-0")),
        port: NonZeroU16::MIN,
    }
}

fn totals(success: u64, failure: u64) -> Totals {
    let mut buckets = vec![0; latency_bounds().len() + 1];
    // Between 7.6 and 8.4 ms, and between 51 and 56 ms.
    buckets[46] = success;
    buckets[66] = failure;
    let latency = Histogram::from_buckets(buckets).unwrap();
    Totals { success, failure, latency, ..Totals::default() }
}

/// Traffic of web (one pod) to catalog-v1 and to nobody known, three seconds ago.
pub(super) fn store() -> Arc<Store> {
    let store = Store::new();
    let source = Source { pod: PodRef { namespace: "demo".into(), name: "web-0".into() }, workload: workload("web") };
    let edges = [
        (edge(Direction::Inbound, None, None), totals(90, 10)),
        (edge(Direction::Outbound, Some("catalog"), Some("catalog-v1")), totals(299, 1)),
        (edge(Direction::Outbound, Some("web"), Some("web")), totals(5, 0)),
        (edge(Direction::Outbound, None, None), totals(0, 2)),
    ];
    let report = Report { instance: "a".into(), uptime: Duration::from_secs(20), edges: edges.into() };
    store.record(&source, report, true, clock().instant - Duration::from_secs(3)).unwrap();
    store
}

/// An API with traffic, its cluster, and a connection that it believes.
pub(super) struct Setup {
    pub(super) api: Arc<ApiServer>,
    pub(super) cluster: Cluster,
    peer: Peer,
}

impl Setup {
    pub(super) fn new() -> Self {
        let cluster = Cluster::default();
        let authority = Authority::new();
        let api = ApiServer::with_clock(cluster.client(), store(), clock);
        api.authenticator.configure(&authority.config_map()).unwrap();
        let peer = peer(authority.client("front-proxy-client"));
        Self { api, cluster, peer }
    }

    /// Sends a request of alice with further headers; the answer is JSON whatever becomes of it.
    pub(super) async fn request(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path).extension(self.peer.clone());
        if !headers.iter().any(|(name, _)| *name == "x-remote-user") {
            request = request.header("x-remote-user", "alice");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        send(&self.api, request.body(Body::empty()).unwrap()).await
    }

    pub(super) async fn get(&self, path: &str) -> (StatusCode, Value) {
        self.request("GET", &format!("/apis/metrics.smi-spec.io/{path}"), &[]).await
    }

    pub(super) async fn table(&self, path: &str) -> Value {
        let accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let path = format!("/apis/metrics.smi-spec.io/{path}");
        self.request("GET", &path, &[("accept", accept)]).await.1
    }
}

pub(super) async fn send(api: &Arc<ApiServer>, request: Request<Body>) -> (StatusCode, Value) {
    let response = api.router().oneshot(request).await.unwrap();
    let code = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (code, serde_json::from_slice(&body).unwrap())
}

fn texts(rows: &Value) -> Vec<Vec<String>> {
    serde_json::from_value(rows.clone()).unwrap()
}

/// The cells of a table.
pub(super) fn cells(table: &Value) -> Vec<Vec<String>> {
    let rows = table["rows"].as_array().unwrap().iter().map(|row| row["cells"].clone()).collect();
    texts(&Value::Array(rows))
}
