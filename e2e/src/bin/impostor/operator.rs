//! The operator of one test: every target on its port is the Service that the harness describes, well-formed or not.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Result;
use axum::{
    Json, Router,
    extract::{Path, State},
    routing::{get, post},
};
use clap::Args;
use e2e::app::{self, Lifecycle};
use serde::Serialize;
use thiserror::Error;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::TaskTracker;
use tonic::{
    Request, Response, Status, Streaming,
    transport::{self, Server, ServerTlsConfig},
};
use weft_proxy_api::v1::{
    self,
    discovery_server::{Discovery, DiscoveryServer},
    identity_server::{Identity, IdentityServer},
    operator_message, proxy_message,
    traffic_server::{Traffic, TrafficServer},
};

use crate::{
    authority::{self, Authority},
    script::{Script, Service},
};

/// How to play the operator.
#[derive(Args)]
pub(crate) struct Options {
    /// Port of the gRPC server.
    #[arg(long, env, default_value_t = 15010)]
    port: u16,
    /// Certificate, as PEM text.
    #[arg(long, env)]
    certificate: String,
    /// Its key, as PEM text.
    #[arg(long, env, hide_env_values = true)]
    key: String,
    /// Port of the Service that the harness describes; it may describe more, and a target on any other port is unknown.
    #[arg(long, env, default_value_t = 8080)]
    service_port: u32,
    #[command(flatten)]
    authority: authority::Options,
}

/// What a sidecar said about an update.
#[derive(Debug, Clone, Serialize)]
struct Verdict {
    version: u64,
    /// Empty: taken.
    refusal: String,
}

struct Impostor {
    service_port: u32,
    authority: Authority,
    script: watch::Sender<Script>,
    verdicts: Mutex<Vec<Verdict>>,
    streams: TaskTracker,
}

/// Serves until SIGTERM.
pub(crate) async fn run(options: Options, control: TcpListener) -> Result<()> {
    let impostor = Arc::new(Impostor {
        service_port: options.service_port,
        authority: Authority::new(options.authority)?,
        script: watch::Sender::new(Script::new(options.service_port)),
        verdicts: Mutex::default(),
        streams: TaskTracker::new(),
    });
    let lifecycle = Lifecycle::new(Duration::ZERO);
    let routes = Router::new()
        .route("/script", post(set_script))
        .route("/script/{port}", post(set_script_of_port))
        .route("/verdicts", get(verdicts))
        .with_state(Arc::clone(&impostor));
    let tls = ServerTlsConfig::new().identity(transport::Identity::from_pem(&options.certificate, &options.key));
    let server = Server::builder()
        .tls_config(tls)?
        .add_service(DiscoveryServer::new(Services(Arc::clone(&impostor))))
        .add_service(IdentityServer::new(Services(Arc::clone(&impostor))))
        .add_service(TrafficServer::new(Services(Arc::clone(&impostor))))
        .serve_with_shutdown(SocketAddr::from(([0, 0, 0, 0], options.port)), lifecycle.closing());
    tokio::try_join!(
        async { Ok::<_, anyhow::Error>(lifecycle.run().await?) },
        async { Ok(app::serve(control, routes, &lifecycle).await?) },
        async { Ok(server.await?) },
    )?;
    impostor.streams.close();
    impostor.streams.wait().await;
    Ok(())
}

async fn set_script(State(impostor): State<Arc<Impostor>>, Json(service): Json<Service>) {
    impostor.script.send_modify(|script| script.set(impostor.service_port, service));
}

async fn set_script_of_port(
    State(impostor): State<Arc<Impostor>>,
    Path(port): Path<u32>,
    Json(service): Json<Service>,
) {
    impostor.script.send_modify(|script| script.set(port, service));
}

async fn verdicts(State(impostor): State<Arc<Impostor>>) -> Json<Vec<Verdict>> {
    Json(impostor.locked().clone())
}

/// What the gRPC services share with the control API.
struct Services(Arc<Impostor>);

