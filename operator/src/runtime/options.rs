//! How the operator is told what to do: flags, each with a variable.

use std::time::Duration;

use weft_policy::identity::{InvalidId, SpiffeId};

use crate::identity;

/// How the operator is set up.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Namespace of the operator.
    #[arg(long, env = "WEFT_NAMESPACE", default_value = "weft-system")]
    pub namespace: String,
    /// Name of the operator's pod, which identifies it among its replicas.
    #[arg(long, env = "WEFT_POD")]
    pub pod: String,
    /// Image of the sidecar.
    #[arg(long, env = "WEFT_PROXY_IMAGE")]
    pub proxy_image: String,
    /// DNS domain of the cluster.
    #[arg(long, env = "WEFT_CLUSTER_DOMAIN", default_value = "cluster.local")]
    pub cluster_domain: String,
    /// Trust domain of the identities; the cluster's DNS domain unless given.
    #[arg(long, env = "WEFT_TRUST_DOMAIN", value_parser = trust_domain)]
    pub trust_domain: Option<String>,
    /// Life of workloads' certificates in seconds: 24 hours unless given, at most a year.
    #[arg(
        long,
        env = "WEFT_CERTIFICATE_LIFE",
        value_name = "SECONDS",
        default_value_t = identity::life::CERTIFICATE.as_secs(),
        value_parser = clap::value_parser!(u64).range(5..=365 * 24 * 60 * 60)
    )]
    pub certificate_life: u64,
    /// Life in seconds of an issuer that the operator makes, and replaces at two thirds of it: ten years unless given, at most
    /// thirty.
    #[arg(
        long,
        env = "WEFT_ISSUER_LIFE",
        value_name = "SECONDS",
        default_value_t = identity::life::ISSUER.as_secs(),
        value_parser = clap::value_parser!(u64).range(30..=30 * 365 * 24 * 60 * 60)
    )]
    pub issuer_life: u64,
    /// Time in seconds for which a new root is announced before anything is signed under it: 15 unless given. Less than a sidecar
    /// needs to connect again makes requests fail during a rotation.
    #[arg(
        long,
        env = "WEFT_ROTATION_SETTLE",
        value_name = "SECONDS",
        default_value_t = identity::rotation::SETTLE.as_secs(),
        value_parser = clap::value_parser!(u64).range(1..=24 * 60 * 60)
    )]
    pub rotation_settle: u64,
}

impl Options {
    pub(super) fn trust_domain(&self) -> String {
        self.trust_domain.clone().unwrap_or_else(|| self.cluster_domain.clone())
    }

    pub(super) fn certificate_life(&self) -> Duration {
        Duration::from_secs(self.certificate_life)
    }

    pub(super) fn identity(&self) -> identity::Settings {
        identity::Settings {
            namespace: self.namespace.clone(),
            instance: self.pod.clone(),
            trust_domain: self.trust_domain(),
            certificate_life: self.certificate_life(),
            issuer_life: Duration::from_secs(self.issuer_life),
            settle: Duration::from_secs(self.rotation_settle),
        }
    }
}

/// A trust domain that identities can have.
fn trust_domain(text: &str) -> Result<String, InvalidId> {
    SpiffeId::new(text, "namespace", "account").map(|id| id.trust_domain().to_owned())
}
