//! Objects of any kind and version as their types read them.

use serde_json::Value;
use smi_crds::{access, specs, split};

/// Reads the object as the type of its kind and version, and writes it again.
pub(crate) fn read(object: &Value) -> Result<Value, serde_json::Error> {
    macro_rules! read {
        ($($group:ident $kind:ident $type:ident: $($version:ident)*;)*) => {
            match (object["kind"].as_str().expect("kind"), object["apiVersion"].as_str().expect("apiVersion")) {
                $($((kind, version) if kind == stringify!($kind)
                    && version == format!("{}/{}", $group::GROUP, stringify!($version)) =>
                    serde_json::to_value(serde_json::from_value::<$group::$version::$type>(object.clone())?),)*)*
                other => panic!("{other:?}"),
            }
        };
    }
    read! {
        split TrafficSplit TrafficSplit: v1alpha1 v1alpha2 v1alpha3 v1alpha4;
        specs HTTPRouteGroup HttpRouteGroup: v1alpha1 v1alpha2 v1alpha3 v1alpha4;
        specs TCPRoute TcpRoute: v1alpha1 v1alpha2 v1alpha3 v1alpha4;
        access TrafficTarget TrafficTarget: v1alpha1 v1alpha2 v1alpha3 v1alpha4;
        specs UDPRoute UdpRoute: v1alpha4;
        access IdentityBinding IdentityBinding: v1alpha4;
    }
}
