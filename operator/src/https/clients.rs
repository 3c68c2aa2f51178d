//! Certificates of clients: asked for, not required, and verified against roots that may change at any time.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};
use thiserror::Error;

/// Why certificates cannot be roots.
#[derive(Debug, Error)]
pub enum InvalidRoots {
    /// One of them is no certificate of an authority.
    #[error("root certificate {index} cannot be used")]
    Certificate {
        /// Position among the roots, from 0.
        index: usize,
        /// What is wrong with it.
        source: rustls::Error,
    },
    /// No verifier can be made of them, for instance because there are none.
    #[error("the roots cannot be used")]
    Verifier(#[from] VerifierBuilderError),
}

/// Why a chain of certificates does not show who a client is.
#[derive(Debug, Error)]
pub enum InvalidChain {
    /// The client has presented none.
    #[error("no certificate was presented")]
    Absent,
    /// No roots are known yet.
    #[error("no roots are known")]
    NoRoots,
    /// The chain does not lead to a root, or is not valid now, or not for clients.
    #[error("the certificate is not valid")]
    Invalid(#[from] rustls::Error),
}

/// The roots that clients' certificates lead to. Without roots every certificate is refused.
#[derive(Debug)]
pub struct ClientRoots {
    // A trait object does not fit into the swap itself.
    verifier: ArcSwapOption<Arc<dyn ClientCertVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ClientRoots {
    /// No roots.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Arc::new(Self { verifier: ArcSwapOption::empty(), provider })
    }

    /// Replaces the roots, for handshakes from now on.
    ///
    /// # Errors
    /// [`InvalidRoots`], and the roots stay as they were.
    pub fn replace<'a>(&self, certificates: impl IntoIterator<Item = CertificateDer<'a>>) -> Result<(), InvalidRoots> {
        let mut roots = RootCertStore::empty();
        for (index, certificate) in certificates.into_iter().enumerate() {
            roots.add(certificate.into_owned()).map_err(|source| InvalidRoots::Certificate { index, source })?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider)).build()?;
        self.verifier.store(Some(Arc::new(verifier)));
        Ok(())
    }

    /// Forgets the roots: no certificate is taken any more.
    pub fn clear(&self) {
        self.verifier.store(None);
    }

    /// Checks a chain as a handshake does, the client's own certificate first. It is worth repeating for each request,
    /// because a connection may outlive its certificate and the roots.
    ///
    /// # Errors
    /// [`InvalidChain`].
    pub fn verify(&self, chain: &[CertificateDer<'_>], now: UnixTime) -> Result<(), InvalidChain> {
        let (own, intermediates) = chain.split_first().ok_or(InvalidChain::Absent)?;
        let verifier = self.verifier.load_full().ok_or(InvalidChain::NoRoots)?;
        verifier.verify_client_cert(own, intermediates, now)?;
        Ok(())
    }
}

impl ClientCertVerifier for ClientRoots {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    /// No hints: they could not follow the roots, and a client without a choice sends what it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        match self.verifier.load_full() {
            Some(verifier) => verifier.verify_client_cert(own, intermediates, now),
            None => Err(rustls::CertificateError::UnknownIssuer.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
