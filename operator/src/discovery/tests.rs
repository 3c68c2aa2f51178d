//! A sidecar's conversation with the operator over gRPC, against an API server that answers from a list.

mod certificates;
mod flood;
mod sidecar;
mod streams;
mod trust;

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{
    body::Body,
    extract::{ConnectInfo, Request as HttpRequest},
    middleware::{Next, from_fn},
};
use http::Response;
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{
    Request,
    service::Routes,
    transport::{Channel, Endpoint},
};
use weft_proxy_api::{
    TOKEN_AUDIENCE,
    v1::{discovery_server::DiscoveryServer, identity_server::IdentityServer},
};

use self::sidecar::Sidecar;
use super::{Authenticator, Certificates, Ledgers, Streams};
use crate::{
    compile::Mesh,
    https::Peer,
    identity::{Authority, Counts, testing},
    index::{Index, Kind, Pods},
    publish::Publisher,
};

/// Life of the certificates.
const LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// An operator that serves over plain TCP.
struct Operator {
    address: SocketAddr,
    index: Arc<Index>,
    /// Whether the API server reviews tokens whose account is `slow`.
    reviews: watch::Sender<bool>,
    ledgers: Ledgers,
    counts: Arc<Counts>,
    authority: watch::Sender<Option<Arc<Authority>>>,
    stop: CancellationToken,
    streams: TaskTracker,
    server: JoinHandle<()>,
}

impl Operator {
    /// Its index has been read and holds the pods of [`pod`] whose names are given.
    async fn start(pods: &[&str]) -> Self {
        let index = Arc::new(Index::default());
        index.pretend_listed();
        let mesh = Mesh { cluster_domain: "cluster.local".to_owned(), trust_domain: "cluster.local".to_owned() };
        let publisher = Arc::new(Publisher::new(Arc::clone(&index), mesh));
        let (authority, authorities) = watch::channel(Some(Arc::new(testing::authority(LIFE * 10))));
        let (ledgers, counts) = (Ledgers::default(), Arc::new(Counts::default()));
        let (streams, stop) = (TaskTracker::new(), CancellationToken::new());
        let reviews = watch::Sender::new(false);
        let client = api_server(&reviews);
        let authenticator = Authenticator::new(client.clone());
        let discovery = Streams::new(
            authenticator.clone(),
            Arc::clone(&index),
            publisher,
            ledgers.clone(),
            authorities.clone(),
            streams.clone(),
            stop.clone(),
        );
        let certificates =
            Certificates::new(authenticator, Arc::clone(&index), client, authorities, Arc::clone(&counts), LIFE);
        let routes = Routes::new(DiscoveryServer::new(discovery)).add_service(IdentityServer::new(certificates));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stopped = stop.clone();
        let server = tokio::spawn(async move {
            let stopped = async move { stopped.cancelled().await };
            let router = routes.into_axum_router().layer(from_fn(name_peer));
            let service = router.into_make_service_with_connect_info::<SocketAddr>();
            axum::serve(listener, service).with_graceful_shutdown(stopped).await.unwrap();
        });
        let operator = Self { address, index, reviews, ledgers, counts, authority, stop, streams, server };
        pods.iter().for_each(|name| operator.change(pod(name)));
        operator
    }

    async fn connect(&self) -> Channel {
        self.connect_from([127, 0, 0, 1]).await
    }

    async fn connect_from(&self, address: [u8; 4]) -> Channel {
        let endpoint = Endpoint::new(format!("http://{}", self.address)).unwrap();
        endpoint.local_address(Some(IpAddr::from(address))).connect().await.unwrap()
    }

    /// A pod becomes what `object` says.
    fn change(&self, object: Value) {
        let object = serde_json::from_value(object).unwrap();
        let key = Pods::key(&object).unwrap();
        self.index.change("shop", &[], |snapshot| Pods::apply(snapshot, &key, &object));
    }

    fn metrics(&self) -> String {
        self.counts.render(None)
    }

