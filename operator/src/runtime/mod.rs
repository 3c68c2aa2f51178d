//! Starts every part of the operator, joins them, and stops them.

mod health;
mod options;

use std::{
    error::Error,
    future::Future,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use kube::Client;
use rustls::server::ResolvesServerCert;
use thiserror::Error;
use tokio::{net::TcpListener, sync::watch as channel, task::JoinSet};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::service::Routes;
use weft_proxy_api::v1::{
    discovery_server::DiscoveryServer, identity_server::IdentityServer, traffic_server::TrafficServer,
};

use crate::{
    admission::{self, TrustRoot},
    apiserver,
    compile::Mesh,
    discovery::{Authenticator, Certificates, Ledgers, Reports, Streams},
    https::{Clients, Server},
    identity::{self, Authorities, Counts, Keeper, Namespaces, Serving, Surroundings},
    index::{self, EndpointSlices, HttpRouteGroups, Index, Pods, Services, TrafficSplits},
    publish::Publisher,
    status,
    traffic::{Ingest, Store},
};

pub use options::Options;

use health::Health;

/// Name of the operator's Service.
const SERVICE: &str = "weft-operator";
/// Ports of `config/operator`.
const WEBHOOKS: u16 = 8443;
const METRICS_API: u16 = 8444;
const DISCOVERY: u16 = 15010;
const HEALTH: u16 = 8080;

/// Why the operator cannot run.
#[derive(Debug, Error)]
pub enum RuntimeError {
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
    let mesh = Mesh { cluster_domain: options.cluster_domain.clone(), trust_domain: options.trust_domain() };
    let index = Arc::new(Index::default());
    let ledgers = Ledgers::default();
    let publisher = Arc::new(Publisher::new(Arc::clone(&index), mesh.clone()));
    let store = Store::new();
    let streams = TaskTracker::new();
    let mut parts = Parts { tasks: JoinSet::new(), shutdown: shutdown.clone() };

    watch::<Services>(&mut parts, &client, &index, "watch of Services");
    watch::<EndpointSlices>(&mut parts, &client, &index, "watch of EndpointSlices");
    watch::<Pods>(&mut parts, &client, &index, "watch of Pods");
    watch::<TrafficSplits>(&mut parts, &client, &index, "watch of TrafficSplits");
    watch::<HttpRouteGroups>(&mut parts, &client, &index, "watch of HTTPRouteGroups");
    parts.spawn("publisher", {
        let (publisher, shutdown) = (Arc::clone(&publisher), shutdown.clone());
        async move { publisher.run(shutdown).await }
    });

    let (lease, leads) = status::Lease::new(client.clone(), &options.namespace, options.pod.clone());
    parts.spawn("lease", status::hold(lease, shutdown.clone()));
    let destinations = Arc::clone(&ledgers.destinations);
    let splits = status::Splits::new(client.clone(), options.pod.clone(), Arc::clone(&index), destinations, mesh);
    parts.spawn("status of TrafficSplits", splits.run(leads.clone(), shutdown.clone()));
    parts.spawn("status of inactive kinds", status::Inactive::new(client.clone()).run(leads.clone(), shutdown.clone()));

    let counts = Arc::new(Counts::default());
    let authorities = issue(&mut parts, &client, &options, &index, &ledgers, &counts, &leads);
    let serving = Arc::new(Serving::new(SERVICE, &options.namespace, &options.cluster_domain));
    parts.spawn("serving certificate", {
        let (serving, authorities, shutdown) = (Arc::clone(&serving), authorities.clone(), shutdown.clone());
        async move { serving.run(authorities, shutdown).await }
    });

    let certificate: Arc<dyn ResolvesServerCert> = serving;
    let authenticator = Authenticator::new(client.clone());
    let discovery = Streams::new(
        authenticator.clone(),
        Arc::clone(&index),
        publisher,
        ledgers,
        authorities.clone(),
        streams.clone(),
        shutdown.clone(),
    );
    let ingest = Ingest::new(Arc::clone(&store), shutdown.clone());
    let reports = Reports::new(authenticator.clone(), Arc::clone(&index), ingest);
    let certificates = Certificates::new(
        authenticator,
        Arc::clone(&index),
        client.clone(),
        authorities.clone(),
        Arc::clone(&counts),
        options.certificate_life(),
    );
    let grpc = Routes::new(DiscoveryServer::new(discovery))
        .add_service(TrafficServer::new(reports))
        .add_service(IdentityServer::new(certificates));
    let server = Server::new(Arc::clone(&certificate), Clients::Anonymous)?;
    parts.spawn("discovery", server.clone().serve(listen(DISCOVERY).await?, grpc.into_axum_router(), shutdown.clone()));

    let trust_root = TrustRoot::default();
    parts.spawn("roots of new pods", follow(authorities.clone(), Arc::clone(&trust_root), shutdown.clone()));
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

    let health = Health { index: Arc::clone(&index), authorities, counts, shutdown: shutdown.clone() };
    parts.spawn("health", health::serve(listen(HEALTH).await?, health::router(health), shutdown.clone()));

    let end = parts.join().await;
    streams.close();
    streams.wait().await;
    end
}

/// Starts what keeps the issuer and the copies of its bundle. What is to be believed comes out of the channel.
fn issue(
    parts: &mut Parts,
    client: &Client,
    options: &Options,
    index: &Arc<Index>,
    ledgers: &Ledgers,
    counts: &Arc<Counts>,
    leads: &channel::Receiver<bool>,
) -> Authorities {
    let (authority, authorities) = Keeper::channel();
    let (at_api_server, api_server_copied) = channel::channel(None);
    let (at_namespaces, namespaces_copied) = channel::channel(None);
    let shutdown = parts.shutdown.clone();
    parts.spawn(
        "certificate bundle",
        identity::publish(client.clone(), authorities.clone(), leads.clone(), at_api_server, shutdown.clone()),
    );
    let namespaces = Namespaces::new(client.clone(), Arc::clone(index), options.namespace.clone());
    parts.spawn("trust bundles", namespaces.run(authorities.clone(), leads.clone(), at_namespaces, shutdown.clone()));
    let around = Surroundings {
        index: Arc::clone(index),
        ledger: Arc::clone(&ledgers.trust),
        counts: Arc::clone(counts),
        copies: vec![api_server_copied, namespaces_copied],
        leads: leads.clone(),
    };
    parts.spawn("issuer", Keeper::new(client.clone(), options.identity(), around, authority).run(shutdown));
    authorities
}

/// Gives pods that are created from now on the roots of now.
async fn follow(mut authorities: Authorities, trust_root: TrustRoot, shutdown: CancellationToken) {
    loop {
        if let Some(authority) = authorities.borrow_and_update().as_ref() {
            trust_root.store(Arc::new(authority.bundle.to_string()));
        }
        tokio::select! {
            changed = authorities.changed() => if changed.is_err() { return },
            () = shutdown.cancelled() => return,
        }
    }
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
