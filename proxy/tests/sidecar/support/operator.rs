//! A scripted operator: answers what it was told to, and remembers what it heard.

use std::{
    collections::HashMap,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
};

use futures::Stream;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time,
};
use tokio_stream::{
    StreamExt,
    wrappers::{TcpListenerStream, UnboundedReceiverStream},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{Identity as ServerIdentity, Server, ServerTlsConfig},
};
use weft_proxy_api::v1::{
    self,
    discovery_server::{Discovery, DiscoveryServer},
    identity_server::{Identity, IdentityServer},
    operator_message, proxy_message,
    traffic_server::{Traffic, TrafficServer},
};

use sha2::{Digest, Sha256};

use super::{
    PATIENCE,
    authority::{A_DAY, Authority, Life, identity},
};

/// A running operator, which is also the mesh's authority. Ends when dropped.
pub(crate) struct Operator {
    address: SocketAddr,
    /// Keeps the port from others while nobody listens on it.
    _port: socket2::Socket,
    trust_root: String,
    identity: ServerIdentity,
    script: Script,
    running: Option<(CancellationToken, JoinHandle<()>)>,
}

#[derive(Clone)]
struct Script {
    shared: Arc<Mutex<Shared>>,
    heard: watch::Sender<Heard>,
}

type Outbox = mpsc::UnboundedSender<Result<v1::OperatorMessage, Status>>;

struct Shared {
    version: u64,
    /// What is said about trust.
    trust: v1::Trust,
    /// Who signs, and for how long.
    issuer: Arc<Authority>,
    life: Life,
    /// What is answered instead of a certificate.
    refusal: Option<Status>,
    answers: HashMap<Vec<u8>, (u64, v1::Target, v1::update::Destination)>,
    /// Where each stream's messages go, and what was subscribed on it.
    streams: Vec<(Outbox, Vec<v1::Target>)>,
}

/// What proxies said.
#[derive(Debug, Clone, Default)]
pub(crate) struct Heard {
    pub(crate) tokens: Vec<String>,
    pub(crate) subscribed: Vec<v1::Target>,
    pub(crate) unsubscribed: Vec<v1::Target>,
    pub(crate) verdicts: Vec<v1::Verdict>,
    pub(crate) trust_verdicts: Vec<v1::TrustVerdict>,
    /// The tokens that certificates were asked for with.
    pub(crate) certified: Vec<String>,
    /// One list for each stream.
    pub(crate) reports: Vec<Vec<v1::TrafficReport>>,
}

fn key(target: &v1::Target) -> Vec<u8> {
    format!("{target:?}").into_bytes()
}

/// A port that is given to nobody else, and to listen on by its number.
fn reserved() -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    socket
}

