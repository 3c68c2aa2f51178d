//! What is made of a client's bytes before they go on as requests.

use std::net::{Ipv4Addr, SocketAddr};

use pingora::{http::ResponseHeader, protocols::http::v1::client::http_req_header_to_wire, proxy::Session};
use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
use tokio_util::sync::CancellationToken;

use super::{
    oracle::{self, Body},
    run,
};
use crate::{
    Limits,
    engine::{Gate, forwardable_request},
};

/// Where the client wanted to go.
const DESTINATION: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 80);
/// Bytes of all answers to one client.
const ANSWERS: usize = 64 * 1024;

/// Requests in a row on one connection: each that passes has one meaning only, begins where the last one ended, and goes on with
/// the method, the target and the body that it came with.
pub fn request(bytes: &[u8]) {
    run(async {
        let (mut client, server) = duplex(bytes.len() + ANSWERS);
        client.write_all(bytes).await.expect("there is room for it");
        client.shutdown().await.expect("nobody has closed it");
        let mut gate = Box::new(Gate::new(server));
        let mut rest = bytes;
        while let Some((open, after)) = one(gate, rest).await {
            (gate, rest) = (open, after);
        }
    });
}

/// Takes one request and answers it. Returns what is left of the connection, unless it has ended.
async fn one(mut gate: Box<Gate<DuplexStream>>, rest: &[u8]) -> Option<(Box<Gate<DuplexStream>>, &[u8])> {
    if !matches!(gate.next(&Limits::default(), &CancellationToken::new()).await, Ok(Ok(true))) {
        return None;
    }
    let empty_lines = rest.chunks(2).take_while(|line| *line == b"\r\n").count() * 2;
    let rest = &rest[empty_lines..];
    let (came, head) = oracle::head(rest).expect("a head passed that could be read in another way");

    let mut session = Session::new_h1(gate);
    if !session.downstream_session.read_request().await.unwrap_or(false)
        || forwardable_request(&mut session, Some(DESTINATION)).is_err()
    {
        return None;
    }
    let header = session.req_header();
    let wire = http_req_header_to_wire(header)?;
    let (goes, length) = oracle::head(&wire).expect("a head goes on that could be read in another way");
    assert_eq!(length, wire.len(), "a head goes on with a second one in it");
    assert_eq!(goes.method, came.method);
    assert!(goes.target == came.target || !came.target.starts_with(b"/"), "the target became another");
    assert_eq!(goes.body, came.body, "the body would end elsewhere");

    let mut body = Vec::new();
    while let Some(bytes) = session.downstream_session.read_request_body().await.ok()? {
        body.extend_from_slice(&bytes);
    }
    let (want, length) = match came.body {
        Body::Length(length) => (rest.get(head..).and_then(|rest| rest.get(..length)).map(<[u8]>::to_vec), length),
        Body::Chunks => {
            oracle::chunks(&rest[head..]).map(|(content, length)| (Some(content), length)).unwrap_or_default()
        }
    };
    assert_eq!(Some(body), want, "the body is another, or was taken for whole");

    let mut answer = ResponseHeader::build(200, None).expect("200 is a status");
    answer.insert_header("content-length", "0").expect("it is a header");
    session.write_response_header(Box::new(answer), true).await.ok()?;
    let (stream, read_ahead) = session.downstream_session.finish().await.ok()??.into_parts();
    assert!(read_ahead.is_none_or(|bytes| bytes.is_empty()), "the engine has seen what is not of the request");
    let gate = stream.into_any().downcast::<Gate<DuplexStream>>().expect("what comes back is what was given away");
    Some((gate, &rest[head + length..]))
}
