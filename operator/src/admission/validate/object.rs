//! An object of any kind, and who judges it.

use kube::core::DynamicObject;
use serde::de::DeserializeOwned;
use serde_json::Value;
use smi_crds::specs::v1alpha4::{HttpRouteGroupFields, TcpRoute, TcpRouteFields, UdpRoute, UdpRouteFields};

use super::{Refusal, Verdict, http_route_group, identity_binding, port_route, traffic_split, traffic_target};
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

    /// Whether what is said of an object depends on others.
    #[must_use]
    pub fn refers_to_others(self) -> bool {
        matches!(self, Self::TrafficSplit | Self::TrafficTarget)
    }
}

/// Judges an object of the stored version in `namespace`. `snapshot` is `None` as long as the cluster has not been read: then
/// nothing is said about what is missing.
#[must_use]
pub fn judge(kind: Kind, object: &DynamicObject, namespace: &str, mesh: &Mesh, snapshot: Option<&Snapshot>) -> Verdict {
    match kind {
        Kind::TrafficSplit => read(object, |split| traffic_split::judge(split, namespace, mesh, snapshot)),
        Kind::TrafficTarget => read(object, |target| traffic_target::judge(target, namespace, snapshot)),
        Kind::IdentityBinding => read(object, identity_binding::judge),
        Kind::HttpRouteGroup => read_beside::<_, HttpRouteGroupFields>(object, http_route_group::judge),
        Kind::TcpRoute => read_beside::<TcpRoute, TcpRouteFields>(object, |route| port_route::judge(route.ports())),
        Kind::UdpRoute => read_beside::<UdpRoute, UdpRouteFields>(object, |route| port_route::judge(route.ports())),
    }
}

fn read<K: DeserializeOwned>(object: &DynamicObject, judge: impl FnOnce(&K) -> Verdict) -> Verdict {
    match serde_json::to_value(object).map_err(unreadable("")).and_then(typed::<K>) {
        Ok(object) => judge(&object),
        Err(refusal) => Verdict { refusals: vec![*refusal], warnings: Vec::new() },
    }
}

/// Reads an object that has fields beside `metadata` and `spec`. They are read by themselves first, because of the whole object it
/// could not be told where it is wrong.
fn read_beside<K: DeserializeOwned, Fields: DeserializeOwned>(
    object: &DynamicObject,
    judge: impl FnOnce(&K) -> Verdict,
) -> Verdict {
    match typed::<Fields>(object.data.clone()) {
        Ok(_) => read(object, judge),
        Err(refusal) => Verdict { refusals: vec![*refusal], warnings: Vec::new() },
    }
}

fn typed<T: DeserializeOwned>(value: Value) -> Result<T, Box<Refusal>> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        unreadable(&path)(error.into_inner())
    })
}

fn unreadable(path: &str) -> impl FnOnce(serde_json::Error) -> Box<Refusal> {
    move |error| Box::new(Refusal::Unreadable { path: path.to_owned(), problem: error.to_string() })
}
