//! Which protocol a client speaks, from its first bytes.

use std::{io, time::Duration};

use bytes::{Bytes, BytesMut};
use rustls::server::{Accepted as Hello, Acceptor};
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    time::{self, Instant},
};

use super::request_line::{Reader, classify, is_blank};
use crate::identity::is_mesh_hello;

/// Time for a client to say its first byte. A protocol whose server speaks first is delayed by this unless its port is declared
/// opaque; a client of HTTP sends its request at once.
const SILENCE_LIMIT: Duration = Duration::from_millis(300);
/// Time for a client that began like HTTP to send the rest of its request line.
const REQUEST_LINE_LIMIT: Duration = Duration::from_secs(5);
/// Longest beginning of TLS that is looked at; large ones have some 2 KB.
const HELLO_BYTES: usize = 16 * 1024;
/// First byte of a TLS handshake. Source: RFC 8446 section 5.1.
const TLS_HANDSHAKE: u8 = 22;

/// What is spoken on a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// HTTP/1.0 or HTTP/1.1, or what is to be judged as such.
    Http1,
    /// HTTP/2 without TLS.
    Http2,
    /// Anything else, TLS included.
    Opaque,
    /// Not known yet: the client has said nothing, or paused after what could become a request.
    Silent,
}

/// What is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Looks {
    /// HTTP as clients speak it: the application's, on their way out of the pod.
    Http,
    /// Another sidecar.
    Mesh,
    /// All that the application might take for HTTP, or another sidecar.
    Both,
    /// All that the application might take for HTTP, sent by another sidecar.
    Inside,
}

impl Looks {
    fn reader(self) -> Reader {
        match self {
            Self::Http | Self::Mesh => Reader::Strict,
            Self::Both | Self::Inside => Reader::Lenient,
        }
    }

    fn for_mesh(self) -> bool {
        matches!(self, Self::Mesh | Self::Both)
    }
}

/// What was read to find out.
pub(crate) struct Sniffed {
    pub(crate) protocol: Protocol,
    /// The client's bytes so far, which its server must still get.
    pub(crate) first: Bytes,
    /// The client is a sidecar and means this one; this is how it began, all of `first`.
    pub(crate) hello: Option<Hello>,
}

/// Reads until the protocol is known, or the client has ended its side, or paused.
///
/// # Errors
/// When the connection fails.
pub(crate) async fn sniff(stream: &mut (impl AsyncRead + Unpin), looks: Looks) -> io::Result<Sniffed> {
    let mut sniffer = Sniffer::after(Bytes::new(), looks);
    let sniffed = sniffer.listen(stream, Some(SILENCE_LIMIT)).await?;
    Ok(sniffed.unwrap_or_else(|| sniffer.found(Protocol::Silent, None)))
}

/// Listens to a client until it is known what it speaks. Who stops listening loses nothing of what was heard.
pub(crate) struct Sniffer {
    looks: Looks,
    heard: BytesMut,
    /// When something was heard that says anything.
    begun: Option<Instant>,
    greeting: Greeting,
}

impl Sniffer {
    /// For a client that has said `first`, by which it could not be known.
    pub(crate) fn after(first: Bytes, looks: Looks) -> Self {
        let mut sniffer = Self { looks, heard: BytesMut::from(first), begun: None, greeting: Greeting::default() };
        sniffer.note_begin();
        sniffer
    }

    /// What the client has said so far.
    pub(crate) fn heard(&self) -> &[u8] {
        &self.heard
    }

