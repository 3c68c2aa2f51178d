//! One stream after the other, for as long as the process lives.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use thiserror::Error;
use tokio::{
    sync::{mpsc, watch},
    time::{self, Instant},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use weft_proxy_api::v1::{self, discovery_client::DiscoveryClient, operator_message, proxy_message};

use super::{
    Bootstrap, ConnectError, Health, Observed, Operator, Session,
    backoff::Backoff,
    decode::{InvalidBootstrap, InvalidTarget},
};
use crate::{
    identity::{Credentials, InvalidCertificate, InvalidTrust, Trust},
    policy::{Applied, Destination, Refusal, Store, Stream, Target},
    traffic::Registry,
};

/// Messages that may wait to be sent before no more are read.
const OUTBOX: usize = 1024;
/// Time for the operator to say something on a new stream.
const BOOTSTRAP_LIMIT: Duration = Duration::from_secs(10);
/// A stream that lived this long was a good one: the next is opened without waiting long.
const STABLE: Duration = Duration::from_secs(10);

/// The discovery stream's own state, and what it shows.
#[derive(Debug)]
pub(crate) struct Discovery {
    pub(crate) operator: Operator,
    pub(crate) instance: Arc<str>,
    pub(crate) store: Arc<Store>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) wanted: mpsc::UnboundedReceiver<Target>,
    stream: watch::Sender<Stream>,
    session: watch::Sender<Option<Session>>,
    bootstrap: watch::Sender<Option<Arc<Bootstrap>>>,
    health: watch::Sender<Health>,
    number: u64,
}

