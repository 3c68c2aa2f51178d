//! From an address to a connection.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock},
    time::{Duration, Instant},
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
use thiserror::Error;
use tokio::{net::TcpStream, time};
use tokio_rustls::client::TlsStream;
use tokio_util::either::Either;

use super::{chance, limit::HandshakeLimit, upgrade::LateReader};
use crate::{
    engine::{CONNECTION_WINDOW, STREAM_WINDOW},
    identity::{self, Material},
    policy::Identity,
};

/// Time for an endpoint to accept a connection: one lost SYN (repeated after 1 s) is survived.
const CONNECT_LIMIT: Duration = Duration::from_secs(3);
/// An endpoint that vanished without a word, as one does with its node, is noticed on an idle connection after this and the
/// probes.
const KEEPALIVE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;
/// Time for which a connection to a sidecar is used for new requests, at most. Half of the time for which the other end keeps one
/// without requests.
const USED_FOR: Duration = Duration::from_secs(300);
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

/// How an endpoint is spoken with.
#[derive(Debug, Clone)]
pub(crate) enum Transport {
    /// Without TLS: it has no sidecar.
    Plain,
    /// With TLS, and only if it proves who it is.
    Mesh(Mesh),
}

/// What a connection of the mesh needs.
#[derive(Debug, Clone)]
pub(crate) struct Mesh {
    pub(crate) material: Arc<Material>,
    /// Who the endpoint must prove to be.
    pub(crate) expected: Arc<Identity>,
    /// Ends a handshake of the engine's that takes too long.
    pub(crate) limit: Arc<HandshakeLimit>,
}

/// How to reach the endpoint at `address` by HTTP.
pub(crate) fn peer(address: SocketAddr, http: Http, transport: &Transport) -> Box<HttpPeer> {
    let (mut peer, dial): (_, Connector) = match (transport, http) {
        (Transport::Plain, Http::Upgrade) => (HttpPeer::new(address, false, String::new()), DIAL_LATE.clone()),
        (Transport::Plain, _) => (HttpPeer::new(address, false, String::new()), DIAL.clone()),
        // Its TLS is made where it is dialled: only there reading can be put off.
        (Transport::Mesh(mesh), Http::Upgrade) => {
            (HttpPeer::new(address, false, String::new()), Arc::new(DialMesh(mesh.clone())))
        }
        (Transport::Mesh(mesh), _) => (mesh_peer(address, mesh), Arc::new(DialLimited(mesh.limit.clone()))),
    };
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
    options.custom_l4 = Some(dial);
    if http == Http::Upgrade {
        // Such a connection comes from no pool, and the next request finds none.
        peer.group_key = chance::next();
    }
    Box::new(peer)
}

/// A peer whose certificate must be by one of the mesh's roots and for the very name that stands for the expected identity. The
/// engine looks at neither when the name is empty, which [`Identity`] never has.
fn mesh_peer(address: SocketAddr, mesh: &Mesh) -> HttpPeer {
    let Mesh { material, expected, .. } = mesh;
    let mut peer = HttpPeer::new_mtls(address, expected.server_name.to_string(), material.engine_key.clone());
    peer.options.ca = Some(material.engine_roots.clone());
    peer.options.verify_cert = true;
    peer.options.verify_hostname = true;
    // Connections that were made by other roots or another certificate are not used for new requests, and neither are old ones:
    // their other end closes what it takes for forgotten, and a request must not meet that.
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    let age = START.elapsed().as_secs() / USED_FOR.as_secs();
    peer.group_key = material.generation << 32 | age;
    peer
}

/// A connection to `address`, without TLS.
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

/// A connection for bytes that are not looked into.
pub(crate) type ByteStream = Either<TcpStream, TlsStream<TcpStream>>;

/// Why there is no [`ByteStream`].
#[derive(Debug, Error)]
pub(crate) enum NotConnected {
    #[error("cannot connect to the endpoint")]
    Unreachable(#[from] io::Error),
    #[error(transparent)]
    Handshake(#[from] identity::Failed),
}

/// A connection to the endpoint at `address` for bytes that are not looked into.
pub(crate) async fn connect_bytes(address: SocketAddr, transport: &Transport) -> Result<ByteStream, NotConnected> {
    let stream = connect(address).await?;
    Ok(match transport {
        Transport::Plain => Either::Left(stream),
        Transport::Mesh(Mesh { material, expected, .. }) => {
            Either::Right(identity::connect(stream, &expected.server_name, &material.tcp).await?)
        }
    })
}

type Connector = Arc<dyn L4Connect + Send + Sync>;

static DIAL: LazyLock<Connector> = LazyLock::new(|| Arc::new(Dial));
static DIAL_LATE: LazyLock<Connector> = LazyLock::new(|| Arc::new(DialLate));

/// Connects with tokio's timer, because Pingora's own wakes the process 100 times a second once it was used.
#[derive(Debug)]
struct Dial;

/// The same for a request that may change the protocol, see [`LateReader`].
#[derive(Debug)]
struct DialLate;

/// The same for a connection on which the engine makes a handshake.
#[derive(Debug)]
struct DialLimited(Arc<HandshakeLimit>);

/// The same with TLS, for a request that may change the protocol.
#[derive(Debug)]
struct DialMesh(Mesh);

#[async_trait]
impl L4Connect for Dial {
    async fn connect(&self, address: &PeerAddr) -> Result<Stream> {
        Ok(dial(address).await?.into())
    }
}

#[async_trait]
impl L4Connect for DialLate {
    async fn connect(&self, address: &PeerAddr) -> Result<Stream> {
        let stream = dial(address).await?;
        Ok(VirtualSocketStream::new(Box::new(LateReader::new(stream))).into())
    }
}

#[async_trait]
impl L4Connect for DialLimited {
    async fn connect(&self, address: &PeerAddr) -> Result<Stream> {
        let stream = dial(address).await?;
        let limited = self.0.start(&stream);
        limited.map_err(|error| Error::because(ErrorType::SocketError, "cannot limit the handshake", error))?;
        Ok(stream.into())
    }
}

#[async_trait]
impl L4Connect for DialMesh {
    async fn connect(&self, address: &PeerAddr) -> Result<Stream> {
        let stream = dial(address).await?;
        let Mesh { material, expected, .. } = &self.0;
        let stream = identity::connect(stream, &expected.server_name, &material.http1).await;
        let stream = stream.map_err(|failed| {
            Error::because(ErrorType::TLSHandshakeFailure, "the endpoint is not who it should be", failed)
        })?;
        Ok(VirtualSocketStream::new(Box::new(LateReader::new(stream))).into())
    }
}

async fn dial(address: &PeerAddr) -> Result<TcpStream> {
    let Some(address) = address.as_inet() else {
        return Err(Error::explain(ErrorType::ConnectError, "the endpoint's address is no IP address"));
    };
    connect(*address).await.map_err(|error| {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
            io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
            io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => ErrorType::ConnectNoRoute,
            _ => ErrorType::ConnectError,
        };
        Error::because(kind, "cannot connect to the endpoint", error)
    })
}
