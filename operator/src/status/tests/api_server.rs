//! An API server for statuses: it keeps the objects, counts what is written, and tells the watches at once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body;
use http::{Method, Response};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use smi_crds::{
    access::v1alpha4::{IdentityBinding, TrafficTarget},
    specs::v1alpha4::{HttpRouteGroup, TcpRoute, UdpRoute},
    split::v1alpha4::TrafficSplit,
};
use tokio::sync::watch;

use super::NAMESPACE;
use crate::{
    index::{self, Index, Smi, SmiObject},
    model::{ObjectRef, SmiKind},
};

/// Time for what is awaited: far more than it takes.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) regarding: String,
    pub(super) note: String,
}

/// What it has. Objects go by the end of their path, such as `trafficsplits/web`.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) objects: BTreeMap<String, Value>,
    pub(super) writes: BTreeMap<String, usize>,
    pub(super) events: Vec<Event>,
    version: u64,
    failing: bool,
    refused: Option<String>,
}

impl State {
    /// The conditions of an object as text.
    pub(super) fn conditions(&self, path: &str) -> Vec<String> {
        let text = |condition: &Value| {
            let field = |name: &str| condition[name].as_str().unwrap_or_default().to_owned();
            format!("{}={} {}: {}", field("type"), field("status"), field("reason"), field("message"))
        };
        self.objects[path]["status"]["conditions"].as_array().into_iter().flatten().map(text).collect()
    }

    /// How many objects have a condition that holds this text.
    pub(super) fn saying(&self, text: &str) -> usize {
        self.objects.keys().filter(|path| self.conditions(path).iter().any(|known| known.contains(text))).count()
    }
}

#[derive(Clone)]
pub(super) struct ApiServer {
    state: watch::Sender<State>,
    index: Arc<Index>,
    /// A watch tells of changes in their order.
    order: Arc<Mutex<()>>,
}

impl ApiServer {
    pub(super) fn new(index: Arc<Index>) -> Self {
        Self { state: watch::Sender::new(State::default()), index, order: Arc::default() }
    }

    pub(super) fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let server = server.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let body = serde_json::from_slice(&body).unwrap();
                let (code, answer) = server.answer(&head.method, head.uri.path(), &body);
                let response = Response::builder().status(code).body(Body::from(answer.to_string())).unwrap();
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        Client::new(service, "default")
    }

    /// Looks at what it has.
    pub(super) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.borrow())
    }

    /// Awaits that it has something.
    pub(super) async fn until(&self, mut has: impl FnMut(&State) -> bool) {
        let mut state = self.state.subscribe();
        let seen = tokio::time::timeout(LIMIT, state.wait_for(|state| has(state))).await;
        let in_time = matches!(seen, Ok(Ok(_)));
        drop(seen);
        assert!(in_time, "in vain: {:#?}", self.state.borrow());
    }

    /// A user writes an object's spec.
    pub(super) fn apply<K: SmiObject>(&self, kind: &str, name: &str, generation: i64, spec: Value) {
        let path = format!("{}/{name}", K::plural(&()));
        self.change(&path, |object| {
            let status = object["status"].take();
            *object = json!({"apiVersion": K::api_version(&()), "kind": kind, "spec": spec, "status": status, "metadata": {
                "name": name, "namespace": NAMESPACE, "uid": format!("uid-{path}"), "generation": generation,
                "creationTimestamp": "2026-01-01T00:00:00Z"}});
        });
    }

    /// Somebody else writes an object's status.
    pub(super) fn overwrite(&self, path: &str, status: Value) {
        self.change(path, |object| object["status"] = status);
    }

    /// The next write fails.
    pub(super) fn fail_next(&self) {
        self.state.send_modify(|state| state.failing = true);
    }

    /// Takes no status of this object from now on; `None`: of all again.
    pub(super) fn refuse(&self, path: Option<&str>) {
        self.state.send_modify(|state| state.refused = path.map(str::to_owned));
    }

    fn change(&self, path: &str, change: impl FnOnce(&mut Value)) -> Value {
        let _one_at_a_time = self.order.lock().unwrap();
        let mut changed = Value::Null;
        self.state.send_modify(|state| {
            state.version += 1;
            let version = state.version.to_string();
            let object = state.objects.entry(path.to_owned()).or_default();
            change(object);
            object["metadata"]["resourceVersion"] = version.into();
            changed = object.clone();
        });
        match name(&changed).kind {
            SmiKind::TrafficSplit => self.tell::<TrafficSplit>(&changed),
            SmiKind::TrafficTarget => self.tell::<TrafficTarget>(&changed),
            SmiKind::IdentityBinding => self.tell::<IdentityBinding>(&changed),
            SmiKind::TcpRoute => self.tell::<TcpRoute>(&changed),
            SmiKind::UdpRoute => self.tell::<UdpRoute>(&changed),
            SmiKind::HttpRouteGroup => self.tell::<HttpRouteGroup>(&changed),
        }
        changed
    }

    fn tell<K: SmiObject>(&self, object: &Value) {
        index::apply::<Smi<K>>(&self.index, &serde_json::from_value(object.clone()).unwrap());
    }

    fn answer(&self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        if path.starts_with("/apis/events.k8s.io/") {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let event = Event { regarding: text(&body["regarding"]["name"]), note: text(&body["note"]) };
            self.state.send_modify(|state| state.events.push(event));
            return (201, body.clone());
        }
        let object =
            path.strip_suffix("/status").and_then(|path| path.split_once(&format!("/namespaces/{NAMESPACE}/")));
        let Some((_, object)) = object.filter(|_| method == Method::PATCH) else {
            return (404, json!({"kind": "Status", "code": 404, "reason": "NotFound", "message": path}));
        };
        let mut failure = None;
        self.state.send_modify(|state| {
            *state.writes.entry(object.to_owned()).or_default() += 1;
            if state.refused.as_deref() == Some(object) {
                failure = Some((422, "Invalid", "spec.service: too long"));
            } else if std::mem::take(&mut state.failing) {
                failure = Some((500, "InternalError", "etcd is slow"));
            }
        });
        match failure {
            Some((code, reason, message)) => {
                (code, json!({"kind": "Status", "code": code, "reason": reason, "message": message}))
            }
            None => (200, self.change(object, |known| known["status"] = body["status"].clone())),
        }
    }
}

/// The name of an object.
pub(super) fn name(object: &Value) -> ObjectRef {
    let kind = SmiKind::ALL.into_iter().find(|kind| object["kind"] == kind.as_str()).unwrap();
    ObjectRef::new(kind, NAMESPACE, object["metadata"]["name"].as_str().unwrap())
}