impl Operator {
    /// An operator that knows nothing yet.
    pub(crate) async fn start() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let issuer = Arc::new(Authority::new("first root"));
        let (certificate, key) = issuer.operator();
        let port = reserved();
        let address = port.local_addr().unwrap().as_socket().unwrap();
        let listener = TcpListener::bind(address).await.unwrap();
        let shared = Shared {
            version: 0,
            trust: trust(1, &[&issuer], &issuer),
            issuer: issuer.clone(),
            life: A_DAY,
            refusal: None,
            answers: HashMap::new(),
            streams: Vec::new(),
        };
        let mut operator = Self {
            address,
            _port: port,
            trust_root: issuer.pem.clone(),
            identity: ServerIdentity::from_pem(certificate, key),
            script: Script { shared: Arc::new(Mutex::new(shared)), heard: watch::Sender::default() },
            running: None,
        };
        operator.serve(listener);
        operator
    }

    fn serve(&mut self, listener: TcpListener) {
        let stop = CancellationToken::new();
        let server = Server::builder()
            .tls_config(ServerTlsConfig::new().identity(self.identity.clone()))
            .unwrap()
            .add_service(DiscoveryServer::new(self.script.clone()))
            .add_service(TrafficServer::new(self.script.clone()))
            .add_service(IdentityServer::new(self.script.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                served = server => served.unwrap(),
                () = stopped.cancelled() => {}
            }
        });
        self.running = Some((stop, task));
    }

    /// Ends all streams and stops listening.
    pub(crate) async fn vanish(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.cancel();
        task.await.unwrap();
        // Connections outlive the listener; their streams end here.
        self.script.shared.lock().unwrap().streams.clear();
    }

    /// Listens again where it did.
    pub(crate) async fn come_back(&mut self) {
        let listener = TcpListener::bind(self.address).await.unwrap();
        self.serve(listener);
    }

    /// From when it comes back the operator shows a certificate by `issuer`.
    pub(crate) fn show_certificate_of(&mut self, issuer: &Authority) {
        let (certificate, key) = issuer.operator();
        self.identity = ServerIdentity::from_pem(certificate, key);
    }

    pub(crate) fn uri(&self) -> http::Uri {
        format!("https://{}", self.address).parse().unwrap()
    }

    pub(crate) fn trust_root(&self) -> &str {
        &self.trust_root
    }

    /// From now on `target` is `destination`. Returns the version that says so.
    pub(crate) fn say(&self, target: v1::Target, destination: v1::update::Destination) -> u64 {
        let mut shared = self.script.shared.lock().unwrap();
        shared.version += 1;
        let version = shared.version;
        shared.answers.insert(key(&target), (version, target.clone(), destination.clone()));
        for (stream, subscribed) in &shared.streams {
            if subscribed.contains(&target) {
                let _ = stream.send(Ok(update(version, target.clone(), destination.clone())));
            }
        }
        version
    }

    /// Who signs now.
    pub(crate) fn issuer(&self) -> Arc<Authority> {
        self.script.shared.lock().unwrap().issuer.clone()
    }

    /// From now on certificates are signed for this long.
    pub(crate) fn sign_for(&self, life: Life) {
        self.script.shared.lock().unwrap().life = life;
    }

    /// From now on no certificates are signed, or they are again.
    pub(crate) fn refuse_certificates(&self, refusal: Option<Status>) {
        self.script.shared.lock().unwrap().refusal = refusal;
    }

    /// From now on these roots are trusted, and `issuer` signs. Returns the version that says so.
    pub(crate) fn trust(&self, roots: &[&Authority], issuer: &Arc<Authority>) -> u64 {
        self.script.shared.lock().unwrap().issuer = issuer.clone();
        self.say_trust(|version| trust(version, roots, issuer))
    }

    /// Says anything about trust.
    pub(crate) fn say_trust(&self, trust: impl FnOnce(u64) -> v1::Trust) -> u64 {
        let mut shared = self.script.shared.lock().unwrap();
        let version = shared.trust.version + 1;
        shared.trust = trust(version);
        for (stream, _) in &shared.streams {
            let _ = stream.send(Ok(trust_message(shared.trust.clone())));
        }
        version
    }

    /// Says it and waits until a proxy has taken or refused it.
    pub(crate) async fn say_and_hear(&self, target: v1::Target, destination: v1::update::Destination) -> v1::Verdict {
        let version = self.say(target, destination);
        let heard = self.heard(|heard| heard.verdicts.iter().any(|verdict| verdict.version == version)).await;
        heard.verdicts.into_iter().find(|verdict| verdict.version == version).unwrap()
    }

    /// Waits until what was heard is as it should be.
    pub(crate) async fn heard(&self, right: impl Fn(&Heard) -> bool) -> Heard {
        let mut heard = self.script.heard.subscribe();
        let result = time::timeout(PATIENCE, heard.wait_for(|heard| right(heard))).await;
        let Ok(found) = result else { panic!("never heard it: {:?}", self.script.heard.borrow()) };
        found.unwrap().clone()
    }
}

/// What is said about `roots` and `issuer`.
fn trust(version: u64, roots: &[&Authority], issuer: &Authority) -> v1::Trust {
    v1::Trust {
        version,
        trust_domain: "cluster.local".to_owned(),
        roots: roots.iter().map(|root| root.der.clone()).collect(),
        issuer: Sha256::digest(&issuer.der).to_vec(),
    }
}

fn trust_message(trust: v1::Trust) -> v1::OperatorMessage {
    v1::OperatorMessage { message: Some(operator_message::Message::Trust(trust)) }
}

fn update(version: u64, target: v1::Target, destination: v1::update::Destination) -> v1::OperatorMessage {
    let update = v1::Update { target: Some(target), version, destination: Some(destination) };
    v1::OperatorMessage { message: Some(operator_message::Message::Update(update)) }
}

#[tonic::async_trait]
impl Discovery for Script {
    type StreamStream = Pin<Box<dyn Stream<Item = Result<v1::OperatorMessage, Status>> + Send>>;

