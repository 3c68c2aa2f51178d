//! From an address to a connection.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use http::{Version, header};
use pingora::{
    connectors::L4Connect,
    http::RequestHeader,
    protocols::l4::{socket::SocketAddr as PeerAddr, stream::Stream, virt::VirtualSocketStream},
    upstreams::peer::{H1UpgradePolicy, HttpPeer},
    {Error, ErrorType, Result},
};
use socket2::{SockRef, TcpKeepalive};
use tokio::{net::TcpStream, time};

use super::{chance, upgrade::LateReader};
use crate::engine::{CONNECTION_WINDOW, STREAM_WINDOW};

/// Time for an endpoint to accept a connection: one lost SYN (repeated after 1 s) is survived.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// An endpoint that vanished without a word, as one does with its node, is noticed on an idle connection after this and the
/// probes.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// Streams on one HTTP/2 connection before another is opened; what most servers allow.
const MAX_H2_STREAMS: usize = 100;

/// The version of HTTP that is spoken with an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Http {
    /// HTTP/1.1, for clients of HTTP/1.x.
    One,
    /// HTTP/1.1, for a request that asks for another protocol on its connection.
    Upgrade,
    /// HTTP/2 with prior knowledge, for clients of HTTP/2.
    Two,
}

impl Http {
    /// The version to pass `request` on in: the client's.
    pub(crate) fn of(request: &RequestHeader) -> Self {
        match request.version {
            Version::HTTP_2 => Self::Two,
            _ if request.headers.contains_key(header::UPGRADE) => Self::Upgrade,
            _ => Self::One,
        }
    }
}

/// How to reach the endpoint at `address` by HTTP.
///
/// This is where traffic between two sidecars will be encrypted: a peer with TLS, whose server name stands for the identity
/// that the endpoint must show.
pub(crate) fn peer(address: SocketAddr, http: Http) -> Box<HttpPeer> {
    let mut peer = HttpPeer::new(address, false, String::new());
    let options = &mut peer.options;
    match http {
        Http::One | Http::Upgrade => options.set_http_version(1, 1),
        Http::Two => options.set_http_version(2, 2),
    }
    options.max_h2_streams = MAX_H2_STREAMS;
    options.h2_stream_window_size = Some(STREAM_WINDOW);
    options.h2_connection_window_size = Some(CONNECTION_WINDOW);
    // The sidecar stands in the way of its own application's traffic: any upgrade that the two agree on is theirs.
    options.http_upstream_request_policy.h1_upgrade = H1UpgradePolicy::Preserve;
    options.custom_l4 = Some(if http == Http::Upgrade { DIAL_LATE.clone() } else { DIAL.clone() });
    if http == Http::Upgrade {
        // Such a connection comes from no pool, and the next request finds none.
        peer.group_key = chance::next();
    }
    Box::new(peer)
}

/// A connection to `address` for bytes that are not looked into. See [`peer`] about encryption.
pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = time::timeout(CONNECT_LIMIT, TcpStream::connect(address)).await??;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(
        &TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_RETRIES),
    )?;
    // No TCP_USER_TIMEOUT: it would also end a connection whose receiver pauses.
    Ok(stream)
}

type Connector = Arc<dyn L4Connect + Send + Sync>;

static DIAL: LazyLock<Connector> = LazyLock::new(|| Arc::new(Dial { late: false }));
static DIAL_LATE: LazyLock<Connector> = LazyLock::new(|| Arc::new(Dial { late: true }));

/// Connects with tokio's timer, because Pingora's own wakes the process 100 times a second once it was used.
#[derive(Debug)]
struct Dial {
    /// See [`LateReader`].
    late: bool,
}

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, address: &PeerAddr) -> Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Err(Error::explain(ErrorType::ConnectError, "the endpoint's address is no IP address"));
        };
        match connect(*address).await {
            Ok(stream) if self.late => Ok(VirtualSocketStream::new(Box::new(LateReader::new(stream))).into()),
            Ok(stream) => Ok(Stream::from(stream)),
            Err(error) => {
                let kind = match error.kind() {
                    io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
                    io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                    io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
                    _ => ErrorType::ConnectError,
                };
                Err(Error::because(kind, "cannot connect to the endpoint", error))
            }
        }
    }
}
