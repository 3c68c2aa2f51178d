//! The beginning of a connection of the mesh, on either side, and what became of it.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rustls::{
    ClientConfig,
    pki_types::ServerName,
    server::{Accepted as Hello, ClientHello},
};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{self, Instant},
};
use tokio_rustls::{StartHandshake, TlsConnector, client, server};
use weft_policy::identity::is_server_name;

use super::{credentials::Credentials, material::Material, membership::Membership};
use crate::traffic::Direction;

/// Time for a handshake, which is two turns between pods and a few signatures.
pub(crate) const HANDSHAKE_LIMIT: Duration = Duration::from_secs(5);
/// Time for a client that is refused to take the reason before its connection ends.
const LINGER_LIMIT: Duration = Duration::from_secs(1);
/// A failure is said aloud again after this.
const SAID_AGAIN: Duration = Duration::from_secs(10);
/// Bytes that a client may have sent before it learns that it is refused.
const LINGER_BYTES: u64 = 256 * 1024;

/// What is spoken inside a connection of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MeshProtocol {
    Http2,
    Http1,
    /// Bytes that are not looked into.
    Tcp,
}

impl MeshProtocol {
    pub(crate) const ALL: [Self; 3] = [Self::Http2, Self::Http1, Self::Tcp];

    /// Its name in TLS. Source of the first two: IANA's registry of ALPN protocol IDs.
    pub(crate) fn alpn(self) -> &'static [u8] {
        match self {
            Self::Http2 => b"h2",
            Self::Http1 => b"http/1.1",
            Self::Tcp => b"weft-tcp",
        }
    }

    fn of(alpn: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|protocol| protocol.alpn() == alpn)
    }
}

/// Whether a client that begins like this means the sidecar. Any other TLS is the application's.
pub(crate) fn is_mesh_hello(hello: &ClientHello<'_>) -> bool {
    hello.server_name().is_some_and(is_server_name)
        && hello.alpn().is_some_and(|mut offered| offered.any(|alpn| MeshProtocol::of(alpn).is_some()))
}

/// Why there is no connection of the mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    /// This proxy has no certificate yet.
    Uncertified,
    /// This proxy's certificate has expired.
    OwnExpired,
    /// Signed by nobody that is believed.
    UnknownIssuer,
    Expired,
    NotYetValid,
    /// The certificate is somebody else's, or of no identity of the mesh.
    WrongIdentity,
    /// Any other fault of the peer's certificate.
    BadCertificate,
    /// The peer has shown none.
    NoCertificate,
    /// The peer did not believe this proxy.
    Refused,
    /// The peer does not speak TLS, or not the mesh's.
    Protocol,
    Timeout,
    /// The connection ended.
    Closed,
}

impl Reason {
    const ALL: [Self; 12] = [
        Self::Uncertified,
        Self::OwnExpired,
        Self::UnknownIssuer,
        Self::Expired,
        Self::NotYetValid,
        Self::WrongIdentity,
        Self::BadCertificate,
        Self::NoCertificate,
        Self::Refused,
        Self::Protocol,
        Self::Timeout,
        Self::Closed,
    ];

    /// How metrics name it.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Uncertified => "uncertified",
            Self::OwnExpired => "own-certificate-expired",
            Self::UnknownIssuer => "unknown-issuer",
            Self::Expired => "expired",
            Self::NotYetValid => "not-yet-valid",
            Self::WrongIdentity => "wrong-identity",
            Self::BadCertificate => "bad-certificate",
            Self::NoCertificate => "no-certificate",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
        }
    }

    /// From the words of an error, because the HTTP engine passes on nothing but words.
    pub(crate) fn of(words: &str) -> Self {
        const PROTOCOL: [&str; 5] = [
            "received corrupt message",
            "received unexpected",
            "peer is incompatible",
            "peer misbehaved",
            "peer doesn't support",
        ];
        let says = |part: &str| words.contains(part);
        if says("received fatal alert") {
            Self::Refused
        } else if says("peer sent no certificates") {
            Self::NoCertificate
        } else if says("invalid peer certificate") {
            if says("UnknownIssuer") || says("BadSignature") {
                Self::UnknownIssuer
            } else if says("certificate expired") || says("Expired") {
                Self::Expired
            } else if says("not valid yet") || says("NotValidYet") {
                Self::NotYetValid
            } else if says("not valid for name") || says("NotValidForName") || says("ApplicationVerificationFailure") {
                Self::WrongIdentity
            } else {
                Self::BadCertificate
            }
        } else if PROTOCOL.into_iter().any(says) {
            Self::Protocol
        } else {
            Self::Closed
        }
    }
}

