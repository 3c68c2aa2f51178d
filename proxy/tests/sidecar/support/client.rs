//! A client that keeps its connection.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, time};

use super::PATIENCE;

/// One connection.
pub(crate) enum Client {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// An answer, all of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) version: Version,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) trailers: HeaderMap,
}

impl Answer {
    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

impl Client {
    /// Speaks HTTP/1.1.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::Http1(client)
    }

    /// Speaks HTTP/2.
    pub(crate) async fn connect_http2(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let (client, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self::Http2(client)
    }

    /// Sends a request and waits for all of the answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Answer {
        self.try_send(request).await.unwrap()
    }

    /// The same, when it may fail.
    pub(crate) async fn try_send(&mut self, mut request: Request<Full<Bytes>>) -> hyper::Result<Answer> {
        let exchange = async {
            let response = match self {
                Self::Http1(client) => {
                    client.ready().await?;
                    client.send_request(request).await?
                }
                Self::Http2(client) => {
                    let path = request.uri().path().to_owned();
                    *request.uri_mut() = format!("http://web{path}").parse().unwrap();
                    request.headers_mut().remove("host");
                    client.ready().await?;
                    client.send_request(request).await?
                }
            };
            let (head, body) = response.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            let body = String::from_utf8(body.to_bytes().to_vec()).unwrap();
            Ok(Answer { status: head.status.as_u16(), version: head.version, headers: head.headers, body, trailers })
        };
        time::timeout(PATIENCE, exchange).await.expect("no answer in time")
    }
}

/// A GET of `path`.
pub(crate) fn get(path: &str) -> Request<Full<Bytes>> {
    request("GET", path, "")
}

/// A request with a body.
pub(crate) fn request(method: &str, path: &str, body: impl Into<Bytes>) -> Request<Full<Bytes>> {
    Request::builder().method(method).uri(path).header("host", "web").body(Full::new(body.into())).unwrap()
}
