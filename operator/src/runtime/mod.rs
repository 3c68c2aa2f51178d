//! Starts every part of the operator, joins them, and stops them.

mod health;

use std::{
    error::Error,
    future::Future,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use arc_swap::ArcSwap;
use kube::Client;
use rustls::server::ResolvesServerCert;
use thiserror::Error;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use weft_proxy_api::v1::{discovery_server::DiscoveryServer, traffic_server::TrafficServer};

use crate::{
    admission, apiserver,
    compile::Mesh,
    discovery::{Authenticator, Reports, Streams},
    https::{Clients, Server},
    identity::{self, Authority, AuthorityError, Serving, ServingError},
    index::{self, EndpointSlices, Index, Pods, Services, TrafficSplits},
    publish::{Ledger, Publisher},
    status,
    traffic::{Ingest, Store},
};

/// Name of the operator's Service.
const SERVICE: &str = "weft-operator";
/// Ports of `config/operator`.
const WEBHOOKS: u16 = 8443;
const METRICS_API: u16 = 8444;
const DISCOVERY: u16 = 15010;
const HEALTH: u16 = 8080;

/// How the operator is set up.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Namespace of the operator.
    #[arg(long, env = "WEFT_NAMESPACE", default_value = "weft-system")]
    pub namespace: String,
    /// Name of the operator's pod, which identifies it among its replicas.
    #[arg(long, env = "WEFT_POD")]
    pub pod: String,
    /// Image of the sidecar.
    #[arg(long, env = "WEFT_PROXY_IMAGE")]
    pub proxy_image: String,
    /// DNS domain of the cluster.
    #[arg(long, env = "WEFT_CLUSTER_DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// Trust domain of the identities; the cluster's DNS domain unless given.
    #[arg(long, env = "WEFT_TRUST_DOMAIN")]
    pub trust_domain: Option<String>,
}

