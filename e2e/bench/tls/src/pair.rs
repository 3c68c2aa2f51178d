//! Both ends of a connection in one thread, with nothing between them but memory.

use std::{
    io::{Read, Write},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, ServerConfig, ServerConnection,
    client::Resumption,
    crypto::CryptoProvider,
    pki_types::ServerName,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};

use crate::certificates::{Member, NAME};

/// What one record of TLS holds at most. Source: RFC 8446 section 5.1.
pub(crate) const RECORD: usize = 16 * 1024;

/// How both ends are set up: as two sidecars are.
pub(crate) struct Ends {
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

impl Ends {
    pub(crate) fn new(provider: CryptoProvider, member: &Member) -> Result<Self> {
        let provider = Arc::new(provider);
        let verifier = WebPkiClientVerifier::builder_with_provider(member.roots.clone(), provider.clone()).build()?;
        let mut server = ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(verifier)
            .with_single_cert(member.chain.clone(), member.key())?;
        server.alpn_protocols = vec![b"h2".to_vec()];
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;
        let mut client = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_root_certificates(member.roots.clone())
            .with_client_auth_cert(member.chain.clone(), member.key())?;
        client.alpn_protocols = vec![b"h2".to_vec()];
        client.resumption = Resumption::disabled();
        Ok(Self { client: Arc::new(client), server: Arc::new(server) })
    }

    /// A full handshake, in which each end verifies the other.
    pub(crate) fn connect(&self) -> Result<Pair> {
        let client = ClientConnection::new(self.client.clone(), ServerName::try_from(NAME)?)?;
        let mut pair = Pair { client, server: ServerConnection::new(self.server.clone())?, wire: Vec::new() };
        while pair.client.is_handshaking() || pair.server.is_handshaking() {
            pair.client_speaks()?;
            pair.server_speaks()?;
        }
        ensure!(pair.server.peer_certificates().is_some(), "the client showed no certificate");
        ensure!(pair.client.protocol_version() == Some(ProtocolVersion::TLSv1_3), "not TLS 1.3");
        Ok(pair)
    }
}

/// An open connection.
pub(crate) struct Pair {
    pub(crate) client: ClientConnection,
    server: ServerConnection,
    wire: Vec<u8>,
}

impl Pair {
    /// Carries so many records from the client to the server.
    pub(crate) fn send(&mut self, records: usize) -> Result<()> {
        let (sent, mut received) = (vec![0x5a; RECORD], vec![0; RECORD]);
        for _ in 0..records {
            self.client.writer().write_all(&sent)?;
            self.client_speaks()?;
            self.server.reader().read_exact(&mut received).context("the record did not arrive whole")?;
        }
        ensure!(sent == received, "what arrived is not what was sent");
        Ok(())
    }

    fn client_speaks(&mut self) -> Result<()> {
        self.wire.clear();
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire)?;
        }
        let mut left = &self.wire[..];
        while !left.is_empty() {
            self.server.read_tls(&mut left)?;
            self.server.process_new_packets()?;
        }
        Ok(())
    }

    fn server_speaks(&mut self) -> Result<()> {
        self.wire.clear();
        while self.server.wants_write() {
            self.server.write_tls(&mut self.wire)?;
        }
        let mut left = &self.wire[..];
        while !left.is_empty() {
            self.client.read_tls(&mut left)?;
            self.client.process_new_packets()?;
        }
        Ok(())
    }
}
