//! Connections that are not looked into: each goes to one endpoint as a whole.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::net::TcpStream;

use super::{
    connection::Outbound,
    route::{Hop, Route},
};
use crate::{
    accept::{reset, splice},
    identity::{Credentials, Membership, lapse_of_bytes},
    policy::Policy,
    traffic::Direction,
    upstream::{ByteStream, MAX_ATTEMPTS, NotConnected, Transport, connect_bytes},
};

/// Passes a connection on, after `first`, until both sides have ended. A connection that cannot be passed on is reset, which
/// is what the application would see without the proxy.
pub(crate) async fn forward(
    outbound: &Outbound,
    mut client: TcpStream,
    first: Bytes,
    destination: SocketAddr,
    policy: Option<&Policy>,
) {
    let route = match Route::by(policy, destination, None) {
        Ok(route) => route,
        Err(problem) => {
            tracing::debug!(%destination, %problem, "Refused a connection");
            outbound.registry.errors.count(Direction::Outbound, problem.reason());
            reset(&client);
            return;
        }
    };
    let mut tried = Vec::new();
    while let Some(hop) = route.next(&tried).filter(|_| tried.len() < MAX_ATTEMPTS) {
        let _occupied = match &hop {
            Hop::Seat(seat) => Some(seat.load.occupy()),
            Hop::Address(_) => None,
        };
        let transport = match hop.transport(&outbound.credentials, Some(&outbound.names)) {
            Ok(transport) => transport,
            Err(reason) => {
                outbound.credentials.handshakes.count(Direction::Outbound, Err(reason));
                tracing::warn!(%destination, reason = reason.label(), "No connection of the mesh");
                break;
            }
        };
        let connected = connect_bytes(hop.address(), &transport).await;
        if matches!(transport, Transport::Mesh(_)) {
            match &connected {
                Ok(_) => outbound.credentials.handshakes.count(Direction::Outbound, Ok(())),
                Err(NotConnected::Handshake(failed)) => {
                    outbound.credentials.handshakes.fail_with(hop.address(), failed.reason);
                }
                Err(NotConnected::Unreachable(_)) => {}
            }
        }
        match connected {
            Ok(mut server) => {
                hop.succeed();
                let open = route.edge(&outbound.registry, Some(&hop), destination.port()).open();
                let peer = membership(&server, &transport, &outbound.credentials);
                tokio::select! {
                    spliced = splice(&mut client, &first, &mut server, &open) => if let Err(error) = spliced {
                        tracing::debug!(%destination, error = &error as &dyn std::error::Error, "A connection broke");
                    },
                    lapse = lapse_of_bytes(peer) => {
                        tracing::debug!(%destination, ?lapse, "Ended a connection with who is no member any more");
                        reset(&client);
                        reset(&server);
                    }
                }
                return;
            }
            Err(error) => {
                tracing::debug!(endpoint = %hop.address(), error = &error as &dyn std::error::Error, "Could not connect");
                hop.refuse();
                tried.push(hop.address());
            }
        }
    }
    reset(&client);
}

/// Who is at the other end, if that had to be proved.
fn membership(server: &ByteStream, transport: &Transport, credentials: &Credentials) -> Option<Membership> {
    let (ByteStream::Right(stream), Transport::Mesh(mesh)) = (server, transport) else { return None };
    let chain = stream.get_ref().1.peer_certificates()?;
    credentials.membership(chain, &mesh.material).ok()
}
