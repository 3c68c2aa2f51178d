//! An application, its sidecar, and another's sidecar that sends to it.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time,
};
use weft_proxy::Settings;

use super::{CLUSTER_IP, Operator, PATIENCE, Proxy, meshed, service, target};

/// Two sidecars in a row.
pub(crate) struct Mesh {
    /// The application's.
    pub(crate) server: Proxy,
    /// Whoever connects to its outbound port reaches the application.
    pub(crate) client: Proxy,
    _operator: Operator,
}

impl Mesh {
    /// Before the `application`.
    pub(crate) async fn of(application: SocketAddr) -> Self {
        Self::with(application, |_| {}).await
    }

    /// The same with other settings for both.
    pub(crate) async fn with(application: SocketAddr, change: impl Fn(&mut Settings)) -> Self {
        let operator = Operator::start().await;
        let server = Proxy::with(&operator, application, application, &change).await.ready().await;
        operator.say(target(CLUSTER_IP), service(&[("web", 1, vec![meshed(server.inbound)])]));
        let client = Proxy::with(&operator, CLUSTER_IP, CLUSTER_IP, &change).await.ready().await;
        Self { server, client, _operator: operator }
    }
}

/// A connection on which bytes are written and read by hand.
pub(crate) struct Wire(pub(crate) TcpStream);

impl Wire {
    pub(crate) async fn to(address: SocketAddr) -> Self {
        Self(TcpStream::connect(address).await.unwrap())
    }

    /// Sends as much as the other side takes; it may refuse before the end.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.0.write_all(bytes).await;
    }

    /// One answer: its head, and its body if that has a length. Empty when the connection ends before.
    pub(crate) async fn answer(&mut self) -> String {
        let answer = async {
            let mut answer = self.until("\r\n\r\n").await;
            let length = answer
                .to_ascii_lowercase()
                .split_once("content-length: ")
                .and_then(|(_, rest)| rest.split_once("\r\n").and_then(|(length, _)| length.parse::<usize>().ok()));
            for _ in 0..length.unwrap_or(0) {
                let Ok(byte) = self.0.read_u8().await else { break };
                answer.push(char::from(byte));
            }
            answer
        };
        time::timeout(PATIENCE, answer).await.expect("no answer in time")
    }

    /// Everything up to and including `end`, or the end of the connection.
    pub(crate) async fn until(&mut self, end: &str) -> String {
        let mut read = String::new();
        while !read.ends_with(end) {
            let Ok(Ok(byte)) = time::timeout(PATIENCE, self.0.read_u8()).await else { break };
            read.push(char::from(byte));
        }
        read
    }

    /// Everything up to the end of the connection.
    pub(crate) async fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        // A reset is an end as well.
        let _ = time::timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("the connection does not end");
        String::from_utf8_lossy(&rest).into_owned()
    }
}
