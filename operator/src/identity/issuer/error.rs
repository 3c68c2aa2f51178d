//! Why a Secret holds no issuer that can be used.

use jiff::Timestamp;
use rustls::{
    pki_types::{InvalidDnsNameError, pem},
    server::VerifierBuilderError,
};
use thiserror::Error;
use x509_parser::error::X509Error;

use super::KeyError;

/// Why a Secret holds no issuer that can be used. The text says what to mend.
#[derive(Debug, Error)]
pub enum IssuerError {
    /// The Secret lacks an entry, or it is empty.
    #[error("it has no entry {0:?}")]
    Missing(&'static str),
    /// An entry is not PEM.
    #[error("entry {entry:?} is not PEM: {source}")]
    Pem {
        /// Which entry.
        entry: &'static str,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// An entry is PEM, but of something else.
    #[error("entry {0:?} holds no certificate")]
    NoCertificate(&'static str),
    /// A certificate cannot be read.
    #[error("certificate {position} of entry {entry:?} cannot be read: {source}")]
    Certificate {
        /// Which entry.
        entry: &'static str,
        /// Position in it, from 1.
        position: usize,
        /// What is wrong with it.
        source: X509Error,
    },
    /// The key cannot be used.
    #[error("the key of entry \"tls.key\" cannot be used: {0}")]
    Key(#[from] KeyError),
    /// A certificate is not that of an authority.
    #[error("{subject:?} is not an authority: its basic constraints do not say CA")]
    NotAuthority {
        /// Whose certificate.
        subject: String,
    },
    /// An authority must not sign certificates.
    #[error("{subject:?} may not sign certificates: its key usage lacks keyCertSign")]
    MayNotSign {
        /// Whose certificate.
        subject: String,
    },
    /// A certificate is not valid yet.
    #[error("{subject:?} is not valid before {from}")]
    NotYetValid {
        /// Whose certificate.
        subject: String,
        /// When it will be.
        from: Timestamp,
    },
    /// A certificate is not valid any more.
    #[error("{subject:?} expired at {since}")]
    Expired {
        /// Whose certificate.
        subject: String,
        /// When.
        since: Timestamp,
    },
    /// The key is not that of the first certificate.
    #[error("the key of entry \"tls.key\" is not the key of {subject:?}, the first certificate of entry \"tls.crt\"")]
    WrongKey {
        /// Whose certificate is the first.
        subject: String,
    },
    /// A certificate of the chain is not signed by the next.
    #[error("{subject:?} is not signed by {next:?}, which follows it in entry \"tls.crt\"")]
    Broken {
        /// Whose certificate.
        subject: String,
        /// Whose certificate is the next.
        next: String,
    },
    /// The last of the chain is not signed by a root.
    #[error("{subject:?} is signed by no certificate of entry \"ca.crt\"")]
    NoRoot {
        /// Whose certificate is the last.
        subject: String,
    },
    /// Nothing can be signed.
    #[error("it cannot sign: {0}")]
    Sign(#[from] rcgen::Error),
    /// The root is none for TLS, or what was signed is not believed.
    #[error("what it signs is not believed: {0}")]
    NotBelieved(#[from] rustls::Error),
    /// No verifier can be made of the root.
    #[error("what it signs is not believed: {0}")]
    NoVerifier(#[from] VerifierBuilderError),
    /// The name on trial is none; it is a constant.
    #[error("cannot try it out: {0}")]
    Name(#[from] InvalidDnsNameError),
}

impl IssuerError {
    /// One word for metrics.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Missing(_) | Self::NoCertificate(_) => "incomplete",
            Self::Pem { .. } | Self::Certificate { .. } => "unreadable",
            Self::Key(_) | Self::WrongKey { .. } => "key",
            Self::NotAuthority { .. } | Self::MayNotSign { .. } => "not_authority",
            Self::NotYetValid { .. } => "not_yet_valid",
            Self::Expired { .. } => "expired",
            Self::Broken { .. } | Self::NoRoot { .. } => "chain",
            Self::Sign(_) | Self::NotBelieved(_) | Self::NoVerifier(_) | Self::Name(_) => "not_believed",
        }
    }
}