/// A handshake that failed.
#[derive(Debug, Error)]
#[error("the handshake failed ({})", .reason.label())]
pub(crate) struct Failed {
    pub(crate) reason: Reason,
    #[source]
    pub(crate) source: io::Error,
}

impl Failed {
    fn of(source: io::Error) -> Self {
        Self { reason: Reason::of(&source.to_string()), source }
    }

    fn too_slow() -> Self {
        Self { reason: Reason::Timeout, source: io::ErrorKind::TimedOut.into() }
    }
}

/// Handshakes since the process started.
#[derive(Debug, Default)]
pub(crate) struct Handshakes {
    outbound: Counts,
    inbound: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    succeeded: AtomicU64,
    failed: [AtomicU64; Reason::ALL.len()],
    /// When each failure was last said aloud.
    said: Mutex<[Option<Instant>; Reason::ALL.len()]>,
}

impl Handshakes {
    /// Counts one.
    pub(crate) fn count(&self, direction: Direction, result: Result<(), Reason>) {
        let counts = self.of(direction);
        let count = match result {
            Ok(()) => &counts.succeeded,
            Err(reason) => &counts.failed[reason as usize],
        };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether a failure for this `reason` is worth a line in everybody's log, which one in ten seconds is: whoever can fail could
    /// fill it.
    pub(crate) fn is_news(&self, direction: Direction, reason: Reason) -> bool {
        let mut said = self.of(direction).said.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut said[reason as usize];
        let is_news = last.is_none_or(|last| last.elapsed() >= SAID_AGAIN);
        if is_news {
            *last = Some(Instant::now());
        }
        is_news
    }

    /// Counts one that failed with an endpoint, and says so: somebody may be answering in its place.
    pub(crate) fn fail_with(&self, endpoint: impl fmt::Display, reason: Reason) {
        self.count(Direction::Outbound, Err(reason));
        if self.is_news(Direction::Outbound, reason) {
            tracing::info!(%endpoint, reason = reason.label(), "Got no connection of the mesh");
        } else {
            tracing::debug!(%endpoint, reason = reason.label(), "Got no connection of the mesh");
        }
    }

    fn of(&self, direction: Direction) -> &Counts {
        match direction {
            Direction::Outbound => &self.outbound,
            Direction::Inbound => &self.inbound,
        }
    }

    /// All counts that are not zero.
    pub(crate) fn totals(&self) -> Vec<(Direction, Result<(), Reason>, u64)> {
        let of = |direction, counts: &Counts| {
            let failed = Reason::ALL.map(|reason| (Err(reason), &counts.failed[reason as usize]));
            let all = failed.into_iter().chain([(Ok(()), &counts.succeeded)]);
            let read = all.map(|(result, count)| (direction, result, count.load(Ordering::Relaxed)));
            read.filter(|(_, _, count)| *count > 0).collect::<Vec<_>>()
        };
        [of(Direction::Outbound, &self.outbound), of(Direction::Inbound, &self.inbound)].concat()
    }
}

/// A connection of the mesh that another sidecar has opened.
#[derive(Debug)]
pub(crate) struct Accepted {
    pub(crate) stream: server::TlsStream<TcpStream>,
    pub(crate) client: Membership,
    pub(crate) protocol: MeshProtocol,
}

/// Answers a client that began with `hello`.
///
/// # Errors
/// With the stream, if there is still somebody to read why.
pub(crate) async fn accept(
    hello: Hello,
    stream: TcpStream,
    material: &Material,
    credentials: &Credentials,
) -> Result<Accepted, (Failed, Option<TcpStream>)> {
    let accepting = StartHandshake::from_parts(hello, stream).into_stream(material.server.clone()).into_fallible();
    let stream = match time::timeout(HANDSHAKE_LIMIT, accepting).await {
        Ok(Ok(stream)) => stream,
        Ok(Err((error, stream))) => return Err((Failed::of(error), Some(stream))),
        Err(_elapsed) => return Err((Failed::too_slow(), None)),
    };
    let session = stream.get_ref().1;
    let protocol = session.alpn_protocol().and_then(MeshProtocol::of);
    // The handshake demands both.
    let (Some(protocol), Some(chain)) = (protocol, session.peer_certificates()) else {
        let source = io::ErrorKind::InvalidData.into();
        return Err((Failed { reason: Reason::Protocol, source }, None));
    };
    match credentials.membership(chain, material) {
        Ok(client) => Ok(Accepted { client, protocol, stream }),
        Err(error) => Err((Failed { reason: Reason::WrongIdentity, source: io::Error::other(error) }, None)),
    }
}

/// Takes what a refused client still sends, so that it reads the reason: a connection that ends with bytes unread is reset, and
/// takes what was sent with it.
pub(crate) async fn linger(mut stream: TcpStream) {
    let taking = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = time::timeout(LINGER_LIMIT, taking).await {
        tracing::trace!(error = &error as &dyn std::error::Error, "The client had gone already");
    }
}

/// Begins a connection of the mesh with whoever can show that `server_name` stands for it.
///
/// # Errors
/// When it cannot, does not believe this proxy, or takes too long.
pub(crate) async fn connect(
    stream: TcpStream,
    server_name: &str,
    config: &Arc<ClientConfig>,
) -> Result<client::TlsStream<TcpStream>, Failed> {
    let name = ServerName::try_from(server_name.to_owned()).map_err(|error| Failed::of(io::Error::other(error)))?;
    let connecting = TlsConnector::from(config.clone()).connect(name, stream);
    time::timeout(HANDSHAKE_LIMIT, connecting).await.map_err(|_elapsed| Failed::too_slow())?.map_err(Failed::of)
}

#[cfg(test)]
mod tests {
    use rustls::{AlertDescription, CertificateError, Error, InvalidMessage, OtherError, PeerIncompatible};

