//! A sidecar on its stream.

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};
use weft_proxy_api::v1::{
    Hello, OperatorMessage, ProxyMessage, Trust, TrustVerdict, discovery_client::DiscoveryClient, operator_message,
    proxy_message,
};

use super::*;

/// A sidecar on its stream.
pub(super) struct Sidecar {
    say: mpsc::Sender<ProxyMessage>,
    told: Streaming<OperatorMessage>,
}

impl Sidecar {
    /// Connects, and says Hello.
    pub(super) async fn connect(operator: &Operator, token: &str) -> Self {
        let sidecar = Self::open(operator, token).await.unwrap();
        sidecar.say(proxy_message::Message::Hello(Hello::default())).await;
        sidecar
    }

    /// Why it cannot connect.
    pub(super) async fn refused(operator: &Operator, token: &str) -> Status {
        Self::open(operator, token).await.map(drop).unwrap_err()
    }

    async fn open(operator: &Operator, token: &str) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(4);
        let mut client = DiscoveryClient::new(operator.connect().await);
        let told = client.stream(with_token(Some(token), ReceiverStream::new(said))).await?.into_inner();
        Ok(Self { say, told })
    }

    async fn say(&self, message: proxy_message::Message) {
        self.say.send(ProxyMessage { message: Some(message) }).await.unwrap();
    }

    /// Says what it makes of trust.
    pub(super) async fn answer(&self, version: u64, refusal: &str) {
        self.say(proxy_message::Message::Trust(TrustVerdict { version, refusal: refusal.to_owned() })).await;
    }

    /// What it is told next.
    pub(super) async fn next(&mut self) -> operator_message::Message {
        let next = tokio::time::timeout(Duration::from_secs(10), self.told.message());
        next.await.expect("nothing was said").unwrap().unwrap().message.unwrap()
    }

    /// Why its stream ended.
    pub(super) async fn end(mut self) -> Status {
        let end = async {
            loop {
                match self.told.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Status::ok("it ended without a reason"),
                    Err(status) => return status,
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(10), end).await.expect("the stream did not end")
    }

    /// What it is told next, which is whom to trust.
    pub(super) async fn trust(&mut self) -> Trust {
        match self.next().await {
            operator_message::Message::Trust(trust) => trust,
            other => panic!("not Trust: {other:?}"),
        }
    }
}
