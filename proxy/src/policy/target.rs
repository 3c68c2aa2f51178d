//! What a destination is asked for by.

use std::{fmt, net::SocketAddr, num::NonZeroU16};

/// What a connection or request of the application is addressed to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Target {
    /// The original destination of the connection.
    Address(SocketAddr),
    /// The authority of a request to an address that serves names.
    Authority {
        /// Lower case, without port and without trailing dot.
        host: String,
        /// That of the connection when the request named none.
        port: NonZeroU16,
    },
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Authority { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

impl Target {
    /// The target that `authority` (`host`, `host:port`, `[v6]:port`) of a request on a connection to `port` means; `None` when
    /// it is an address or no authority at all, since those are not names of Services.
    pub(crate) fn of_authority(authority: &str, port: NonZeroU16) -> Option<Self> {
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) => (host, port.parse().ok()?),
            None => (authority, port),
        };
        let host = host.strip_suffix('.').unwrap_or(host);
        let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
            && host.parse::<std::net::Ipv4Addr>().is_err();
        (is_name && !host.is_empty()).then(|| Self::Authority { host: host.to_ascii_lowercase(), port })
    }
}
