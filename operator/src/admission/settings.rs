//! What injection needs to know about the installation.

use std::sync::Arc;

use arc_swap::ArcSwap;

/// The trusted roots in PEM, by which a sidecar verifies the operator when it first connects. Whoever follows the rotation stores
/// the new ones here; pods that are created from then on get them.
pub type TrustRoot = Arc<ArcSwap<String>>;

/// What injection needs to know about the installation.
#[derive(Debug, Clone)]
pub struct Settings {
    pub(crate) image: String,
    pub(crate) pull_policy: Option<String>,
    pub(crate) operator: String,
    pub(crate) cluster_domain: String,
    pub(crate) trust_root: TrustRoot,
    pub(crate) version: String,
}

impl Settings {
    /// Settings that inject the sidecar's `image`, whose entry point is `weft-proxy`, for the init container too.
    ///
    /// `operator` is the URL that sidecars reach the operator's gRPC services at, such as
    /// `https://weft-operator.weft-system.svc:15010`. `cluster_domain` is the cluster's DNS domain without dots at its ends,
    /// usually `cluster.local`. The kubelet pulls the image by its default policy, and the pods are marked as injected by this
    /// version of the operator.
    #[must_use]
    pub fn new(
        image: impl Into<String>,
        operator: impl Into<String>,
        cluster_domain: impl Into<String>,
        trust_root: TrustRoot,
    ) -> Self {
        Self {
            image: image.into(),
            pull_policy: None,
            operator: operator.into(),
            cluster_domain: cluster_domain.into(),
            trust_root,
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// Sets the image's pull policy: `Always`, `IfNotPresent` or `Never`.
    #[must_use]
    pub fn with_pull_policy(mut self, policy: impl Into<String>) -> Self {
        self.pull_policy = Some(policy.into());
        self
    }

    /// Sets the version that pods are marked with.
    #[must_use]
    pub fn with_version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }
}
