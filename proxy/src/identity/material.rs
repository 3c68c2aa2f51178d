//! What connections of the mesh are made with, as long as neither certificate nor roots change.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use pingora::{
    protocols::tls::CaType,
    utils::tls::{CertKey, WrappedX509, parse_x509},
};
use rustls::{
    ClientConfig, ServerConfig,
    client::{Resumption, WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{ServerName, UnixTime},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};

use super::{
    certificate::{Certified, InvalidCertificate},
    handshake::MeshProtocol,
    trust::Trust,
    verifier::MemberVerifier,
};

/// The one that the HTTP engine uses as well.
pub(super) static PROVIDER: LazyLock<Arc<CryptoProvider>> =
    LazyLock::new(|| Arc::new(rustls::crypto::ring::default_provider()));

/// What connections of the mesh are made with.
pub(crate) struct Material {
    pub(crate) certified: Arc<Certified>,
    pub(crate) trust: Arc<Trust>,
    /// Another one for each change: connections of different generations are never taken for each other.
    pub(crate) generation: u64,
    pub(crate) server: Arc<ServerConfig>,
    /// For HTTP/1.1 beside the engine's pool.
    pub(crate) http1: Arc<ClientConfig>,
    /// For bytes that are not looked into.
    pub(crate) tcp: Arc<ClientConfig>,
    /// Key and certificates, as the HTTP engine wants them.
    pub(crate) engine_key: Arc<CertKey>,
    /// The roots, as the HTTP engine wants them.
    pub(crate) engine_roots: Arc<CaType>,
}

impl Material {
    /// # Errors
    /// When the certificate is not good for both sides of a connection by these roots, now.
    pub(crate) fn new(
        certified: Arc<Certified>,
        trust: Arc<Trust>,
        generation: u64,
    ) -> Result<Self, InvalidCertificate> {
        let members = Arc::new(MemberVerifier::of(&trust)?);
        let mut server = ServerConfig::builder_with_provider(PROVIDER.clone())
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(members)
            .with_single_cert(certified.chain.clone(), certified.private_key())?;
        server.alpn_protocols = MeshProtocol::ALL.map(|protocol| protocol.alpn().to_vec()).to_vec();
        // A session that is taken up again would outlive the root that it was verified by.
        server.session_storage = Arc::new(NoServerSessionStorage {});
        server.send_tls13_tickets = 0;

        let client = |protocol: MeshProtocol| {
            let mut client = ClientConfig::builder_with_provider(PROVIDER.clone())
                .with_protocol_versions(&[&TLS13])?
                .with_root_certificates(trust.anchors.clone())
                .with_client_auth_cert(certified.chain.clone(), certified.private_key())?;
            client.alpn_protocols = vec![protocol.alpn().to_vec()];
            client.resumption = Resumption::disabled();
            Ok::<_, rustls::Error>(Arc::new(client))
        };
        let parse = |der: &[u8]| WrappedX509::new(der.to_vec(), parse_x509);
        Ok(Self {
            generation,
            server: Arc::new(server),
            http1: client(MeshProtocol::Http1)?,
            tcp: client(MeshProtocol::Tcp)?,
            engine_key: Arc::new(CertKey::new(
                certified.chain.iter().map(|certificate| certificate.to_vec()).collect(),
                certified.key.secret_pkcs8_der().to_vec(),
            )),
            engine_roots: trust.roots.iter().map(|root| parse(root)).collect(),
            certified,
            trust,
        })
    }

    /// Whether others will believe it.
    ///
    /// # Errors
    /// When they will not.
    pub(crate) fn verify(&self) -> Result<(), InvalidCertificate> {
        let Certified { chain, id, .. } = &*self.certified;
        let (leaf, intermediates) = chain.split_first().ok_or(InvalidCertificate::Missing)?;
        let now = UnixTime::now();
        let servers =
            WebPkiServerVerifier::builder_with_provider(self.trust.anchors.clone(), PROVIDER.clone()).build()?;
        servers.verify_server_cert(leaf, intermediates, &ServerName::try_from(id.server_name())?, &[], now)?;
        let clients =
            WebPkiClientVerifier::builder_with_provider(self.trust.anchors.clone(), PROVIDER.clone()).build()?;
        clients.verify_client_cert(leaf, intermediates, now)?;
        Ok(())
    }
}

impl fmt::Debug for Material {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Material")
            .field("certified", &self.certified)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}
