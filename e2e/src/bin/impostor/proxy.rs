//! A sidecar that asks for one destination and refuses every update of it, until it is told to take them.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use axum::{Router, extract::State, routing::post};
use clap::Args;
use e2e::app::{self, Lifecycle};
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request,
    transport::{Certificate, Channel, ClientTlsConfig},
};
use weft_proxy_api::v1::{self, discovery_client::DiscoveryClient, operator_message, proxy_message};

/// How to play a sidecar.
#[derive(Args)]
pub(crate) struct Options {
    /// Where the operator is.
    #[arg(long, env)]
    operator: String,
    /// Root of its certificate, as PEM text.
    #[arg(long, env)]
    trust_root: String,
    /// The pod's token for the operator.
    #[arg(long, env)]
    token_file: PathBuf,
    /// The destination to ask for.
    #[arg(long, env)]
    destination: SocketAddr,
    /// What to refuse every update with.
    #[arg(long, env)]
    refusal: String,
}

/// Converses until SIGTERM or until the operator ends the stream.
pub(crate) async fn run(options: Options, control: TcpListener) -> Result<()> {
    let lifecycle = Lifecycle::new(Duration::ZERO);
    let refusal = Arc::new(watch::Sender::new(options.refusal.clone()));
    let routes = Router::new().route("/accept", post(accept)).with_state(Arc::clone(&refusal));
    tokio::select! {
        ended = converse(&options, &refusal) => ended,
        ended = async { tokio::try_join!(lifecycle.run(), app::serve(control, routes, &lifecycle)) } => {
            ended?;
            Ok(())
        }
    }
}

async fn accept(State(refusal): State<Arc<watch::Sender<String>>>) {
    refusal.send_replace(String::new());
}

async fn converse(options: &Options, refusal: &watch::Sender<String>) -> Result<()> {
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&options.trust_root));
    let channel = Channel::from_shared(options.operator.clone())?.tls_config(tls)?.connect().await?;
    let token = tokio::fs::read_to_string(&options.token_file).await.context("the token")?;
    let (messages, outgoing) = mpsc::channel(16);
    let say = async |message| messages.send(v1::ProxyMessage { message: Some(message) }).await;
    let hello = v1::Hello { version: "impostor".to_owned(), instance: "impostor".to_owned() };
    say(proxy_message::Message::Hello(hello)).await?;
    say(proxy_message::Message::Subscribe(target(options.destination)?)).await?;
    let mut request = Request::new(ReceiverStream::new(outgoing));
    request.metadata_mut().insert("authorization", format!("Bearer {}", token.trim()).parse()?);
    let mut answers = DiscoveryClient::new(channel).stream(request).await?.into_inner();
    let mut refusals = refusal.subscribe();
    let mut last: Option<v1::Update> = None;
    loop {
        tokio::select! {
            answer = answers.message() => match answer?.map(|answer| answer.message) {
                None => bail!("the operator closed the stream"),
                Some(Some(operator_message::Message::Update(update))) => last = Some(update),
                Some(_) => continue,
            },
            changed = refusals.changed() => changed?,
        }
        let Some(update) = &last else { continue };
        let refusal = refusals.borrow_and_update().clone();
        tracing::info!(version = update.version, refusal, "Answered an update");
        let verdict = v1::Verdict { target: update.target.clone(), version: update.version, refusal };
        say(proxy_message::Message::Verdict(verdict)).await?;
    }
}

fn target(address: SocketAddr) -> Result<v1::Target> {
    let SocketAddr::V4(address) = address else { bail!("{address} is not IPv4") };
    let address = v1::SocketAddress { ip: address.ip().octets().to_vec(), port: address.port().into() };
    Ok(v1::Target { target: Some(v1::target::Target::Address(address)) })
}
