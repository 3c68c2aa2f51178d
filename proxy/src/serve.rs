//! The sidecar as a whole: what it is made of, how it starts and how it ends.

use std::{
    collections::BTreeSet,
    fmt,
    hash::{BuildHasher, RandomState},
    io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use http::Uri;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    time,
};
use tokio_util::sync::CancellationToken;

use crate::{
    Limits,
    accept::{self, Connections, Drain, Handler, OriginalDestination, OwnAddresses},
    admin::Admin,
    control::{Control, Work},
    discovery::{ConnectError, Discovery, Operator},
    engine::Engine,
    identity::Credentials,
    inbound::{self, Inbound},
    outbound::{self, Names, Outbound},
    policy::{Store, Stream},
    traffic::{Direction, Registry},
};

/// Time for connections to say goodbye once all requests are finished.
const GOODBYE_LIMIT: Duration = Duration::from_secs(1);

/// What the sidecar is told.
#[derive(Clone)]
pub struct Settings {
    /// Where the operator is; `https`.
    pub operator: Uri,
    /// Root certificates that the operator's may be signed by, as PEM text.
    pub trust_root: String,
    /// A file with more of them; read on each connect, may be absent.
    pub trust_file: PathBuf,
    /// The pod's service account token; read on each connect.
    pub token_file: PathBuf,
    /// Ports whose protocol is not looked at, in both directions.
    pub opaque_ports: BTreeSet<u16>,
    /// Namespace of the pod.
    pub namespace: String,
    /// Name of the pod.
    pub pod: String,
    /// DNS domain of the cluster, without a trailing dot.
    pub cluster_domain: String,
    /// Longest time for what is in flight to finish.
    pub drain: Duration,
    /// Time without a request after which a connection of another sidecar is ended: longer than a sidecar uses one.
    pub idle_limit: Duration,
    /// Threads that carry traffic.
    pub workers: usize,
    /// What clients may ask of the sidecar.
    pub limits: Limits,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("operator", &self.operator).field("pod", &self.pod).finish_non_exhaustive()
    }
}

/// The sockets that the sidecar listens on.
#[derive(Debug)]
pub struct Sockets {
    /// For what the application sends.
    pub outbound: Vec<TcpListener>,
    /// For what is sent to the application.
    pub inbound: Vec<TcpListener>,
    /// For health, readiness, metrics and configuration.
    pub admin: Vec<TcpListener>,
}

/// How the destinations of accepted connections are learned.
#[derive(Clone)]
pub struct Destinations {
    /// Of what the application sends.
    pub outbound: Arc<dyn OriginalDestination>,
    /// Of what is sent to the application.
    pub inbound: Arc<dyn OriginalDestination>,
}

impl fmt::Debug for Destinations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destinations").finish_non_exhaustive()
    }
}

/// Why the sidecar cannot serve.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The trust root is no certificate.
    #[error("the operator's address or the trust root cannot be used")]
    Operator(#[from] ConnectError),
    /// A socket or thread was refused by the system.
    #[error("the system refused a socket or a thread")]
    System(#[from] io::Error),
    /// Discovery, reports and the admin port are gone; without them the proxy would grow stale without a sign.
    #[error("the control thread ended")]
    Control(#[source] io::Error),
}

/// Serves until `shutdown`, finishes what is in flight, and sends the last report.
///
/// # Errors
/// When it cannot start, or its control thread ends.
pub async fn serve(
    settings: Settings,
    sockets: Sockets,
    destinations: Destinations,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let started = Instant::now();
    let drain = Drain::default();
    let registry = Arc::new(Registry::default());
    let (wanted, requests) = mpsc::unbounded_channel();
    let stream = watch::Sender::new(Stream::Disconnected { since: time::Instant::now() });
    let store = Arc::new(Store::new(wanted, stream.subscribe()));
    let credentials = Arc::new(Credentials::default());
    let operator = Operator::new(settings.operator, &settings.trust_root, settings.trust_file, settings.token_file)?;
    let instance = format!("{}-{:016x}", settings.pod, RandomState::new().hash_one(std::process::id()));
    let discovery = Discovery::new(
        operator,
        instance.into(),
        store.clone(),
        registry.clone(),
        credentials.clone(),
        requests,
        stream,
    );
    let admin = Arc::new(Admin {
        store: store.clone(),
        registry: registry.clone(),
        drain: drain.clone(),
        observed: discovery.observe(),
        credentials: credentials.clone(),
        namespace: settings.namespace.clone(),
        cluster_domain: settings.cluster_domain.clone(),
    });
    let admin_listeners = sockets.admin.into_iter().map(TcpListener::into_std).collect::<io::Result<_>>()?;
    let mut control = Control::start(Work { discovery, admin, admin_listeners, started })?;

    let opaque_ports = Arc::new(settings.opaque_ports);
    let outbound = Arc::new(Outbound {
        engine: Engine::new(
            outbound::Phases::new(store.clone(), registry.clone(), credentials.clone(), drain.clone()),
            settings.workers,
            settings.limits,
            registry.clone(),
            Direction::Outbound,
        ),
        store,
        registry: registry.clone(),
        credentials: credentials.clone(),
        drain: drain.clone(),
        names: Arc::new(Names {
            namespace: settings.namespace,
            pod: settings.pod,
            cluster_domain: settings.cluster_domain,
        }),
        opaque_ports: opaque_ports.clone(),
    });
    let inbound = Arc::new(Inbound {
        engine: Engine::new(
            inbound::Phases::new(registry.clone(), drain.clone()),
            settings.workers,
            settings.limits,
            registry.clone(),
            Direction::Inbound,
        ),
        registry: registry.clone(),
        credentials,
        drain: drain.clone(),
        own: OwnAddresses::default(),
        opaque_ports,
        idle_limit: settings.idle_limit,
    });
    let connections = Connections::new(settings.limits.connections, registry);
    listen(sockets.outbound, &destinations.outbound, &outbound, &connections);
    listen(sockets.inbound, &destinations.inbound, &inbound, &connections);
    tracing::info!("Serving");

    tokio::select! {
        () = shutdown.cancelled() => {}
        ended = control.ended() => {
            return Err(ServeError::Control(ended.err().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())));
        }
    }
    tracing::info!(in_flight = drain.in_flight(), "Draining");
    drain.begin();
    // Connections are still accepted: whatever the pod has left to do, it does through here.
    let deadline = time::Instant::now() + settings.drain;
    let mut finished = time::timeout_at(deadline, drain.idle()).await.is_ok();
    connections.closed.cancel();
    outbound.engine.close_idle().await;
    inbound.engine.close_idle().await;
    if finished {
        // A request may have begun in the moment before its connection was closed.
        finished = time::timeout_at(deadline, drain.idle()).await.is_ok();
    }
    if !finished {
        tracing::warn!(in_flight = drain.in_flight(), "Ending with requests in flight");
    }
    connections.tasks.close();
    if time::timeout(GOODBYE_LIMIT, connections.tasks.wait()).await.is_err() {
        tracing::debug!(connections = connections.tasks.len(), "Cutting off what is still open");
        connections.cut.cancel();
        connections.tasks.wait().await;
    }
    control.stop().await.map_err(ServeError::Control)?;
    tracing::info!("Drained");
    Ok(())
}

fn listen(
    listeners: Vec<TcpListener>,
    original: &Arc<dyn OriginalDestination>,
    handler: &Arc<impl Handler>,
    connections: &Connections,
) {
    for listener in listeners {
        let accepting = accept::accept(listener, original.clone(), handler.clone(), connections.clone());
        connections.tasks.spawn(accepting);
    }
}