    use super::*;

    #[test]
    fn reads_the_reason_from_the_words() {
        let time = rustls::pki_types::UnixTime::now();
        let name = ServerName::try_from("web").unwrap();
        let other = OtherError(Arc::new(io::Error::other("x")));
        for (error, want) in [
            (Error::AlertReceived(AlertDescription::UnknownCA), Reason::Refused),
            (Error::AlertReceived(AlertDescription::CertificateExpired), Reason::Refused),
            (Error::NoCertificatesPresented, Reason::NoCertificate),
            (CertificateError::UnknownIssuer.into(), Reason::UnknownIssuer),
            (CertificateError::BadSignature.into(), Reason::UnknownIssuer),
            (CertificateError::Expired.into(), Reason::Expired),
            (CertificateError::ExpiredContext { time, not_after: time }.into(), Reason::Expired),
            (CertificateError::NotValidYet.into(), Reason::NotYetValid),
            (CertificateError::NotValidYetContext { time, not_before: time }.into(), Reason::NotYetValid),
            (CertificateError::NotValidForName.into(), Reason::WrongIdentity),
            (
                CertificateError::NotValidForNameContext { expected: name, presented: vec![] }.into(),
                Reason::WrongIdentity,
            ),
            (CertificateError::ApplicationVerificationFailure.into(), Reason::WrongIdentity),
            (CertificateError::InvalidPurpose.into(), Reason::BadCertificate),
            (CertificateError::Other(other).into(), Reason::BadCertificate),
            (Error::InvalidMessage(InvalidMessage::InvalidContentType), Reason::Protocol),
            (Error::PeerIncompatible(PeerIncompatible::Tls13RequiredForQuic), Reason::Protocol),
            (Error::NoApplicationProtocol, Reason::Protocol),
        ] {
            let words = io::Error::new(io::ErrorKind::InvalidData, error).to_string();
            assert_eq!(Reason::of(&words), want, "{words}");
        }
        assert_eq!(Reason::of("tls handshake eof"), Reason::Closed);
        assert_eq!(Reason::of(&io::Error::from_raw_os_error(104).to_string()), Reason::Closed);
    }

    #[tokio::test(start_paused = true)]
    async fn says_the_same_once_in_a_while() {
        let handshakes = Handshakes::default();
        let said = |direction, reason| handshakes.is_news(direction, reason);
        assert!(said(Direction::Inbound, Reason::Expired));
        assert!(said(Direction::Inbound, Reason::Refused), "another reason");
        assert!(said(Direction::Outbound, Reason::Expired), "another direction");
        assert!(!said(Direction::Inbound, Reason::Expired), "the same");
        time::advance(SAID_AGAIN).await;
        assert!(said(Direction::Inbound, Reason::Expired), "the same later");
    }

    #[test]
    fn counts_by_direction_and_reason() {
        let handshakes = Handshakes::default();
        handshakes.count(Direction::Outbound, Ok(()));
        for reason in Reason::ALL {
            handshakes.count(Direction::Inbound, Err(reason));
        }
        handshakes.count(Direction::Inbound, Err(Reason::Expired));
        let totals = handshakes.totals();
        assert_eq!(totals.len(), 13);
        assert!(totals.contains(&(Direction::Outbound, Ok(()), 1)));
        assert!(totals.contains(&(Direction::Inbound, Err(Reason::Expired), 2)));
        assert!(totals.contains(&(Direction::Inbound, Err(Reason::Closed), 1)));
    }
}