#[tonic::async_trait]
impl Discovery for Services {
    type StreamStream = ReceiverStream<Result<v1::OperatorMessage, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<v1::ProxyMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (sender, receiver) = mpsc::channel(16);
        let impostor = Arc::clone(&self.0);
        self.0.streams.spawn(async move {
            if let Err(error) = impostor.converse(request.into_inner(), sender).await {
                tracing::info!(%error, "A stream ended");
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[tonic::async_trait]
impl Identity for Services {
    async fn certify(&self, request: Request<v1::CertificateRequest>) -> Result<Response<v1::Certificate>, Status> {
        self.0.authority.certify(request.get_ref()).map(Response::new)
    }
}

#[tonic::async_trait]
impl Traffic for Services {
    async fn report(
        &self,
        request: Request<Streaming<v1::TrafficReport>>,
    ) -> Result<Response<v1::TrafficReportEnd>, Status> {
        let mut reports = request.into_inner();
        while reports.message().await?.is_some() {}
        Ok(Response::new(v1::TrafficReportEnd {}))
    }
}

/// Why a stream ended before the sidecar ended it.
#[derive(Debug, Error)]
enum Ended {
    #[error(transparent)]
    Status(#[from] Status),
    #[error("the sidecar is gone")]
    Gone,
}

impl Impostor {
    async fn converse(
        &self,
        mut messages: Streaming<v1::ProxyMessage>,
        sender: mpsc::Sender<Result<v1::OperatorMessage, Status>>,
    ) -> Result<(), Ended> {
        let mut script = self.script.subscribe();
        let mut targets: Vec<v1::Target> = Vec::new();
        let mut version = 0;
        loop {
            let changed = tokio::select! {
                message = messages.message() => match message?.map(|message| message.message) {
                    None => return Ok(()),
                    Some(Some(proxy_message::Message::Hello(_))) => {
                        let trust = operator_message::Message::Trust(self.authority.trust());
                        for message in [bootstrap(), v1::OperatorMessage { message: Some(trust) }] {
                            sender.send(Ok(message)).await.map_err(|_closed| Ended::Gone)?;
                        }
                        continue;
                    }
                    Some(Some(proxy_message::Message::Subscribe(target))) => {
                        targets.push(target.clone());
                        vec![target]
                    }
                    Some(Some(proxy_message::Message::Verdict(verdict))) => {
                        let verdict = Verdict { version: verdict.version, refusal: verdict.refusal };
                        self.locked().push(verdict);
                        continue;
                    }
                    Some(Some(proxy_message::Message::Trust(verdict))) => {
                        tracing::info!(verdict.version, verdict.refusal, "Heard about the roots");
                        continue;
                    }
                    Some(Some(proxy_message::Message::Unsubscribe(target))) => {
                        targets.retain(|known| *known != target);
                        continue;
                    }
                    Some(None) => continue,
                },
                changed = script.changed() => match changed {
                    Ok(()) => targets.clone(),
                    Err(_closed) => return Ok(()),
                },
            };
            for target in changed {
                version += 1;
                let destination = Some(script.borrow_and_update().destination(&target));
                let update = v1::Update { target: Some(target), version, destination };
                let message = v1::OperatorMessage { message: Some(operator_message::Message::Update(update)) };
                sender.send(Ok(message)).await.map_err(|_closed| Ended::Gone)?;
            }
        }
    }

    fn locked(&self) -> MutexGuard<'_, Vec<Verdict>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bootstrap() -> v1::OperatorMessage {
    let text = str::to_owned;
    let workload = v1::Workload { namespace: text("impostor"), kind: text("Pod"), name: text("client") };
    let bootstrap = v1::Bootstrap {
        workload: Some(workload),
        report_interval_milliseconds: 1000,
        latency_bounds_microseconds: vec![1000, 10_000, 100_000],
        idle_subscription_seconds: 300,
    };
    v1::OperatorMessage { message: Some(operator_message::Message::Bootstrap(bootstrap)) }
}
