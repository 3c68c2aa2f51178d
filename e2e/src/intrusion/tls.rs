//! Handshakes with foreign certificates, and requests for certificates that must not be granted.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A certificate to show and the key to sign with, which need not belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// PEM text, the leaf first.
    pub chain: String,
    /// PEM text in PKCS #8.
    pub key: String,
}

/// A TLS connection to a sidecar, by which something is said.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Approach {
    /// Where to.
    pub address: SocketAddr,
    /// Name that is asked for: of the identity that is expected there.
    pub server_name: String,
    /// Protocol that is offered.
    pub alpn: String,
    /// What is shown; nothing when absent.
    pub credentials: Option<Credentials>,
    /// Offers nothing newer than TLS 1.2.
    #[serde(default)]
    pub old: bool,
    /// Bytes that follow the handshake.
    pub say: String,
}

/// How an approach ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What came back, at most the first bytes.
    pub answer: String,
    /// What ended the connection, unless it was answered.
    pub failure: Option<String>,
}

/// How the intruder answers in a sidecar's place, on the sidecar's inbound port.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pose {
    /// What it shows; without it speaks no TLS.
    pub credentials: Option<Credentials>,
}

/// What has come to the intruder in a sidecar's place since it took its pose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// Connections.
    pub connections: u64,
    /// Handshakes that the other side finished.
    pub handshakes: u64,
    /// What was said after the handshake, or without one: the first bytes of each connection.
    pub heard: Vec<String>,
    /// Why handshakes failed.
    pub failures: Vec<String>,
}

/// A request for a certificate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Petition {
    /// URI of the operator.
    pub operator: String,
    /// Roots of its certificate, as PEM text.
    pub trust_roots: String,
    /// Shown as bearer token.
    pub token: String,
    /// Certificate signing request, DER.
    pub csr: Vec<u8>,
}

/// The operator's answer to a petition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    /// gRPC status: `Ok`, or why not.
    pub code: String,
    /// Words of the refusal.
    pub message: String,
    /// The certificate and those that lead to its root, in DER.
    pub certificates: Vec<Vec<u8>>,
}
