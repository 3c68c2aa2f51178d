//! The CustomResourceDefinitions of all kinds of this crate.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use crate::access::v1alpha4::{IdentityBinding, TrafficTarget};
use crate::specs::v1alpha4::{HttpRouteGroup, TcpRoute, UdpRoute};
use crate::split::v1alpha4::TrafficSplit;

/// Every CustomResourceDefinition that SMI needs in a cluster, sorted by name, the same at each call.
///
/// None has a `status`: that part belongs to the API server.
pub fn definitions() -> Vec<CustomResourceDefinition> {
    let mut definitions = vec![
        HttpRouteGroup::crd(),
        IdentityBinding::crd(),
        TcpRoute::crd(),
        TrafficSplit::crd(),
        TrafficTarget::crd(),
        UdpRoute::crd(),
    ];
    definitions.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
    definitions
}
