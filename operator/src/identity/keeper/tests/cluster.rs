//! An API server that has Secrets and ConfigMaps of one namespace, and watches on them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use http::{Method, Request, Response};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::{broadcast, watch};
use tokio_stream::wrappers::BroadcastStream;

/// Objects by plural and name.
type Objects = BTreeMap<(String, String), Value>;

/// The API server and what it has.
#[derive(Clone)]
pub(super) struct Cluster {
    objects: Arc<Mutex<Objects>>,
    /// Reasons and notes of Events.
    events: Arc<Mutex<Vec<(String, String)>>>,
    changes: broadcast::Sender<(String, &'static str, Value)>,
    /// Counts what happened, and is the version of what it happened to.
    revision: watch::Sender<u64>,
}

impl Cluster {
    pub(super) fn new() -> Self {
        Self {
            objects: Arc::default(),
            events: Arc::default(),
            changes: broadcast::channel(64).0,
            revision: watch::Sender::new(1),
        }
    }

    /// Waits until it `is` so.
    pub(super) async fn until(&self, what: &str, is: impl Fn(&Self) -> bool) {
        let mut revision = self.revision.subscribe();
        let wait = revision.wait_for(|_| is(self));
        tokio::time::timeout(Duration::from_secs(20), wait).await.unwrap_or_else(|_| panic!("never: {what}")).unwrap();
    }

    pub(super) fn client(&self) -> Client {
        let cluster = self.clone();
        let service = tower::service_fn(move |request: Request<kube::client::Body>| {
            let cluster = cluster.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let path: Vec<String> = head.uri.path().split('/').skip(1).map(str::to_owned).collect();
                let query = head.uri.query().unwrap_or_default().to_owned();
                Ok::<_, std::convert::Infallible>(cluster.answer(&head.method, &path, &query, &body))
            }
        });
        Client::new(service, "weft-system")
    }

    pub(super) fn get(&self, plural: &str, name: &str) -> Option<Value> {
        self.objects.lock().unwrap().get(&(plural.to_owned(), name.to_owned())).cloned()
    }

    /// Stores an object as somebody else would; `None` deletes it.
    pub(super) fn put(&self, plural: &str, name: &str, object: Option<Value>) {
        let key = (plural.to_owned(), name.to_owned());
        let mut objects = self.objects.lock().unwrap();
        let (verb, object) = match object {
            Some(mut object) => {
                let version = *self.revision.borrow() + 1;
                for (field, value) in
                    [("name", name), ("namespace", "weft-system"), ("resourceVersion", &version.to_string())]
                {
                    object["metadata"][field] = json!(value);
                }
                let old = objects.insert(key, object.clone());
                (if old.is_some() { "MODIFIED" } else { "ADDED" }, object)
            }
            None => ("DELETED", objects.remove(&key).unwrap()),
        };
        drop(objects);
        // Nobody may be watching.
        let _ = self.changes.send((plural.to_owned(), verb, object));
        self.revision.send_modify(|revision| *revision += 1);
    }

    pub(super) fn events(&self) -> Vec<String> {
        self.events.lock().unwrap().iter().map(|(reason, _)| reason.clone()).collect()
    }

    /// Notes of Events with this reason.
    pub(super) fn notes(&self, reason: &str) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().filter(|(known, _)| known == reason).map(|(_, note)| note.clone()).collect()
    }

    fn answer(&self, method: &Method, path: &[String], query: &str, body: &Bytes) -> Response<Body> {
        let plural = |at: usize| path.get(at).cloned().unwrap_or_default();
        if path.first().is_some_and(|first| first == "apis") {
            let event: Value = serde_json::from_slice(body).unwrap();
            let text = |field: &str| event[field].as_str().unwrap_or_default().to_owned();
            self.events.lock().unwrap().push((text("reason"), text("note")));
            self.revision.send_modify(|revision| *revision += 1);
            return reply(201, &event);
        }
        let plural = plural(4);
        match (method, path.get(5)) {
            (&Method::GET, None) if query.contains("watch=true") => self.watch(&plural, &name_of(query)),
            (&Method::GET, None) => {
                let items: Vec<Value> = self.get(&plural, &name_of(query)).into_iter().collect();
                reply(
                    200,
                    &json!({"kind": "List", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}, "items": items}),
                )
            }
            (&Method::POST, None) => {
                let object: Value = serde_json::from_slice(body).unwrap();
                let name = object["metadata"]["name"].as_str().unwrap().to_owned();
                if self.get(&plural, &name).is_some() {
                    return refuse(409, "AlreadyExists");
                }
                self.put(&plural, &name, Some(object));
                reply(201, &self.get(&plural, &name).unwrap())
            }
            (&Method::PUT, Some(name)) => {
                let object: Value = serde_json::from_slice(body).unwrap();
                let known = self.get(&plural, name).unwrap();
                if known["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                    return refuse(409, "Conflict");
                }
                self.put(&plural, name, Some(object));
                reply(200, &self.get(&plural, name).unwrap())
            }
            (&Method::PATCH, Some(name)) => {
                let object: Value = serde_json::from_slice(body).unwrap();
                if self.get(&plural, name).is_none_or(|known| known["data"] != object["data"]) {
                    self.put(&plural, name, Some(object));
                }
                reply(200, &self.get(&plural, name).unwrap())
            }
            _ => refuse(404, "NotFound"),
        }
    }

    fn watch(&self, plural: &str, name: &str) -> Response<Body> {
        let (plural, name) = (plural.to_owned(), name.to_owned());
        // What happened between the list and the watch is told as well: the versions of a list say nothing here.
        let changes = BroadcastStream::new(self.changes.subscribe());
        let first = self.get(&plural, &name).map(|object| line("MODIFIED", &object));
        let lines = changes.filter_map(move |change| {
            let change = change.ok().filter(|(kind, _, object)| *kind == plural && object["metadata"]["name"] == *name);
            std::future::ready(change.map(|(_, verb, object)| line(verb, &object)))
        });
        let lines = futures::stream::iter(first).chain(lines).map(Ok::<_, std::convert::Infallible>);
        Response::new(Body::from_stream(lines))
    }
}

fn name_of(query: &str) -> String {
    let query = query.replace("%3D", "=");
    query.split('&').find_map(|part| part.strip_prefix("fieldSelector=metadata.name=")).unwrap().to_owned()
}

fn line(verb: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": verb, "object": object})))
}

fn reply(code: u16, answer: &Value) -> Response<Body> {
    Response::builder().status(code).body(Body::from(answer.to_string())).unwrap()
}

fn refuse(code: u16, reason: &str) -> Response<Body> {
    let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason});
    reply(code, &status)
}
