//! An object of any kind, and who judges it.

use kube::core::DynamicObject;
use serde::de::DeserializeOwned;
use smi_crds::{
    access::v1alpha4::{IdentityBinding, TrafficTarget},
    specs::v1alpha4::{HttpRouteGroup, TcpRoute, UdpRoute},
    split::v1alpha4::TrafficSplit,
};

use super::{Refusal, Verdict, http_route_group, identity_binding, traffic_split, traffic_target};
use crate::{compile::Mesh, model::Snapshot};

/// A kind that is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `split.smi-spec.io`.
    TrafficSplit,
    /// `access.smi-spec.io`.
    TrafficTarget,
    /// `access.smi-spec.io`.
    IdentityBinding,
    /// `specs.smi-spec.io`.
    HttpRouteGroup,
    /// `specs.smi-spec.io`.
    TcpRoute,
    /// `specs.smi-spec.io`.
    UdpRoute,
}

impl Kind {
    /// The kind by its group and name. `None` for one that is not of SMI.
    #[must_use]
    pub fn of(group: &str, kind: &str) -> Option<Self> {
        match (group, kind) {
            (smi_crds::split::GROUP, "TrafficSplit") => Some(Self::TrafficSplit),
            (smi_crds::access::GROUP, "TrafficTarget") => Some(Self::TrafficTarget),
            (smi_crds::access::GROUP, "IdentityBinding") => Some(Self::IdentityBinding),
            (smi_crds::specs::GROUP, "HTTPRouteGroup") => Some(Self::HttpRouteGroup),
            (smi_crds::specs::GROUP, "TCPRoute") => Some(Self::TcpRoute),
            (smi_crds::specs::GROUP, "UDPRoute") => Some(Self::UdpRoute),
            _ => None,
        }
    }
}

/// Judges an object of the stored version in `namespace`. `snapshot` is `None` as long as the cluster has not been read: then
/// nothing is said about what is missing.
#[must_use]
pub fn judge(kind: Kind, object: &DynamicObject, namespace: &str, mesh: &Mesh, snapshot: Option<&Snapshot>) -> Verdict {
    match kind {
        Kind::TrafficSplit => read(object, |split| traffic_split::judge(split, namespace, mesh, snapshot)),
        Kind::TrafficTarget => read(object, |target| traffic_target::judge(target, namespace)),
        Kind::IdentityBinding => read(object, identity_binding::judge),
        Kind::HttpRouteGroup => read(object, http_route_group::judge),
        // All that can be wrong with ports is that they cannot be read.
        Kind::TcpRoute => read(object, |_: &TcpRoute| Verdict::default()),
        Kind::UdpRoute => read(object, |_: &UdpRoute| Verdict::default()),
    }
}

fn read<K: DeserializeOwned>(object: &DynamicObject, judge: impl FnOnce(&K) -> Verdict) -> Verdict {
    let read = serde_json::to_value(object)
        .map_err(|error| (String::new(), error))
        .and_then(|value| serde_path_to_error::deserialize(value).map_err(|error| {
            let path = error.path().to_string();
            (path, error.into_inner())
        }));
    match read {
        Ok(object) => judge(&object),
        Err((path, error)) => {
            let refusal = Refusal::Unreadable { path, problem: error.to_string() };
            Verdict { refusals: vec![refusal], warnings: Vec::new() }
        }
    }
}
