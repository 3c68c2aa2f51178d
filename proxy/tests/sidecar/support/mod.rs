//! What the tests have in common: a proxy, an operator, servers and clients.

mod alone;
mod authority;
mod client;
mod frames;
mod mesh;
mod operator;
mod recorder;
mod server;
mod tap;
mod tls;

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time,
};
use tokio_util::sync::CancellationToken;
use weft_proxy::{Destinations, Limits, OriginalDestination, ServeError, Settings, Sockets, serve};
use weft_proxy_api::v1;

pub(crate) use self::{
    alone::{Memory, is_alone},
    authority::{A_DAY, Authority, Life, identity},
    client::{Answer, Client, get, request},
    frames::{Back, Frames, block, frame},
    mesh::{Mesh, Wire},
    operator::{Heard, Operator},
    recorder::{Recorded, Recorder},
    server::{Body, Reply, Server, refusing, text},
    tap::Tap,
    tls::{Suit, connect_tls, connect_tls_on, mesh_server, tls_server},
};

/// Address of a Service that nobody listens on: what gets there has passed by the proxy.
pub(crate) const CLUSTER_IP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 9, 9, 9)), 9);

/// Longest time that a test waits for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Every accepted connection was going here.
struct Fixed(SocketAddr);

impl OriginalDestination for Fixed {
    fn of(&self, _stream: &TcpStream) -> io::Result<SocketAddr> {
        Ok(self.0)
    }
}

/// A running proxy.
pub(crate) struct Proxy {
    pub(crate) outbound: SocketAddr,
    pub(crate) inbound: SocketAddr,
    admin: SocketAddr,
    shutdown: CancellationToken,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl Proxy {
    /// A proxy whose application always addresses [`CLUSTER_IP`].
    pub(crate) async fn start(operator: &Operator) -> Self {
        Self::with(operator, CLUSTER_IP, CLUSTER_IP, |_| {}).await
    }

    /// A proxy whose application addresses `outbound` and is addressed at `inbound`.
    pub(crate) async fn with(
        operator: &Operator,
        outbound: SocketAddr,
        inbound: SocketAddr,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        Self::at(Ipv4Addr::LOCALHOST.into(), operator, outbound, inbound, change).await
    }

    /// The same, listening at `ip`.
    pub(crate) async fn at(
        ip: IpAddr,
        operator: &Operator,
        outbound: SocketAddr,
        inbound: SocketAddr,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        // Fails when another test was first.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = || TcpListener::bind((ip, 0));
        let sockets = Sockets {
            outbound: vec![listener().await.unwrap()],
            inbound: vec![listener().await.unwrap()],
            admin: vec![listener().await.unwrap()],
        };
        let address = |listeners: &[TcpListener]| listeners[0].local_addr().unwrap();
        let (out, into, admin) = (address(&sockets.outbound), address(&sockets.inbound), address(&sockets.admin));
        let mut settings = Settings {
            operator: operator.uri(),
            trust_root: operator.trust_root().to_owned(),
            trust_file: PathBuf::from("/nonexistent"),
            token_file: token_file("a-token"),
            opaque_ports: BTreeSet::new(),
            namespace: "shop".to_owned(),
            pod: "client-1".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            drain: PATIENCE,
            idle_limit: PATIENCE,
            workers: 2,
            limits: Limits::default(),
        };
        change(&mut settings);
        let destinations = Destinations { outbound: Arc::new(Fixed(outbound)), inbound: Arc::new(Fixed(inbound)) };
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(serve(settings, sockets, destinations, shutdown.clone()));
        Self { outbound: out, inbound: into, admin, shutdown, serving }
    }

    /// What the admin port answers.
    pub(crate) async fn admin(&self, path: &str) -> Answer {
        Client::connect(self.admin).await.send(get(path)).await
    }

    /// Waits until the admin port's answer is as it should be.
    pub(crate) async fn admin_until(&self, path: &str, right: impl Fn(&Answer) -> bool) -> Answer {
        time::timeout(PATIENCE, async {
            let mut pause = time::interval(Duration::from_millis(10));
            loop {
                let answer = self.admin(path).await;
                if right(&answer) {
                    return answer;
                }
                pause.tick().await;
            }
        })
        .await
        .unwrap_or_else(|_| panic!("{path} never became right"))
    }

    /// Waits until the proxy has spoken with the operator.
    pub(crate) async fn ready(self) -> Self {
        self.admin_until("/readyz", |answer| answer.status == 200).await;
        self
    }

    /// Tells the proxy that its pod is about to end, as the kubelet does.
    pub(crate) async fn leave(&self) {
        let port = self.admin.port().try_into().unwrap();
        tokio::task::spawn_blocking(move || weft_proxy::leave(port)).await.unwrap().unwrap();
    }

    /// Asks the proxy to end.
    pub(crate) fn terminate(&self) {
        self.shutdown.cancel();
    }

    /// Waits for the proxy's end, which it was asked for.
    pub(crate) async fn ended(self) {
        time::timeout(PATIENCE, self.serving).await.expect("the proxy does not end").unwrap().unwrap();
    }
}

/// A file with a token.
pub(crate) fn token_file(token: &str) -> PathBuf {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("token-{}-{number}", std::process::id()));
    std::fs::write(&file, format!("{token}\n")).unwrap();
    file
}

/// The target of connections to `address`.
pub(crate) fn target(address: SocketAddr) -> v1::Target {
    v1::Target { target: Some(v1::target::Target::Address(socket(address))) }
}

/// The target of requests for `host`.
pub(crate) fn authority(host: &str, port: u32) -> v1::Target {
    v1::Target { target: Some(v1::target::Target::Authority(v1::Authority { host: host.to_owned(), port })) }
}

fn socket(address: SocketAddr) -> v1::SocketAddress {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    v1::SocketAddress { ip, port: address.port().into() }
}

pub(crate) fn service_name(name: &str) -> v1::ServiceName {
    v1::ServiceName { namespace: "shop".to_owned(), name: name.to_owned() }
}

/// An endpoint without a sidecar.
pub(crate) fn endpoint(address: SocketAddr) -> v1::Endpoint {
    v1::Endpoint {
        address: Some(socket(address)),
        workload: Some(v1::Workload {
            namespace: "shop".to_owned(),
            kind: "Deployment".to_owned(),
            name: "web".to_owned(),
        }),
        pod: format!("web-{}", address.port()),
        meshed: false,
        identity: String::new(),
    }
}

/// An endpoint with a sidecar.
pub(crate) fn meshed(address: SocketAddr) -> v1::Endpoint {
    meshed_as("web", address)
}

/// The same, of another service account.
pub(crate) fn meshed_as(account: &str, address: SocketAddr) -> v1::Endpoint {
    v1::Endpoint { meshed: true, identity: identity(account).to_string(), ..endpoint(address) }
}

/// The Service `web`, split over `backends`.
pub(crate) fn service(backends: &[(&str, u64, Vec<v1::Endpoint>)]) -> v1::update::Destination {
    let backends = backends.iter().map(|(name, weight, endpoints)| v1::Backend {
        name: Some(service_name(name)),
        weight: *weight,
        endpoints: endpoints.clone(),
    });
    v1::update::Destination::Service(v1::Service {
        name: Some(service_name("web")),
        port: 80,
        opaque: false,
        split: Some(v1::Split { namespace: "shop".to_owned(), name: "canary".to_owned(), generation: 1 }),
        backends: backends.collect(),
        conditional: Vec::new(),
    })
}