/// Why the operator cannot run.
#[derive(Debug, Error)]
pub enum RuntimeError {
    /// There is no authority.
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    /// There is no serving certificate.
    #[error(transparent)]
    Serving(#[from] ServingError),
    /// A server cannot be made.
    #[error("cannot serve TLS")]
    Tls(#[from] rustls::Error),
    /// A port is taken.
    #[error("cannot listen on {address}")]
    Bind {
        /// Which one.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A part ended although nobody stopped it.
    #[error("{0} ended unexpectedly")]
    Ended(&'static str),
    /// A part panicked.
    #[error("a part of the operator panicked")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Runs until `shutdown`.
///
/// # Errors
/// When it cannot start, or a part of it ends by itself: then a restart is better than to go on without it.
pub async fn run(client: Client, options: Options, shutdown: CancellationToken) -> Result<(), RuntimeError> {
    let trust_domain = options.trust_domain.clone().unwrap_or_else(|| options.cluster_domain.clone());
    let mesh = Mesh { cluster_domain: options.cluster_domain.clone(), trust_domain };
    let authority = Arc::new(Authority::load_or_create(client.clone(), &options.namespace).await?);
    let serving = Arc::new(Serving::new(&authority, SERVICE, &options.namespace, &options.cluster_domain)?);

    let index = Arc::new(Index::default());
    let ledger = Arc::new(Ledger::default());
    let publisher = Arc::new(Publisher::new(Arc::clone(&index), mesh.clone()));
    let store = Store::new();
    let streams = TaskTracker::new();
    let mut parts = Parts { tasks: JoinSet::new(), shutdown: shutdown.clone() };

    watch::<Services>(&mut parts, &client, &index, "watch of Services");
    watch::<EndpointSlices>(&mut parts, &client, &index, "watch of EndpointSlices");
    watch::<Pods>(&mut parts, &client, &index, "watch of Pods");
    watch::<TrafficSplits>(&mut parts, &client, &index, "watch of TrafficSplits");
    parts.spawn("publisher", {
        let (publisher, shutdown) = (Arc::clone(&publisher), shutdown.clone());
        async move { publisher.run(shutdown).await }
    });

    let (lease, leads) = status::Lease::new(client.clone(), &options.namespace, options.pod.clone());
    parts.spawn("lease", status::hold(lease, shutdown.clone()));
    let splits =
        status::Splits::new(client.clone(), options.pod.clone(), Arc::clone(&index), Arc::clone(&ledger), mesh);
    parts.spawn("status of TrafficSplits", splits.run(leads.clone(), shutdown.clone()));
    parts.spawn("status of inactive kinds", status::Inactive::new(client.clone()).run(leads.clone(), shutdown.clone()));
    parts.spawn("certificate bundle", {
        let (client, authority, shutdown) = (client.clone(), Arc::clone(&authority), shutdown.clone());
        async move { identity::publish(client, authority.certificate(), leads, shutdown).await }
    });
    parts.spawn("serving certificate", {
        let (serving, authority, shutdown) = (Arc::clone(&serving), Arc::clone(&authority), shutdown.clone());
        async move { serving.run(&authority, shutdown).await }
    });

    let certificate: Arc<dyn ResolvesServerCert> = serving;
    let authenticator = Authenticator::new(client.clone());
    let discovery = Streams::new(
        authenticator.clone(),
        Arc::clone(&index),
        publisher,
        Arc::clone(&ledger),
        streams.clone(),
        shutdown.clone(),
    );
    let reports = Reports::new(authenticator, Arc::clone(&index), Ingest::new(Arc::clone(&store), shutdown.clone()));
    let grpc = Routes::new(DiscoveryServer::new(discovery)).add_service(TrafficServer::new(reports));
    let server = Server::new(Arc::clone(&certificate), Clients::Anonymous)?;
    parts.spawn("discovery", server.clone().serve(listen(DISCOVERY).await?, grpc.into_axum_router(), shutdown.clone()));

    let trust_root = Arc::new(ArcSwap::from_pointee(authority.certificate().to_owned()));
    let operator = format!("https://{SERVICE}.{}.svc.{}:{DISCOVERY}", options.namespace, options.cluster_domain);
    let injector = admission::Settings::new(&options.proxy_image, operator, &options.cluster_domain, trust_root);
    let injector = admission::router(Arc::new(injector));
    parts.spawn("webhooks", server.serve(listen(WEBHOOKS).await?, injector, shutdown.clone()));

    let api = apiserver::ApiServer::new(client.clone(), store);
    parts.spawn("metrics API", {
        let (listener, shutdown) = (listen(METRICS_API).await?, shutdown.clone());
        async move {
            if let Err(error) = api.serve(listener, certificate, shutdown).await {
                tracing::error!(error = &error as &dyn Error, "TrafficMetrics cannot be served");
            }
        }
    });

    let health = health::router(Arc::clone(&index), shutdown.clone());
    parts.spawn("health", health::serve(listen(HEALTH).await?, health, shutdown.clone()));

    let end = parts.join().await;
    streams.close();
    streams.wait().await;
    end
}

fn watch<K: index::Kind>(parts: &mut Parts, client: &Client, index: &Arc<Index>, name: &'static str) {
    let (client, index, shutdown) = (client.clone(), Arc::clone(index), parts.shutdown.clone());
    parts.spawn(name, async move { index::run::<K>(client, &index, shutdown).await });
}

async fn listen(port: u16) -> Result<TcpListener, RuntimeError> {
    // Takes IPv4 as well, unless the kernel has no IPv6 at all.
    if let Ok(listener) = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port))).await {
        return Ok(listener);
    }
    let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    TcpListener::bind(address).await.map_err(|source| RuntimeError::Bind { address, source })
}

/// The tasks of the operator. None may end before the shutdown, and all have ended after it.
struct Parts {
    tasks: JoinSet<&'static str>,
    shutdown: CancellationToken,
}

impl Parts {
    fn spawn(&mut self, name: &'static str, part: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            part.await;
            name
        });
    }

    async fn join(mut self) -> Result<(), RuntimeError> {
        let mut end = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let unexpected = match ended {
                Ok(_) if self.shutdown.is_cancelled() => continue,
                Ok(name) => RuntimeError::Ended(name),
                Err(panic) => RuntimeError::Panicked(panic),
            };
            self.shutdown.cancel();
            end = Err(unexpected);
        }
        end
    }
}
