//! Who may open a connection of the mesh: whoever has a certificate by one of its roots that names one identity.

use std::sync::Arc;

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    pki_types::{CertificateDer, UnixTime},
    server::{
        VerifierBuilderError, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{certificate::Leaf, material::PROVIDER, trust::Trust};

/// Verifies as any server does, and that the certificate is one of the trust domain.
#[derive(Debug)]
pub(crate) struct MemberVerifier {
    by_roots: Arc<dyn ClientCertVerifier>,
    trust_domain: String,
}

impl MemberVerifier {
    /// Of the members whom `trust` means.
    ///
    /// # Errors
    /// When its roots are of no use.
    pub(super) fn of(trust: &Trust) -> Result<Self, VerifierBuilderError> {
        let by_roots = WebPkiClientVerifier::builder_with_provider(trust.anchors.clone(), PROVIDER.clone()).build()?;
        Ok(Self { by_roots, trust_domain: trust.trust_domain.clone() })
    }
}

impl ClientCertVerifier for MemberVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        // All members have one certificate and need no hint which to show.
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.by_roots.verify_client_cert(end_entity, intermediates, now)?;
        if let Err(error) = Leaf::read(end_entity, &self.trust_domain) {
            tracing::debug!(error = &error as &dyn std::error::Error, "Refused a client's certificate");
            return Err(CertificateError::ApplicationVerificationFailure.into());
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.by_roots.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_roots.supported_verify_schemes()
    }
}