/// Why a stream ended.
#[derive(Debug, Error)]
enum Ended {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the operator ended the stream: {}", .0.message())]
    Status(Box<Status>),
    #[error("the operator closed the stream")]
    Closed,
    #[error("the operator said nothing for {} s", BOOTSTRAP_LIMIT.as_secs())]
    Silent,
    #[error("the operator did not start with a bootstrap")]
    NoBootstrap,
    #[error("the bootstrap cannot be read: {0}")]
    Bootstrap(#[from] InvalidBootstrap),
    #[error("an update's target cannot be read: {0}")]
    Target(#[from] InvalidTarget),
}

/// Why other roots are not brought into force.
#[derive(Debug, Error)]
enum Distrusted {
    #[error(transparent)]
    Invalid(#[from] InvalidTrust),
    #[error("no connection could be made by it")]
    Unusable(#[from] InvalidCertificate),
}

impl From<Status> for Ended {
    fn from(status: Status) -> Self {
        Self::Status(Box::new(status))
    }
}

impl Discovery {
    /// Not connected yet. `stream` is what the store looks at.
    pub(crate) fn new(
        operator: Operator,
        instance: Arc<str>,
        store: Arc<Store>,
        registry: Arc<Registry>,
        credentials: Arc<Credentials>,
        wanted: mpsc::UnboundedReceiver<Target>,
        stream: watch::Sender<Stream>,
    ) -> Self {
        Self {
            operator,
            instance,
            store,
            registry,
            credentials,
            wanted,
            stream,
            session: watch::Sender::new(None),
            bootstrap: watch::Sender::new(None),
            health: watch::Sender::new(Health::default()),
            number: 0,
        }
    }

    /// What others may look at.
    pub(crate) fn observe(&self) -> Observed {
        Observed {
            session: self.session.subscribe(),
            bootstrap: self.bootstrap.subscribe(),
            health: self.health.subscribe(),
        }
    }

    fn connected(&mut self, channel: tonic::transport::Channel, bootstrap: Bootstrap) -> Arc<Bootstrap> {
        let bootstrap = Arc::new(bootstrap);
        self.registry.set_bounds(&bootstrap.latency_bounds);
        self.bootstrap.send_replace(Some(bootstrap.clone()));
        self.session.send_replace(Some(Session { channel, bootstrap: bootstrap.clone() }));
        self.stream.send_replace(Stream::Connected);
        self.health.send_modify(|health| health.connected = true);
        bootstrap
    }

    /// Whether that is a change.
    fn disconnected(&mut self, reason: &str) -> bool {
        self.session.send_replace(None);
        self.stream.send_if_modified(|stream| {
            let ends = *stream == Stream::Connected;
            if ends {
                *stream = Stream::Disconnected { since: Instant::now() };
            }
            ends
        });
        let was_connected = self.health.borrow().connected;
        self.health.send_modify(|health| {
            health.connected = false;
            health.last_error = Some(reason.to_owned());
        });
        was_connected
    }
}

/// An error and what caused it, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut lines: Vec<String> =
        std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect();
    // Errors that are transparent for their cause say it once more.
    lines.dedup();
    lines.join(": ")
}

/// Keeps a stream open until `stop`, and the store true to what it says.
pub(crate) async fn run(mut discovery: Discovery, stop: CancellationToken) {
    let mut backoff = Backoff::default();
    loop {
        discovery.number += 1;
        let begun = Instant::now();
        let ended = tokio::select! {
            ended = Box::pin(stream(&mut discovery)) => ended,
            () = stop.cancelled() => return,
        };
        let Err(ended) = ended;
        if begun.elapsed() >= STABLE {
            backoff.reset();
        }
        let reason = chain(&ended);
        if discovery.disconnected(&reason) || discovery.number == 1 {
            tracing::info!(reason, "Lost the operator");
        } else {
            tracing::debug!(reason, "Still without the operator");
        }
        tokio::select! {
            () = time::sleep(backoff.next()) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// One stream, from the first message to its end.
async fn stream(discovery: &mut Discovery) -> Result<std::convert::Infallible, Ended> {
    let channel = discovery.operator.connect(discovery.credentials.trust().as_deref()).await?;
    let (outbox, messages) = mpsc::channel(1);
    let request = discovery.operator.request(ReceiverStream::new(messages)).await?;
    let hello = v1::Hello { version: env!("CARGO_PKG_VERSION").to_owned(), instance: discovery.instance.to_string() };
    let mut waiting = VecDeque::from([message(proxy_message::Message::Hello(hello))]);
    // The channel takes one message at once, so the first is on its way before the operator has answered at all.
    if let (Ok(permit), Some(hello)) = (outbox.try_reserve(), waiting.pop_front()) {
        permit.send(hello);
    }
    let opened = time::timeout(BOOTSTRAP_LIMIT, async {
        let mut inbox = DiscoveryClient::new(channel.clone()).stream(request).await?.into_inner();
        let first = inbox.message().await?;
        Ok::<_, Status>((inbox, first))
    });
    let (mut inbox, first) = opened.await.map_err(|_elapsed| Ended::Silent)??;
    let bootstrap = match first.ok_or(Ended::Closed)?.message {
        Some(operator_message::Message::Bootstrap(bootstrap)) => Bootstrap::try_from(bootstrap)?,
        _ => return Err(Ended::NoBootstrap),
    };
    let bootstrap = discovery.connected(channel, bootstrap);
    discovery.health.send_modify(|health| health.streams += 1);
    tracing::info!(stream = discovery.number, "Connected to the operator");

    // All that was asked for while there was no stream is among the entries.
    while discovery.wanted.try_recv().is_ok() {}
    for entry in discovery.store.entries() {
        waiting.push_back(message(proxy_message::Message::Subscribe((&entry.target).into())));
    }
    let period = (bootstrap.idle_subscription / 4).max(Duration::from_millis(250));
    let mut tidy = time::interval_at(Instant::now() + period, period);
    loop {
        tokio::select! {
            permit = outbox.reserve(), if !waiting.is_empty() => match (permit, waiting.pop_front()) {
                (Ok(permit), Some(message)) => permit.send(message),
                _ => return Err(Ended::Closed),
            },
            received = inbox.message(), if waiting.len() < OUTBOX => {
                match received?.ok_or(Ended::Closed)?.message {
                    Some(operator_message::Message::Update(update)) => {
                        waiting.push_back(message(proxy_message::Message::Verdict(judge(discovery, update)?)));
                    }
                    Some(operator_message::Message::Trust(trust)) => {
                        waiting.push_back(message(proxy_message::Message::Trust(believe(&discovery.credentials, trust))));
                    }
                    // What a newer operator says besides, and a second bootstrap, has no meaning here.
                    Some(operator_message::Message::Bootstrap(_)) | None => {}
                }
            }
            Some(target) = discovery.wanted.recv() => {
                waiting.push_back(message(proxy_message::Message::Subscribe((&target).into())));
            }
            _ = tidy.tick() => for target in discovery.store.expire(bootstrap.idle_subscription) {
                tracing::debug!(%target, "Forgot a destination that nobody uses");
                waiting.push_back(message(proxy_message::Message::Unsubscribe((&target).into())));
            },
        }
    }
}

/// Brings an update into force, or says why not.
fn judge(discovery: &Discovery, update: v1::Update) -> Result<v1::Verdict, InvalidTarget> {
    let wire = update.target.unwrap_or_default();
    let target = Target::try_from(wire.clone())?;
    let version = update.version;
    let refusal = match Destination::try_from(update.destination) {
        Err(invalid) => Some(invalid.to_string()),
        Ok(destination) => match discovery.store.apply(discovery.number, version, &target, destination) {
            Err(invalid) => Some(invalid.to_string()),
            Ok(applied) => {
                if applied == Applied::Taken {
                    tracing::debug!(%target, version, "Took an update");
                }
                None
            }
        },
    };
    if let Some(reason) = &refusal {
        tracing::warn!(%target, version, reason, "Refused an update");
        discovery.store.refuse(&target, Refusal { version, reason: reason.clone() });
    }
    Ok(v1::Verdict { target: Some(wire), version, refusal: refusal.unwrap_or_default() })
}

/// Brings other roots into force, or says why not.
fn believe(credentials: &Credentials, wire: v1::Trust) -> v1::TrustVerdict {
    let version = wire.version;
    let taken = Trust::try_from(wire).map_err(Distrusted::from).and_then(|trust| Ok(credentials.set_trust(trust)?));
    let refusal = taken.err().map(|error| chain(&error));
    if let Some(reason) = &refusal {
        tracing::warn!(version, reason, "Refused what the operator says about trust");
    }
    v1::TrustVerdict { version, refusal: refusal.unwrap_or_default() }
}

fn message(message: proxy_message::Message) -> v1::ProxyMessage {
    v1::ProxyMessage { message: Some(message) }
}
