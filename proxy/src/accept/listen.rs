//! Sockets that take connections for as long as they are wanted.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use thiserror::Error;
use tokio::{
    net::{TcpListener, TcpStream},
    time,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{OriginalDestination, reset};
use crate::traffic::{Direction, Registry};

/// Connections that may wait to be accepted; the kernel takes the lesser of this and `net.core.somaxconn`.
const BACKLOG: i32 = 4096;
/// Pause after a failed accept, most likely for want of file descriptors.
const FAILURE_PAUSE: Duration = Duration::from_millis(50);
/// A client that vanished without a word is noticed after about twice this.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// What is counted for a connection that is one too many.
const TOO_MANY: &str = "too-many-connections";

/// Why a port cannot be listened on.
#[derive(Debug, Error)]
#[error("cannot listen on {address}")]
pub struct BindError {
    address: SocketAddr,
    source: io::Error,
}

/// Sockets for `port` on all addresses: one for IPv4 and, where the pod has it, one for IPv6. Two sockets instead of one for
/// both, because the original destination is asked for differently.
///
/// # Errors
/// When the port is taken, or there is no IPv4 at all.
pub fn bind(port: u16) -> Result<Vec<TcpListener>, BindError> {
    let listen = |address: SocketAddr| listen(address).map_err(|source| BindError { address, source });
    let mut listeners = vec![listen((Ipv4Addr::UNSPECIFIED, port).into())?];
    match listen((Ipv6Addr::UNSPECIFIED, port).into()) {
        Ok(listener) => listeners.push(listener),
        Err(error) => tracing::info!(error = &error as &dyn std::error::Error, "Listening on IPv4 only"),
    }
    Ok(listeners)
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// What is done with the connections of a listener.
pub(crate) trait Handler: Send + Sync + 'static {
    /// Which way its connections go.
    fn direction(&self) -> Direction;

    /// Serves a connection that was going to `destination` until it ends.
    fn handle(&self, stream: TcpStream, destination: SocketAddr) -> impl Future<Output = ()> + Send;
}

/// The tasks of accepted connections, and when they end. Each direction has its own number of them: callers must not be able to use
/// up what the application needs for its own calls.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    pub(crate) tasks: TaskTracker,
    /// No more are accepted.
    pub(crate) closed: CancellationToken,
    /// Those that are still there are cut off.
    pub(crate) cut: CancellationToken,
    /// How many there may be at once in each direction, and how many there are.
    limit: usize,
    outbound: Arc<AtomicUsize>,
    inbound: Arc<AtomicUsize>,
    registry: Arc<Registry>,
}

impl Connections {
    pub(crate) fn new(limit: usize, registry: Arc<Registry>) -> Self {
        Self {
            tasks: TaskTracker::new(),
            closed: CancellationToken::new(),
            cut: CancellationToken::new(),
            limit,
            outbound: Arc::default(),
            inbound: Arc::default(),
            registry,
        }
    }

    /// One more in this `direction`, unless there are as many as there may be.
    fn enter(&self, direction: Direction) -> Option<Open> {
        let count = match direction {
            Direction::Outbound => &self.outbound,
            Direction::Inbound => &self.inbound,
        };
        let before = count.fetch_add(1, Ordering::Relaxed);
        let open = Open(count.clone());
        (before < self.limit).then_some(open)
    }
}

/// One of the connections of a direction, until dropped.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts connections from `listener` until they are closed and has each handled in a task of its own.
pub(crate) async fn accept(
    listener: TcpListener,
    original: Arc<dyn OriginalDestination>,
    handler: Arc<impl Handler>,
    connections: Connections,
) {
    let mut is_full = false;
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = connections.closed.cancelled() => return,
        };
        let stream = match accepted {
            Ok((stream, _client)) => stream,
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Could not accept a connection");
                time::sleep(FAILURE_PAUSE).await;
                continue;
            }
        };
        let was_full = is_full;
        let open = connections.enter(handler.direction());
        is_full = open.is_none();
        let Some(open) = open else {
            if !was_full {
                tracing::warn!(limit = connections.limit, "Refusing connections: there are as many as there may be");
            }
            connections.registry.errors.count(handler.direction(), TOO_MANY);
            reset(&stream);
            continue;
        };
        match prepare(&stream, &*original) {
            Ok(Some(destination)) => {
                let (handler, cut) = (handler.clone(), connections.cut.clone());
                connections.tasks.spawn(async move {
                    let _open = open;
                    tokio::select! {
                        () = handler.handle(stream, destination) => {}
                        () = cut.cancelled() => {}
                    }
                });
            }
            Ok(None) => tracing::debug!("Closed a connection that was addressed to the proxy itself"),
            Err(error) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "Closed a connection to nowhere");
            }
        }
    }
}

/// Where `stream` was going; `None` when that is its listener, since serving it would be a connection to itself, without end.
fn prepare(stream: &TcpStream, original: &dyn OriginalDestination) -> io::Result<Option<SocketAddr>> {
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE / 6))?;
    let destination = original.of(stream)?;
    if destination.port() == 0 {
        return Err(io::ErrorKind::AddrNotAvailable.into());
    }
    let local = stream.local_addr()?;
    Ok((destination != local).then_some(destination))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(SocketAddr);

    impl OriginalDestination for Fixed {
        fn of(&self, _stream: &TcpStream) -> io::Result<SocketAddr> {
            Ok(self.0)
        }
    }

    #[tokio::test]
    async fn knows_where_a_connection_cannot_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let own = listener.local_addr().unwrap();
        let (_client, accepted) = tokio::join!(TcpStream::connect(own), listener.accept());
        let (stream, _) = accepted.unwrap();
        let other: SocketAddr = "10.0.0.1:80".parse().unwrap();
        for (name, destination, want) in [
            ("elsewhere", other, Ok(Some(other))),
            ("the listener itself", own, Ok(None)),
            ("port 0", SocketAddr::new(other.ip(), 0), Err(io::ErrorKind::AddrNotAvailable)),
        ] {
            assert_eq!(prepare(&stream, &Fixed(destination)).map_err(|error| error.kind()), want, "{name}");
        }
    }
}
