//! What can be read on the wire between two pods.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
};

use serde::{Deserialize, Serialize};

/// First byte of a TLS record that carries a handshake, and of one that carries encrypted data.
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// Type of the handshake message ServerHello.
const SERVER_HELLO: u8 = 2;
/// The extension that says TLS 1.3, and what it says there (RFC 8446, 4.2.1).
const SUPPORTED_VERSIONS: u16 = 43;
const TLS_1_3: [u8; 2] = [3, 4];
const PROTOCOL_TCP: u8 = 6;

/// What was read, by the TCP port of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture(pub BTreeMap<u16, Flow>);

/// What was read of all connections to one port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Packets with data.
    pub packets: u64,
    /// Packets that hold the marker as it was written.
    pub marked: u64,
    /// Packets that begin with the answer to a handshake that chose TLS 1.3.
    pub tls13_handshakes: u64,
    /// Packets that begin with a record of encrypted data.
    pub encrypted: u64,
}

impl Capture {
    /// Looks at one IP packet, if it went between two of `pods`.
    pub fn look(&mut self, packet: &[u8], pods: &[IpAddr], marker: &[u8]) {
        let Some((from, to, data)) = tcp(packet) else { return };
        if data.is_empty() || !pods.contains(&from.ip()) || !pods.contains(&to.ip()) {
            return;
        }
        // The client's port is one of the high ones that the kernel gives.
        let flow = self.0.entry(from.port().min(to.port())).or_default();
        flow.packets += 1;
        flow.marked += u64::from(data.windows(marker.len()).any(|window| window == marker));
        flow.tls13_handshakes += u64::from(chooses_tls13(data));
        flow.encrypted += u64::from(data.starts_with(&[APPLICATION_DATA, 3, 3]));
    }
}

/// Addresses and data of an IP packet that is TCP.
fn tcp(packet: &[u8]) -> Option<(SocketAddr, SocketAddr, &[u8])> {
    let (from, to, segment): (IpAddr, IpAddr, &[u8]) = match packet.first()? >> 4 {
        4 if *packet.get(9)? == PROTOCOL_TCP => {
            let address = |at: usize| Some(IpAddr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
            let end = usize::from(u16::from_be_bytes(packet.get(2..4)?.try_into().ok()?)).min(packet.len());
            (address(12)?, address(16)?, packet.get(usize::from(packet[0] & 15) * 4..end)?)
        }
        6 if *packet.get(6)? == PROTOCOL_TCP => {
            let address = |at: usize| Some(IpAddr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
            (address(8)?, address(24)?, packet.get(40..)?)
        }
        _ => return None,
    };
    let port = |at: usize| Some(u16::from_be_bytes(segment.get(at..at + 2)?.try_into().ok()?));
    let data = segment.get(usize::from(segment.get(12)? >> 4) * 4..)?;
    Some((SocketAddr::new(from, port(0)?), SocketAddr::new(to, port(2)?), data))
}

/// Whether this begins with a ServerHello that chooses TLS 1.3.
fn chooses_tls13(data: &[u8]) -> bool {
    fn chosen(data: &[u8]) -> Option<bool> {
        let number = |at: usize| Some(usize::from(u16::from_be_bytes(data.get(at..at + 2)?.try_into().ok()?)));
        if *data.first()? != HANDSHAKE || *data.get(5)? != SERVER_HELLO {
            return Some(false);
        }
        // Record and message headers, version and random; then session, cipher suite and compression.
        let session = 5 + 4 + 2 + 32;
        let mut at = session + 1 + usize::from(*data.get(session)?) + 2 + 1 + 2;
        while at < data.len() {
            let (kind, length) = (number(at)?, number(at + 2)?);
            if kind == usize::from(SUPPORTED_VERSIONS) {
                return Some(data.get(at + 4..at + 4 + length)? == TLS_1_3);
            }
            at += 4 + length;
        }
        Some(false)
    }
    chosen(data).unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PODS: [IpAddr; 2] =
        [IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)), IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2))];

    fn packet(from: u8, to: u8, data: &[u8]) -> Vec<u8> {
        let total = u16::try_from(40 + data.len()).unwrap().to_be_bytes();
        let mut packet = vec![0x45, 0, total[0], total[1], 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, from, 10, 0, 0, to];
        packet.extend([0x90, 0, 0x1f, 0x90, 0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend(data);
        // What the link adds to short packets is not data.
        packet.extend([0; 6]);
        packet
    }

    fn server_hello(version: [u8; 2]) -> Vec<u8> {
        let mut hello = vec![22, 3, 3, 0, 56, 2, 0, 0, 52, 3, 3];
        hello.extend([7; 32]);
        hello.extend([0, 0x13, 1, 0, 0, 12, 0, 51, 0, 2, 1, 2, 0, 43, 0, 2]);
        hello.extend(version);
        hello
    }

    #[test]
    fn tells_plain_text_from_tls() {
        for (name, from, to, data, want) in [
            ("a marker", 1, 2, b"GET /secret HTTP/1.1".to_vec(), Some((1, 1, 0, 0))),
            ("no marker", 1, 2, b"GET / HTTP/1.1".to_vec(), Some((1, 0, 0, 0))),
            ("encrypted", 1, 2, vec![23, 3, 3, 0, 1, 9], Some((1, 0, 0, 1))),
            ("TLS 1.3", 2, 1, server_hello([3, 4]), Some((1, 0, 1, 0))),
            ("another version", 2, 1, server_hello([3, 3]), Some((1, 0, 0, 0))),
            ("a hello cut short", 2, 1, server_hello([3, 4])[..20].to_vec(), Some((1, 0, 0, 0))),
            ("an acknowledgement", 1, 2, Vec::new(), None),
            ("somebody else", 1, 3, b"secret".to_vec(), None),
        ] {
            let mut capture = Capture::default();
            capture.look(&packet(from, to, &data), &PODS, b"secret");
            let got =
                capture.0.get(&8080).map(|flow| (flow.packets, flow.marked, flow.tls13_handshakes, flow.encrypted));
            assert_eq!(got, want, "{name}");
        }
    }

    #[test]
    fn passes_over_what_is_no_tcp_packet() {
        for (name, packet) in [("nothing", &[][..]), ("half a header", &[0x45, 0, 0, 40]), ("IPv9", &[0x90; 60])] {
            let mut capture = Capture::default();
            capture.look(packet, &PODS, b"x");
            assert_eq!(capture, Capture::default(), "{name}");
        }
    }
}
