//! Connections that are not looked into.

use std::{io, net::SocketAddr, time::Duration};

use bytes::Bytes;
use tokio::{io::AsyncWriteExt, net::TcpStream, time};

use crate::{
    accept::{LateRequest, Latecomer, Looks, Protocol, Sniffed, Sniffer, Socket, reset, splice},
    identity::{Membership, lapse_of_bytes},
    traffic::{Direction, EdgeKey, Registry},
    upstream::connect,
};

/// What is counted for a client that asks in HTTP after its server has spoken.
const LATE_REQUEST: &str = "late-request";
/// Length of the head of a frame of HTTP/2. Source: RFC 9113 section 4.1.
const FRAME_HEAD: usize = 9;
/// Type of the frame that a server of HTTP/2 begins with, which it may send before it has heard anything. Source: RFC 9113 sections
/// 3.4 and 6.5.
const SETTINGS: u8 = 4;
/// Time for a server that has said half the head of a frame to say the rest of it. Servers write it at once.
const HEAD_LIMIT: Duration = Duration::from_millis(300);

/// A client, what it speaks, and the connection to the application if it is one of bytes and there is one already.
pub(crate) struct Spoken<S> {
    pub(crate) client: S,
    pub(crate) sniffed: Sniffed,
    pub(crate) server: Option<Early>,
}

/// A connection to the application that was there before it was known what its client speaks.
pub(crate) struct Early {
    pub(crate) stream: TcpStream,
    /// How many of the client's bytes the application has already.
    passed: usize,
    /// Whether a request of HTTP may not follow.
    is_judged: bool,
}

/// Finds out who speaks first on the connection of a client that has said `first` and paused. Its server may be the one, and then it
/// is a connection of bytes, unless the server's word is that of HTTP/2: then it is still for the client to say what it speaks.
/// If the client is found to be what `looks` looks for, what the server got of its words was no request, and its connection is not
/// used. `None` when there is no server, or no client any more.
pub(crate) async fn who_speaks<S: Socket>(
    mut client: S,
    first: Bytes,
    looks: Looks,
    destination: SocketAddr,
) -> Option<Spoken<S>> {
    let mut server = dial(&client, destination).await?;
    match listen(&mut client, first, looks, &mut server).await {
        Ok((sniffed, passed)) => {
            if sniffed.protocol == Protocol::Opaque && sniffed.hello.is_none() {
                let early = Early { stream: server, passed, is_judged: looks != Looks::Mesh };
                return Some(Spoken { client, sniffed, server: Some(early) });
            }
            // It must not take the end of this connection for the end of a request.
            reset(&server);
            Some(Spoken { client, sniffed, server: None })
        }
        Err(error) => {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A client went away");
            reset(&client);
            None
        }
    }
}

async fn dial(client: &impl Socket, destination: SocketAddr) -> Option<TcpStream> {
    match connect(destination).await {
        Ok(server) => Some(server),
        Err(error) => {
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "Could not connect");
            reset(client);
            None
        }
    }
}

/// Passes bytes on to the application until both sides have ended, or the `peer` is no member any more.
pub(crate) async fn pass<S: Socket>(
    spoken: Spoken<S>,
    destination: SocketAddr,
    registry: &Registry,
    peer: Option<Membership>,
) {
    let Spoken { client, sniffed, server } = spoken;
    let early = match server {
        Some(early) => Some(early),
        None => dial(&client, destination).await.map(|stream| Early { stream, passed: 0, is_judged: false }),
    };
    let Some(Early { stream: mut server, passed, is_judged }) = early else { return };
    let mut client = Latecomer::new(client, is_judged.then_some(&*sniffed.first));
    let open = registry.edge(EdgeKey::of_port(Direction::Inbound, destination.port())).open();
    open.received(passed);
    tokio::select! {
        spliced = splice(&mut client, &sniffed.first[passed..], &mut server, &open) => if let Err(error) = spliced {
            if LateRequest::is_cause_of(&error) {
                registry.errors.count(Direction::Inbound, LATE_REQUEST);
            }
            tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A connection broke");
        },
        lapse = lapse_of_bytes(peer) => {
            tracing::debug!(%destination, ?lapse, "Ended a connection with who is no member any more");
            reset(&client);
            reset(&server);
        }
    }
}

/// What the client turns out to speak, and how much of its words the server has already. They are bytes if the server speaks first,
/// and not HTTP/2.
async fn listen(
    client: &mut impl Socket,
    first: Bytes,
    looks: Looks,
    server: &mut TcpStream,
) -> io::Result<(Sniffed, usize)> {
    let mut sniffer = Sniffer::after(first, looks);
    let (mut passed, mut is_http2) = (0, false);
    loop {
        // Who waits for an answer to a word or an empty line gets it. For an HTTP server it is not yet a request.
        server.write_all(&sniffer.heard()[passed..]).await?;
        passed = sniffer.heard().len();
        let sniffed = tokio::select! {
            biased;
            begins_http2 = begins_http2(server), if !is_http2 => {
                is_http2 = begins_http2 && looks != Looks::Mesh;
                (!is_http2).then(|| sniffer.stop())
            }
            sniffed = sniffer.listen(client, None) => sniffed?,
        };
        if let Some(sniffed) = sniffed {
            return Ok((sniffed, passed));
        }
    }
}

/// Waits for the first word of the server, which stays where it is. Whether it is that of HTTP/2.
async fn begins_http2(server: &TcpStream) -> bool {
    let mut head = [0; FRAME_HEAD];
    // What is broken is found out once more where it is dealt with.
    let mut said = server.peek(&mut head).await.unwrap_or(0);
    if (1..FRAME_HEAD).contains(&said) && is_of_settings(&head[..said]) {
        time::sleep(HEAD_LIMIT).await;
        said = server.peek(&mut head).await.unwrap_or(0);
    }
    said == FRAME_HEAD && is_of_settings(&head)
}

/// Whether `head` is that of a frame of settings (RFC 9113 section 6.5), or may become it. None has 64 KiB.
fn is_of_settings(head: &[u8]) -> bool {
    let is_right = |(place, byte): (usize, &u8)| match place {
        0 => *byte == 0,
        3 => *byte == SETTINGS,
        // The first bit of a stream's number means nothing.
        5 => byte & 0x7f == 0,
        6.. => *byte == 0,
        _ => true,
    };
    head.iter().enumerate().all(is_right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_settings_of_http2_by_the_head_of_their_frame() {
        for (name, head, want) in [
            ("nothing", &b""[..], true),
            ("none", b"\0\0\0\x04\0\0\0\0\0", true),
            ("some", b"\0\x02\x0c\x04\0\0\0\0\0", true),
            ("a flag", b"\0\0\0\x04\x01\0\0\0\0", true),
            ("the bit that means nothing", b"\0\0\0\x04\0\x80\0\0\0", true),
            ("half", b"\0\0\x0c\x04", true),
            ("another frame", b"\0\0\x04\x08\0\0\0\0\0", false),
            ("of a stream", b"\0\0\0\x04\0\0\0\0\x01", false),
            ("too long for one", b"\x01\0\0\x04\0\0\0\0\0", false),
            ("a number and text", b"\0\0\0\x04PONG", false),
            ("text", b"220 ready", false),
        ] {
            assert_eq!(is_of_settings(head), want, "{name}");
        }
    }
}
