//! Which protocol a client speaks.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::run;
use crate::accept::{Looks, Protocol, sniff};

/// Longest step of a client that does not send everything at once.
const STEP: usize = 7;

/// What a client that sends `bytes` is taken for is the same however they arrive, and no byte is lost or made up.
pub fn detection(bytes: &[u8]) {
    for looks in [Looks::Http, Looks::Mesh, Looks::Both, Looks::Inside] {
        let whole = found(looks, bytes, bytes.len().max(1));
        for step in [1, STEP] {
            assert_eq!(found(looks, bytes, step), whole, "{looks:?}, in steps of {step}");
        }
    }
}

/// The protocol, and whether the client means the sidecar.
fn found(looks: Looks, bytes: &[u8], step: usize) -> (Protocol, bool) {
    let mut client = Client { bytes, step };
    run(async {
        let sniffed = sniff(&mut client, looks).await.expect("the client does not fail");
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.expect("the client does not fail");
        assert_eq!([&sniffed.first[..], &rest].concat(), bytes, "{looks:?}, in steps of {step}");
        (sniffed.protocol, sniffed.hello.is_some())
    })
}

/// Sends so much at once, and then ends its side.
struct Client<'a> {
    bytes: &'a [u8],
    step: usize,
}

impl AsyncRead for Client<'_> {
    fn poll_read(mut self: Pin<&mut Self>, _context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (now, later) = self.bytes.split_at(self.step.min(self.bytes.len()).min(into.remaining()));
        into.put_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(()))
    }
}
