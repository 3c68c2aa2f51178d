//! A sidecar that is only the part which listens to the operator: real tokens of real Pod objects, many on one connection.

use std::{collections::BTreeMap, io, net::SocketAddr, time::Instant};

use anyhow::{Context, Result, ensure};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::{
    Request, Streaming,
    transport::{Certificate, Channel, ClientTlsConfig, Endpoint},
};
use weft_proxy_api::{
    TOKEN_AUDIENCE,
    v1::{self, discovery_client::DiscoveryClient, operator_message, proxy_message, target, update},
};

use super::{Authority, Operator, TestNamespace};

/// Port of the operator's gRPC server.
const DISCOVERY_PORT: u16 = 15010;
const OPERATOR_NAME: &str = "weft-operator.weft-system.svc";

/// A connection to the operator.
#[derive(Clone)]
pub struct OperatorChannel(Channel);

impl Operator {
    /// Connects to its gRPC server, by way of the API server.
    ///
    /// # Errors
    /// When it is not reached, or cannot prove that it is the operator.
    pub async fn connect(&self) -> Result<OperatorChannel> {
        let pod = self.pod().await?;
        let pods = self.namespace.api::<Pod>();
        let mut forwarder = pods.portforward(&pod.name_any(), &[DISCOVERY_PORT]).await?;
        let mut stream = forwarder.take_stream(DISCOVERY_PORT);
        let root = Authority::of(&self.namespace.cluster).await?;
        let tls =
            ClientTlsConfig::new().ca_certificate(Certificate::from_pem(root.trust_root())).domain_name(OPERATOR_NAME);
        let endpoint = Endpoint::from_shared(format!("https://{OPERATOR_NAME}:{DISCOVERY_PORT}"))?.tls_config(tls)?;
        let connector = tower::service_fn(move |_uri| {
            let stream = stream.take();
            async move { stream.map(TokioIo::new).ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
        });
        let channel = endpoint.connect_with_connector(connector).await.context("the operator's gRPC server")?;
        Ok(OperatorChannel(channel))
    }
}

/// What was told of one target.
#[derive(Debug, Clone)]
pub struct Told {
    /// When it came.
    pub at: Instant,
    /// How often something was told of it.
    pub updates: u64,
    /// The Service that it is, as of the newest; `None` when it is none.
    pub service: Option<v1::Service>,
}

/// A sidecar that takes everything it is told.
pub struct Subscriber {
    messages: mpsc::Sender<v1::ProxyMessage>,
    told: watch::Receiver<BTreeMap<SocketAddr, Told>>,
    _listening: AbortOnDropHandle<()>,
}

impl Subscriber {
    /// Connects as the sidecar of `pod`, which may be an object that no kubelet has heard of.
    ///
    /// # Errors
    /// When the operator refuses.
    pub async fn start(operator: &OperatorChannel, ns: &TestNamespace, pod: &Pod) -> Result<Self> {
        let token = ns.token("default", TOKEN_AUDIENCE, Some(pod)).await?;
        let (messages, receiver) = mpsc::channel(1024);
        let hello = v1::Hello { version: "e2e".to_owned(), instance: pod.name_any() };
        messages.send(message(proxy_message::Message::Hello(hello))).await?;
        let mut request = Request::new(ReceiverStream::new(receiver));
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
        let updates = DiscoveryClient::new(operator.0.clone()).stream(request).await?.into_inner();
        let (told, receiver) = watch::channel(BTreeMap::new());
        let listening = tokio::spawn(listen(updates, messages.clone(), told));
        Ok(Self { messages, told: receiver, _listening: AbortOnDropHandle::new(listening) })
    }

    /// Asks for an address.
    ///
    /// # Errors
    /// When the stream has ended.
    pub async fn subscribe(&self, address: SocketAddr) -> Result<()> {
        Ok(self.messages.send(message(proxy_message::Message::Subscribe(target_of(address)))).await?)
    }

    /// Awaits that what was told of an address is `as_wanted`.
    ///
    /// # Errors
    /// When the stream ends first.
    pub async fn told(&self, address: SocketAddr, as_wanted: impl Fn(&Told) -> bool) -> Result<Told> {
        let mut told = self.told.clone();
        let all =
            told.wait_for(|all| all.get(&address).is_some_and(&as_wanted)).await.context("the stream has ended")?;
        all.get(&address).cloned().context("it was there")
    }

    /// Updates that came until now.
    #[must_use]
    pub fn updates(&self) -> u64 {
        self.told.borrow().values().map(|told| told.updates).sum()
    }
}

async fn listen(
    mut updates: Streaming<v1::OperatorMessage>,
    messages: mpsc::Sender<v1::ProxyMessage>,
    told: watch::Sender<BTreeMap<SocketAddr, Told>>,
) {
    loop {
        match next(&mut updates, &messages, &told).await {
            Ok(true) => {}
            Ok(false) => return,
            Err(error) => {
                println!("a subscriber's stream ended: {error:#}");
                return;
            }
        }
    }
}

async fn next(
    updates: &mut Streaming<v1::OperatorMessage>,
    messages: &mpsc::Sender<v1::ProxyMessage>,
    told: &watch::Sender<BTreeMap<SocketAddr, Told>>,
) -> Result<bool> {
    let Some(next) = updates.message().await? else { return Ok(false) };
    let answer = match next.message {
        Some(operator_message::Message::Update(update)) => {
            let at = Instant::now();
            let target = update.target.context("an update of nothing")?;
            let address = address_of(&target)?;
            let service = match update.destination.context("an update without a destination")? {
                update::Destination::Service(service) => Some(service),
                update::Destination::Pod(_) | update::Destination::Unknown(_) => None,
            };
            told.send_modify(|told| {
                let updates = told.get(&address).map_or(0, |told| told.updates) + 1;
                told.insert(address, Told { at, updates, service });
            });
            let verdict = v1::Verdict { target: Some(target), version: update.version, refusal: String::new() };
            proxy_message::Message::Verdict(verdict)
        }
        Some(operator_message::Message::Trust(trust)) => {
            proxy_message::Message::Trust(v1::TrustVerdict { version: trust.version, refusal: String::new() })
        }
        Some(operator_message::Message::Bootstrap(_)) | None => return Ok(true),
    };
    Ok(messages.send(message(answer)).await.is_ok())
}

fn message(message: proxy_message::Message) -> v1::ProxyMessage {
    v1::ProxyMessage { message: Some(message) }
}

fn target_of(address: SocketAddr) -> v1::Target {
    let ip = match address {
        SocketAddr::V4(address) => address.ip().octets().to_vec(),
        SocketAddr::V6(address) => address.ip().octets().to_vec(),
    };
    let address = v1::SocketAddress { ip, port: u32::from(address.port()) };
    v1::Target { target: Some(target::Target::Address(address)) }
}

fn address_of(target: &v1::Target) -> Result<SocketAddr> {
    let Some(target::Target::Address(address)) = &target.target else { anyhow::bail!("{target:?} is no address") };
    ensure!(address.ip.len() == 4, "{address:?} is not of IPv4");
    let ip = <[u8; 4]>::try_from(address.ip.as_slice())?;
    Ok(SocketAddr::from((ip, u16::try_from(address.port)?)))
}