    /// Reads until the protocol is known, or the client has ended its side; `None` when it pauses before, having said nothing for
    /// as long as `silence` or begun with something that could become a request.
    ///
    /// # Errors
    /// When the connection fails.
    pub(crate) async fn listen(
        &mut self,
        stream: &mut (impl AsyncRead + Unpin),
        silence: Option<Duration>,
    ) -> io::Result<Option<Sniffed>> {
        let mut pause = silence.map(|silence| Instant::now() + silence);
        loop {
            let limit = self.limit(pause);
            let reading = stream.read_buf(&mut self.heard);
            let read = match limit {
                Some(limit) => time::timeout_at(limit, reading).await,
                None => Ok(reading.await),
            };
            let Ok(read) = read else { return Ok(self.too_late()) };
            if read? == 0 {
                // No more can come that would make a request of it.
                return Ok(Some(self.stop()));
            }
            if let Some((protocol, hello)) = self.judge() {
                return Ok(Some(self.found(protocol, hello)));
            }
            self.note_begin();
            pause.get_or_insert_with(|| Instant::now() + SILENCE_LIMIT);
        }
    }

    /// Gives up: whatever the client speaks, it is bytes.
    pub(crate) fn stop(&mut self) -> Sniffed {
        self.found(Protocol::Opaque, None)
    }

    /// What the bytes so far say; `None` when more of them are needed to tell.
    fn judge(&mut self) -> Option<(Protocol, Option<Hello>)> {
        match self.heard.first() {
            Some(&TLS_HANDSHAKE) if self.looks.for_mesh() => self.greeting.hear(&self.heard),
            _ if self.looks == Looks::Mesh => Some((Protocol::Opaque, None)),
            _ => classify(&self.heard, self.looks.reader()).map(|protocol| (protocol, None)),
        }
    }

    fn note_begin(&mut self) {
        if self.begun.is_none() && !self.heard.iter().copied().all(is_blank) {
            self.begun = Some(Instant::now());
        }
    }

    /// Whether the client may go on to say what an application takes for a request. Then a pause is not waited for: whoever waits
    /// for an answer to what it said is heard by its server meanwhile, see the inbound side.
    fn could_become_request(&self) -> bool {
        self.looks.reader() == Reader::Lenient && self.heard.first() != Some(&TLS_HANDSHAKE)
    }

    fn line_limit(&self) -> Option<Instant> {
        self.begun.map(|begun| begun + REQUEST_LINE_LIMIT)
    }

    fn limit(&self, pause: Option<Instant>) -> Option<Instant> {
        match self.line_limit() {
            Some(line) if self.could_become_request() => Some(pause.map_or(line, |pause| pause.min(line))),
            Some(line) => Some(line),
            None => pause,
        }
    }

    /// What a client is taken for that has not said in time what could be told. A request may follow where the client goes on, so
    /// what could become one is left to who judges requests, and refuses what takes too long.
    fn too_late(&mut self) -> Option<Sniffed> {
        let is_late = self.line_limit().is_some_and(|limit| Instant::now() >= limit);
        let protocol = if self.could_become_request() { Protocol::Http1 } else { Protocol::Opaque };
        is_late.then(|| self.found(protocol, None))
    }

    fn found(&mut self, protocol: Protocol, hello: Option<Hello>) -> Sniffed {
        Sniffed { protocol, first: self.heard.split().freeze(), hello }
    }
}

/// The beginning of TLS, which says whom the client means.
#[derive(Default)]
struct Greeting {
    acceptor: Acceptor,
    heard: usize,
}

impl Greeting {
    /// Hears what came since the last call; `None` when more of it is needed to tell.
    fn hear(&mut self, all: &[u8]) -> Option<(Protocol, Option<Hello>)> {
        let mut news = all.get(self.heard..).unwrap_or_default();
        while !news.is_empty() {
            match self.acceptor.read_tls(&mut news) {
                Ok(0) | Err(_) => return Some((Protocol::Opaque, None)),
                Ok(_) => {}
            }
        }
        self.heard = all.len();
        match self.acceptor.accept() {
            Ok(Some(hello)) if is_mesh_hello(&hello.client_hello()) => Some((Protocol::Opaque, Some(hello))),
            Ok(None) if all.len() <= HELLO_BYTES => None,
            // The application's own TLS, or nothing that TLS knows: its server is to judge.
            Ok(_) | Err(_) => Some((Protocol::Opaque, None)),
        }
    }
}

#[cfg(test)]
mod tests;
