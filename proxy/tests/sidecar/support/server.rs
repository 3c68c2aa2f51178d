//! Small servers that say what they are told to.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub(crate) type Body = UnsyncBoxBody<Bytes, Infallible>;
pub(crate) type Reply = Response<Body>;

/// Bytes of headers that servers and clients take on HTTP/2: more than the proxy.
pub(crate) const HEADER_BYTES: u32 = 1024 * 1024;

/// A server of HTTP/1 and HTTP/2. Ends, with its connections, when dropped.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicU64>,
    _stop: DropGuard,
}

impl Server {
    /// Answers everything with its name.
    pub(crate) async fn named(name: &'static str) -> Self {
        Self::start(move |_request| Box::pin(async move { text(200, name) })).await
    }

    /// Answers by `handler`.
    pub(crate) async fn start<H>(handler: H) -> Self
    where
        H: Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Reply> + Send>> + Send + Sync + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let requests = Arc::new(AtomicU64::new(0));
        let handler = Arc::new(handler);
        tokio::spawn({
            let (stop, requests) = (stop.clone(), requests.clone());
            async move {
                loop {
                    let (stream, _) = tokio::select! {
                        accepted = listener.accept() => accepted.unwrap(),
                        () = stop.cancelled() => return,
                    };
                    let (stop, requests, handler) = (stop.clone(), requests.clone(), handler.clone());
                    tokio::spawn(async move {
                        let service = service_fn(move |request| {
                            requests.fetch_add(1, Ordering::SeqCst);
                            let reply = handler(request);
                            async move { Ok::<_, Infallible>(reply.await) }
                        });
                        let mut builder = auto::Builder::new(TokioExecutor::new());
                        // What the proxy lets pass is not for the server to refuse.
                        builder.http2().max_header_list_size(HEADER_BYTES);
                        let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                        tokio::select! {
                            _ = connection => {}
                            () = stop.cancelled() => {}
                        }
                    });
                }
            }
        });
        Self { address, requests, _stop: stop.drop_guard() }
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::SeqCst)
    }
}

/// A plain answer.
pub(crate) fn text(status: u16, text: &'static str) -> Reply {
    Response::builder().status(status).body(Full::from(text).boxed_unsync()).unwrap()
}

/// An address where nobody listens. The socket keeps others from it.
pub(crate) fn refusing() -> (SocketAddr, socket2::Socket) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    (socket.local_addr().unwrap().as_socket().unwrap(), socket)
}
