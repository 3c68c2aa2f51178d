//! One sender of a load: a connection that is kept, or for TCP a new one each time.

use std::{error::Error, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
    time::timeout,
};
use tonic::{
    metadata::MetadataMap,
    transport::{Channel, Endpoint},
};

use super::{Plan, Protocol};
use crate::echo::{EchoReply, EchoRequest, echo_client::EchoClient};

/// Characters of a failed answer's body that its text shows.
const SHOWN: usize = 200;

/// A successful answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Who gave it, by the field that the plan counts by; `unnamed` when it does not say.
    pub name: String,
    /// Of HTTP.
    pub status: Option<u16>,
}

/// Why a plan cannot be followed, or a request did not succeed.
#[derive(Debug, Error)]
pub enum Failure {
    /// The plan's URL, method or a header is not one.
    #[error("the plan is wrong: {0}")]
    Plan(String),
    /// Nothing came in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// No connection, or it broke.
    #[error("connection: {0}")]
    Connection(String),
    /// An HTTP answer that is not 2xx.
    #[error("status {status}: {body}")]
    Status {
        /// Of the answer.
        status: u16,
        /// The beginning of its body.
        body: String,
    },
    /// A gRPC status that is not OK.
    #[error("gRPC status {code:?}: {message}")]
    Grpc {
        /// Of the status.
        code: tonic::Code,
        /// Of the status.
        message: String,
    },
    /// What was sent did not come back.
    #[error("sent {sent:?}, but {got:?} came back")]
    Echo {
        /// The line or message.
        sent: String,
        /// What came instead.
        got: String,
    },
}

impl Failure {
    /// An error together with its causes: hyper's own text does not name them.
    fn connection(error: &dyn Error) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        Self::Connection(text)
    }

    fn grpc(status: &tonic::Status) -> Self {
        Self::Grpc { code: status.code(), message: status.message().to_owned() }
    }
}

/// Sends one request after the other.
pub struct Connection {
    limit: Duration,
    count_by: String,
    kind: Kind,
}

enum Kind {
    Http(Box<Http>),
    Grpc(Box<Grpc>),
    Tcp { address: String, line: String, server_first: bool },
}

struct Grpc {
    client: EchoClient<Channel>,
    metadata: MetadataMap,
    message: String,
    stream: bool,
}

struct Http {
    client: Client<HttpConnector, Full<Bytes>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Connection {
    /// Prepares a sender; it connects with the first request.
    ///
    /// # Errors
    /// When the plan's URL, method or headers are malformed.
    pub fn new(plan: &Plan) -> Result<Self, Failure> {
        let text = if plan.body.is_empty() { "hello".to_owned() } else { plan.body.clone() };
        let kind = match plan.protocol {
            Protocol::Http1 | Protocol::H2 => Kind::Http(Box::new(Http::new(plan)?)),
            Protocol::Grpc | Protocol::GrpcStream => {
                let endpoint =
                    Endpoint::from_shared(plan.url.clone()).map_err(|error| Failure::Plan(error.to_string()))?;
                Kind::Grpc(Box::new(Grpc {
                    client: EchoClient::new(endpoint.connect_lazy()),
                    metadata: MetadataMap::from_headers(headers(plan)?),
                    message: text,
                    stream: plan.protocol == Protocol::GrpcStream,
                }))
            }
            Protocol::Tcp | Protocol::TcpServerFirst => Kind::Tcp {
                address: plan.url.clone(),
                line: text,
                server_first: plan.protocol == Protocol::TcpServerFirst,
            },
        };
        let limit =
            Duration::try_from_secs_f64(plan.timeout_seconds).map_err(|error| Failure::Plan(error.to_string()))?;
        Ok(Self { limit, count_by: plan.count_by.clone(), kind })
    }

    /// Sends one request and awaits its answer.
    ///
    /// # Errors
    /// When there is no successful answer in time.
    pub async fn ask(&self) -> Result<Answer, Failure> {
        let answer = async {
            match &self.kind {
                Kind::Http(http) => http.ask(&self.count_by).await,
                Kind::Grpc(grpc) => {
                    let reply = grpc.ask().await?;
                    let name = match &*self.count_by {
                        "version" => reply.version,
                        "pod" => reply.pod,
                        _ => reply.name,
                    };
                    Ok(Answer { name, status: None })
                }
                Kind::Tcp { address, line, server_first } => {
                    let greeting = exchange(address, line, *server_first).await?;
                    Ok(Answer { name: field(greeting.as_bytes(), &self.count_by), status: None })
                }
            }
        };
        timeout(self.limit, answer).await.unwrap_or(Err(Failure::Timeout(self.limit)))
    }
}

impl Http {
    fn new(plan: &Plan) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::Plan(format!("{what:?} is not a URL or method"));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Ok(Self {
            // A pool of one: like every pool it repeats a request that met a connection which was just being closed,
            // provided that nothing of it was sent.
            client: Client::builder(TokioExecutor::new())
                .pool_max_idle_per_host(1)
                .http2_only(plan.protocol == Protocol::H2)
                .build(connector),
            method: plan.method.parse().map_err(|_invalid| wrong(&plan.method))?,
            uri: plan.url.parse().map_err(|_invalid| wrong(&plan.url))?,
            headers: headers(plan)?,
            body: Bytes::from(plan.body.clone()),
        })
    }

