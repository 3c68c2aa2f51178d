//! One stream per sidecar: subscriptions in, updates out, acknowledgements in.

use std::{
    collections::HashMap,
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{sync::mpsc, time::timeout};
use tokio_stream::{StreamExt, StreamMap, wrappers::ReceiverStream, wrappers::WatchStream};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::{Request, Response, Status, Streaming};
use weft_proxy_api::v1::{self, discovery_server::Discovery, operator_message, proxy_message};

use super::{Authenticator, Caller, presence, wire};
use crate::{
    identity::Authorities,
    index::Index,
    model::{Destination, Target, WorkloadRef},
    publish::{Ledger, Publisher, StreamId, TrustLedger},
    traffic,
};

/// How long a new stream may take to say Hello.
const HELLO_LIMIT: Duration = Duration::from_secs(10);
/// Time after which a sidecar gives up a destination that nobody uses.
const IDLE_SUBSCRIPTION: Duration = Duration::from_secs(300);
/// Targets that one sidecar may follow: more than an application talks to, and no way to fill the operator's memory.
const MOST_SUBSCRIPTIONS: usize = 10_000;
/// Bytes of a sidecar's words about a refusal that are kept.
const WORDS: usize = 256;
/// Updates that may wait for a slow sidecar. Everything newer waits as one value in its watch channel.
const UPDATES_IN_FLIGHT: usize = 16;

/// Serves `weft.v1.Discovery`.
pub struct Streams {
    authenticator: Authenticator,
    index: Arc<Index>,
    publisher: Arc<Publisher>,
    ledgers: Ledgers,
    authorities: Authorities,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    next: AtomicU64,
}

/// What sidecars said to what they were sent.
#[derive(Debug, Clone, Default)]
pub struct Ledgers {
    /// About destinations.
    pub destinations: Arc<Ledger>,
    /// About trust.
    pub trust: Arc<TrustLedger>,
}

impl Streams {
    /// Streams end on `shutdown`; `tasks` holds each until it has.
    #[must_use]
    pub fn new(
        authenticator: Authenticator,
        index: Arc<Index>,
        publisher: Arc<Publisher>,
        ledgers: Ledgers,
        authorities: Authorities,
        tasks: TaskTracker,
        shutdown: CancellationToken,
    ) -> Self {
        Self { authenticator, index, publisher, ledgers, authorities, tasks, shutdown, next: AtomicU64::new(1) }
    }
}

#[tonic::async_trait]
impl Discovery for Streams {
    type StreamStream = ReceiverStream<Result<v1::OperatorMessage, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<v1::ProxyMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        // Before the first lists are read every destination would be called unknown.
        if !self.index.is_synced() {
            return Err(Status::unavailable("the operator has not read the cluster yet"));
        }
        let caller = self.authenticator.authenticate(request.metadata(), request.extensions()).await?;
        let workload = presence::arrived(&self.index, &caller).await?;
        let (updates, receiver) = mpsc::channel(UPDATES_IN_FLIGHT);
        let stream = Stream {
            id: self.next.fetch_add(1, Ordering::Relaxed),
            caller,
            index: Arc::clone(&self.index),
            publisher: Arc::clone(&self.publisher),
            ledgers: self.ledgers.clone(),
            authorities: self.authorities.clone(),
            updates,
            subscriptions: StreamMap::new(),
            asked: HashMap::new(),
            version: 0,
            trust_version: 0,
        };
        let shutdown = self.shutdown.clone();
        self.tasks.spawn(stream.serve(workload, request.into_inner(), shutdown));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

struct Stream {
    id: StreamId,
    caller: Caller,
    index: Arc<Index>,
    publisher: Arc<Publisher>,
    ledgers: Ledgers,
    authorities: Authorities,
    updates: mpsc::Sender<Result<v1::OperatorMessage, Status>>,
    subscriptions: StreamMap<Target, WatchStream<Arc<Destination>>>,
    /// Targets in the words that the sidecar asked with.
    asked: HashMap<Target, v1::Target>,
    version: u64,
    trust_version: u64,
}

/// The sidecar is gone.
struct Gone;

impl Stream {
    async fn serve(
        mut self,
        workload: WorkloadRef,
        messages: Streaming<v1::ProxyMessage>,
        shutdown: CancellationToken,
    ) {
        let (caller, index) = (self.caller.clone(), Arc::clone(&self.index));
        let pod = caller.pod.clone();
        self.ledgers.destinations.open(self.id, pod.clone());
        self.ledgers.trust.open(self.id, pod.clone());
        let end = tokio::select! {
            end = self.converse(&workload, messages) => end,
            // Its connection may stay open for long, and nobody must wait for an answer on it.
            () = presence::left(&index, &caller) => Err(presence::gone(&caller)),
            () = shutdown.cancelled() => Err(Status::unavailable("the operator is stopping")),
        };
        self.ledgers.destinations.close(self.id);
        self.ledgers.trust.close(self.id);
        match end {
            Ok(Gone) => tracing::info!(%pod, "Sidecar disconnected"),
            Err(status) => {
                tracing::info!(%pod, error = &status as &dyn Error, "Ended the stream of a sidecar");
                // Whoever does not read its updates does not read why they end either.
                let _full_or_gone = self.updates.try_send(Err(status));
            }
        }
    }

    async fn converse(
        &mut self,
        workload: &WorkloadRef,
        mut messages: Streaming<v1::ProxyMessage>,
    ) -> Result<Gone, Status> {
        let first = timeout(HELLO_LIMIT, messages.message())
            .await
            .map_err(|_elapsed| Status::deadline_exceeded("the stream did not begin with Hello"))??;
        let Some(proxy_message::Message::Hello(hello)) = first.and_then(|first| first.message) else {
            return Err(Status::invalid_argument("the stream did not begin with Hello"));
        };
        tracing::info!(pod = %self.caller.pod, %workload, version = hello.version, "Sidecar connected");
        if self.send(bootstrap(workload)).await.is_err() || self.trust().await.is_err() {
            return Ok(Gone);
        }
        loop {
            tokio::select! {
                changed = self.authorities.changed() => {
                    changed.map_err(|_closed| Status::unavailable("the operator is stopping"))?;
                    if self.trust().await.is_err() {
                        return Ok(Gone);
                    }
                }
                message = messages.message() => match message? {
                    Some(message) => self.receive(message)?,
                    None => return Ok(Gone),
                },
                Some((target, destination)) = self.subscriptions.next() => {
                    if self.update(&target, destination).await.is_err() {
                        return Ok(Gone);
                    }
                }
            }
        }
    }

    fn receive(&mut self, message: v1::ProxyMessage) -> Result<(), Status> {
        match message.message {
            Some(proxy_message::Message::Subscribe(asked)) => {
                let target = self.target(&asked)?;
                if !self.subscriptions.contains_key(&target) {
                    if self.asked.len() >= MOST_SUBSCRIPTIONS {
                        return Err(Status::resource_exhausted(format!(
                            "a stream has at most {MOST_SUBSCRIPTIONS} targets"
                        )));
                    }
                    let destination = WatchStream::new(self.publisher.subscribe(&target));
                    self.subscriptions.insert(target.clone(), destination);
                    self.asked.insert(target, asked);
                }
            }
            Some(proxy_message::Message::Unsubscribe(asked)) => {
                let target = self.target(&asked)?;
                self.subscriptions.remove(&target);
                self.asked.remove(&target);
                self.ledgers.destinations.forgot(self.id, &target);
            }
            Some(proxy_message::Message::Verdict(verdict)) => {
                let target = self.target(&verdict.target.unwrap_or_default())?;
                let refusal = Some(words(verdict.refusal)).filter(|refusal| !refusal.is_empty());
                if let Some(refusal) = &refusal {
                    tracing::warn!(
                        pod = %self.caller.pod, ?target, version = verdict.version, refusal,
                        "A sidecar refused an update and keeps what it had"
                    );
                }
                self.ledgers.destinations.answered(self.id, &target, verdict.version, refusal);
            }
            Some(proxy_message::Message::Trust(verdict)) => {
                let refusal = words(verdict.refusal);
                if !refusal.is_empty() {
                    tracing::warn!(
                        pod = %self.caller.pod, version = verdict.version, refusal,
                        "A sidecar refused whom to trust and keeps what it had"
                    );
                }
                self.ledgers.trust.answered(self.id, verdict.version, refusal.is_empty());
            }
            Some(proxy_message::Message::Hello(_)) => {
                return Err(Status::invalid_argument("only the first message may be Hello"));
            }
            // A message of a newer sidecar, which this operator cannot know.
            None => {}
        }
        Ok(())
    }

    fn target(&self, asked: &v1::Target) -> Result<Target, Status> {
        wire::target(asked, &self.caller.pod.namespace).map_err(|error| Status::invalid_argument(error.to_string()))
    }

    async fn update(&mut self, target: &Target, destination: Arc<Destination>) -> Result<(), Gone> {
        let Some(asked) = self.asked.get(target).cloned() else {
            return Ok(());
        };
        self.version += 1;
        let message = wire::update(asked, self.version, &destination);
        // Before it is sent: the answer must not come first.
        self.ledgers.destinations.sent(self.id, target, self.version, destination);
        self.send(message).await
    }

    /// Sends the newest trust; none before there is an issuer, without which nobody can have connected.
    async fn trust(&mut self) -> Result<(), Gone> {
        let Some(authority) = self.authorities.borrow_and_update().clone() else { return Ok(()) };
        self.trust_version += 1;
        let message = wire::trust(self.trust_version, &authority.trust);
        self.ledgers.trust.sent(self.id, self.trust_version, Arc::clone(&authority.trust));
        self.send(message).await
    }

    async fn send(&self, message: v1::OperatorMessage) -> Result<(), Gone> {
        self.updates.send(Ok(message)).await.map_err(|_closed| Gone)
    }
}

fn bootstrap(workload: &WorkloadRef) -> v1::OperatorMessage {
    let seconds = |duration: Duration| u32::try_from(duration.as_secs()).unwrap_or(u32::MAX);
    let milliseconds = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    let bootstrap = v1::Bootstrap {
        workload: Some(wire::workload(workload)),
        report_interval_milliseconds: milliseconds(traffic::REPORT_INTERVAL),
        latency_bounds_microseconds: traffic::latency_bounds().to_vec(),
        idle_subscription_seconds: seconds(IDLE_SUBSCRIPTION),
    };
    v1::OperatorMessage { message: Some(operator_message::Message::Bootstrap(bootstrap)) }
}

/// As much of what a sidecar says as a status has room for.
fn words(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(WORDS));
    text
}
