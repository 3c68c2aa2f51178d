//! Where a redirected connection was going.

use std::{io, net::SocketAddr};

use socket2::SockRef;
use tokio::net::TcpStream;

/// How the destination of an accepted connection is learned.
pub trait OriginalDestination: Send + Sync + 'static {
    /// Where `stream` was going before it was redirected to its listener.
    ///
    /// # Errors
    /// When that is not known, which is so for a connection that was not redirected.
    fn of(&self, stream: &TcpStream) -> io::Result<SocketAddr>;
}

/// Asks the kernel, which remembers for each connection what a `REDIRECT` rule changed.
///
/// Source: `SO_ORIGINAL_DST` of `linux/netfilter_ipv4.h`, `IP6T_SO_ORIGINAL_DST` of `linux/netfilter_ipv6/ip6_tables.h`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Netfilter;

impl OriginalDestination for Netfilter {
    fn of(&self, stream: &TcpStream) -> io::Result<SocketAddr> {
        let socket = SockRef::from(stream);
        let address = match stream.local_addr()? {
            SocketAddr::V4(_) => socket.original_dst_v4()?,
            SocketAddr::V6(_) => socket.original_dst_v6()?,
        };
        let address = address.as_socket().ok_or_else(|| io::Error::from(io::ErrorKind::AddrNotAvailable))?;
        // Flow label and scope are the connection's, not the destination's: with them it would not be found again.
        Ok(SocketAddr::new(address.ip(), address.port()))
    }
}