    async fn ask(&self, count_by: &str) -> Result<Answer, Failure> {
        let mut request = http::Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().clone_from(&self.headers);
        let response = self.client.request(request).await.map_err(|error| Failure::connection(&error))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| Failure::connection(&error))?.to_bytes();
        if !status.is_success() {
            let body = String::from_utf8_lossy(&body).chars().take(SHOWN).collect();
            return Err(Failure::Status { status: status.as_u16(), body });
        }
        Ok(Answer { name: field(&body, count_by), status: Some(status.as_u16()) })
    }
}

impl Grpc {
    async fn ask(&self) -> Result<EchoReply, Failure> {
        let mut client = self.client.clone();
        let request = EchoRequest { message: self.message.clone(), status: 0 };
        let refuse = |status: tonic::Status| Failure::grpc(&status);
        let reply = if self.stream {
            let mut request = tonic::Request::new(tokio_stream::once(request));
            request.metadata_mut().clone_from(&self.metadata);
            let mut replies = client.bidirectional(request).await.map_err(refuse)?.into_inner();
            let reply = replies.message().await.map_err(refuse)?.unwrap_or_default();
            // The stream has succeeded when its trailers say so.
            replies.message().await.map_err(refuse)?;
            reply
        } else {
            let mut request = tonic::Request::new(request);
            request.metadata_mut().clone_from(&self.metadata);
            client.unary(request).await.map_err(refuse)?.into_inner()
        };
        if reply.message != self.message {
            return Err(Failure::Echo { sent: self.message.clone(), got: reply.message });
        }
        Ok(reply)
    }
}

/// Connects, reads the line by which the server says who it is, and has one line echoed.
async fn exchange(address: &str, line: &str, server_first: bool) -> Result<String, Failure> {
    let exchange = async {
        let mut stream = BufReader::new(TcpStream::connect(address).await?);
        let (mut greeting, mut echo) = (String::new(), String::new());
        let line = format!("{line}\n");
        if server_first {
            stream.read_line(&mut greeting).await?;
            stream.write_all(line.as_bytes()).await?;
        } else {
            stream.write_all(line.as_bytes()).await?;
            stream.read_line(&mut greeting).await?;
        }
        stream.read_line(&mut echo).await?;
        stream.shutdown().await?;
        std::io::Result::Ok((line, greeting, echo))
    };
    let (line, greeting, echo) = exchange.await.map_err(|error| Failure::connection(&error))?;
    if echo != line {
        return Err(Failure::Echo { sent: line, got: echo });
    }
    Ok(greeting)
}

fn headers(plan: &Plan) -> Result<HeaderMap, Failure> {
    plan.headers
        .iter()
        .map(|(name, value)| {
            let wrong = || Failure::Plan(format!("{name:?}: {value:?} is not a header"));
            let name: HeaderName = name.parse().map_err(|_invalid| wrong())?;
            let value: HeaderValue = value.parse().map_err(|_invalid| wrong())?;
            Ok((name, value))
        })
        .collect()
}

/// A text field of a JSON object.
fn field(json: &[u8], name: &str) -> String {
    let value: serde_json::Value = serde_json::from_slice(json).unwrap_or_default();
    value.get(name).and_then(|value| value.as_str()).unwrap_or("unnamed").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_who_answered() {
        for (name, body, by, want) in [
            ("by name", r#"{"name": "v1", "pod": "v1-x"}"#, "name", "v1"),
            ("by pod", r#"{"name": "v1", "pod": "v1-x"}"#, "pod", "v1-x"),
            ("missing", r#"{"pod": "v1-x"}"#, "name", "unnamed"),
            ("not text", r#"{"name": 1}"#, "name", "unnamed"),
            ("not JSON", "hello", "name", "unnamed"),
        ] {
            assert_eq!(field(body.as_bytes(), by), want, "{name}");
        }
    }

    #[test]
    fn says_what_is_wrong_with_a_plan() {
        for (name, plan, want) in [
            ("url", Plan::new("http://a b/"), r#""http://a b/" is not a URL or method"#),
            ("method", Plan { method: "G T".to_owned(), ..Plan::new("http://a/") }, r#""G T" is not a URL or method"#),
            ("header", Plan::new("http://a/").header("a b", "c"), r#""a b": "c" is not a header"#),
            ("timeout", Plan { timeout_seconds: -1.0, ..Plan::new("http://a/") }, "negative"),
        ] {
            let failure = Connection::new(&plan).err().unwrap().to_string();
            assert!(failure.contains(want), "{name}: {failure}");
        }
    }
}