    async fn stream(
        &self,
        request: Request<Streaming<v1::ProxyMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let Some(token) = token else {
            return Err(Status::unauthenticated("no token"));
        };
        self.heard.send_modify(|heard| heard.tokens.push(token));
        let (outbox, messages) = mpsc::unbounded_channel();
        let bootstrap = v1::Bootstrap {
            workload: Some(v1::Workload {
                namespace: "shop".to_owned(),
                kind: "Deployment".to_owned(),
                name: "client".to_owned(),
            }),
            report_interval_milliseconds: 100,
            latency_bounds_microseconds: vec![1_000, 1_000_000, 60_000_000],
            idle_subscription_seconds: 1,
        };
        let mut inbox = request.into_inner();
        let hello = inbox.message().await?;
        if !matches!(hello.and_then(|hello| hello.message), Some(proxy_message::Message::Hello(_))) {
            return Err(Status::invalid_argument("a proxy says hello first"));
        }
        let first = v1::OperatorMessage { message: Some(operator_message::Message::Bootstrap(bootstrap)) };
        outbox.send(Ok(first)).unwrap();
        let script = self.clone();
        let number = {
            let mut shared = self.shared.lock().unwrap();
            outbox.send(Ok(trust_message(shared.trust.clone()))).unwrap();
            shared.streams.push((outbox.clone(), Vec::new()));
            shared.streams.len() - 1
        };
        drop(outbox);
        tokio::spawn(async move {
            while let Ok(Some(message)) = inbox.message().await {
                script.hear(number, message.message.unwrap());
            }
        });
        Ok(Response::new(Box::pin(UnboundedReceiverStream::new(messages))))
    }
}

impl Script {
    fn hear(&self, stream: usize, message: proxy_message::Message) {
        match message {
            proxy_message::Message::Hello(_) => panic!("hello was said twice"),
            proxy_message::Message::Subscribe(target) => {
                let mut shared = self.shared.lock().unwrap();
                let answer = shared.answers.get(&key(&target)).cloned();
                if let Some((outbox, subscribed)) = shared.streams.get_mut(stream) {
                    subscribed.push(target.clone());
                    if let Some((version, target, destination)) = answer {
                        let _ = outbox.send(Ok(update(version, target, destination)));
                    }
                }
                drop(shared);
                self.heard.send_modify(|heard| heard.subscribed.push(target));
            }
            proxy_message::Message::Unsubscribe(target) => {
                let mut shared = self.shared.lock().unwrap();
                if let Some((_, subscribed)) = shared.streams.get_mut(stream) {
                    subscribed.retain(|subscribed| *subscribed != target);
                }
                drop(shared);
                self.heard.send_modify(|heard| heard.unsubscribed.push(target));
            }
            proxy_message::Message::Verdict(verdict) => {
                self.heard.send_modify(|heard| heard.verdicts.push(verdict));
            }
            proxy_message::Message::Trust(verdict) => {
                self.heard.send_modify(|heard| heard.trust_verdicts.push(verdict));
            }
        }
    }
}

#[tonic::async_trait]
impl Identity for Script {
    /// The token `account-NAME` is one of the service account `NAME`, any other of `web`.
    async fn certify(&self, request: Request<v1::CertificateRequest>) -> Result<Response<v1::Certificate>, Status> {
        let token = request.metadata().get("authorization").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let token = token.ok_or_else(|| Status::unauthenticated("no token"))?;
        let (issuer, life, refusal) = {
            let shared = self.shared.lock().unwrap();
            (shared.issuer.clone(), shared.life, shared.refusal.clone())
        };
        let account = token.strip_prefix("Bearer account-").unwrap_or("web").to_owned();
        self.heard.send_modify(|heard| heard.certified.push(token));
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let leaf = issuer.sign(&request.into_inner().csr, &identity(&account), life);
        Ok(Response::new(v1::Certificate { chain: vec![leaf], issuer: Sha256::digest(&issuer.der).to_vec() }))
    }
}

#[tonic::async_trait]
impl Traffic for Script {
    async fn report(
        &self,
        request: Request<Streaming<v1::TrafficReport>>,
    ) -> Result<Response<v1::TrafficReportEnd>, Status> {
        let mut number = 0;
        self.heard.send_modify(|heard| {
            number = heard.reports.len();
            heard.reports.push(Vec::new());
        });
        let mut reports = request.into_inner();
        while let Some(report) = reports.next().await {
            let report = report?;
            self.heard.send_modify(|heard| heard.reports[number].push(report));
        }
        Ok(Response::new(v1::TrafficReportEnd {}))
    }
}
