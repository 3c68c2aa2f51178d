//! A client that keeps its connection.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{HeaderMap, Request, Version};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    task::JoinHandle,
    time,
};

use super::{PATIENCE, server::HEADER_BYTES};

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
    /// Speaks on `stream`. The second is there once the connection has ended.
    pub(crate) async fn on<S>(stream: S, http2: bool) -> (Self, JoinHandle<hyper::Result<()>>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let stream = TokioIo::new(stream);
        if http2 {
            let mut builder = http2::Builder::new(TokioExecutor::new());
            let (client, connection) = builder.max_header_list_size(HEADER_BYTES).handshake(stream).await.unwrap();
            (Self::Http2(client), tokio::spawn(connection))
        } else {
            let (client, connection) = http1::handshake(stream).await.unwrap();
            (Self::Http1(client), tokio::spawn(connection))
        }
    }

    /// Speaks HTTP/1.1.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.unwrap(), false).await.0
    }

    /// Speaks HTTP/2.
    pub(crate) async fn connect_http2(address: SocketAddr) -> Self {
        Self::on(TcpStream::connect(address).await.unwrap(), true).await.0
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