    async fn end(self) {
        self.stop.cancel();
        self.streams.close();
        self.streams.wait().await;
        self.server.await.unwrap();
    }
}

/// Does what the server of `https` does.
async fn name_peer(
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    mut request: HttpRequest,
    next: Next,
) -> Response<Body> {
    request.extensions_mut().insert(Peer { address, certificates: Arc::default() });
    next.run(request).await
}

/// A request with a token.
fn with_token<T>(token: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    request
}

/// The pod `name` of the namespace `shop`, with the service account `web` and the UID `uid-NAME`.
fn pod(name: &str) -> Value {
    json!({
        "metadata": {"namespace": "shop", "name": name, "uid": format!("uid-{name}")},
        "spec": {"containers": [], "serviceAccountName": "web", "initContainers": [{"name": "weft-proxy"}]},
        "status": {"phase": "Running"},
    })
}

/// The API server. A token is `ACCOUNT/POD/UID` of the namespace `shop`, `forged` or `foreign`; whose token is `broken` finds it
/// broken, and for `slow` accounts one has to wait until `reviews` say so. It has the pods `web-1`, `ended`, `late`, which no watch
/// has told of yet, and `again`, whose predecessor every watch still has.
fn api_server(reviews: &watch::Sender<bool>) -> Client {
    let reviews = reviews.clone();
    let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
        let mut reviews = reviews.subscribe();
        async move {
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let (code, answer) = match head.uri.path() {
                "/apis/authentication.k8s.io/v1/tokenreviews" => {
                    let asked: Value = serde_json::from_slice(&body).unwrap();
                    if asked["spec"]["token"].as_str().unwrap().starts_with("slow/") {
                        reviews.wait_for(|go| *go).await.unwrap();
                    }
                    review(asked)
                }
                "/api/v1/namespaces/shop/pods/web-1" => (200, pod("web-1")),
                "/api/v1/namespaces/shop/pods/late" => (200, pod("late")),
                "/api/v1/namespaces/shop/pods/again" => {
                    let mut again = pod("again");
                    again["metadata"]["uid"] = json!("uid-second");
                    (200, again)
                }
                "/api/v1/namespaces/shop/pods/ended" => {
                    let mut ended = pod("ended");
                    ended["status"]["phase"] = json!("Succeeded");
                    (200, ended)
                }
                _ => (404, status(404, "NotFound")),
            };
            Response::builder().status(code).body(Body::from(answer.to_string()))
        }
    });
    Client::new(service, "default")
}

fn status(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": reason, "message": reason})
}

fn review(mut review: Value) -> (u16, Value) {
    assert_eq!(review["spec"]["audiences"], json!([TOKEN_AUDIENCE]));
    let token = review["spec"]["token"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = token.split('/').collect();
    review["status"] = match parts[..] {
        ["broken"] => return (500, status(500, "Broken")),
        ["foreign"] => json!({"authenticated": true, "audiences": ["vault"], "user": {"username": "x"}}),
        [account, pod, uid] => json!({
            "authenticated": true,
            "audiences": [TOKEN_AUDIENCE],
            "user": {
                "username": format!("system:serviceaccount:shop:{account}"),
                "extra": {
                    "authentication.kubernetes.io/pod-name": [pod],
                    "authentication.kubernetes.io/pod-uid": [uid],
                },
            },
        }),
        _ => json!({"authenticated": false, "error": "invalid bearer token"}),
    };
    (201, review)
}

/// Waits until `is` of what a channel tells of; the test fails when it takes too long.
async fn until(mut changes: watch::Receiver<u64>, is: impl Fn() -> bool) {
    let wait = async {
        while !is() {
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(10), wait).await.expect("it never became so");
}

/// Counters of certificates, without their comments.
fn certificates(operator: &Operator) -> Vec<String> {
    let prefix = "weft_certificates_total";
    let metrics = operator.metrics();
    metrics.lines().filter_map(|line| line.strip_prefix(prefix)).map(str::to_owned).collect()
}
