//! The SMI kinds, and the names of their objects.

use std::fmt;

/// A kind of the Service Mesh Interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SmiKind {
    /// `specs.smi-spec.io` HTTPRouteGroup.
    HttpRouteGroup,
    /// `access.smi-spec.io` `IdentityBinding`.
    IdentityBinding,
    /// `specs.smi-spec.io` TCPRoute.
    TcpRoute,
    /// `split.smi-spec.io` `TrafficSplit`.
    TrafficSplit,
    /// `access.smi-spec.io` `TrafficTarget`.
    TrafficTarget,
    /// `specs.smi-spec.io` UDPRoute.
    UdpRoute,
}

/// An object of an SMI kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// What it is.
    pub kind: SmiKind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl SmiKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::HttpRouteGroup,
        Self::IdentityBinding,
        Self::TcpRoute,
        Self::TrafficSplit,
        Self::TrafficTarget,
        Self::UdpRoute,
    ];

    /// The `kind` of the Kubernetes object.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::HttpRouteGroup => "HTTPRouteGroup",
            Self::IdentityBinding => "IdentityBinding",
            Self::TcpRoute => "TCPRoute",
            Self::TrafficSplit => "TrafficSplit",
            Self::TrafficTarget => "TrafficTarget",
            Self::UdpRoute => "UDPRoute",
        }
    }
}

impl ObjectRef {
    /// The object `name` of a kind in a namespace.
    #[must_use]
    pub fn new(kind: SmiKind, namespace: &str, name: &str) -> Self {
        Self { kind, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

impl fmt::Display for SmiKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}
