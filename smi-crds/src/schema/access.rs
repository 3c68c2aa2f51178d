//! Parts of the schemas of TrafficTargets that differ between versions: what one of them does not know is refused.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::port;

/// A destination of the versions that have no port. The API server would drop the port and so allow every port, so the
/// field is there to be refused.
pub(crate) fn destination_without_port<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    let mut port = port(generator);
    port.insert(
        "description".to_owned(),
        "Not part of this version, so it is refused; name a TCPRoute with that port in spec.rules.".into(),
    );
    if let Some(fields) = schema.get_mut("properties").and_then(|fields| fields.as_object_mut()) {
        fields.insert("port".to_owned(), port.to_value());
    }
    schema.insert(
        "x-kubernetes-validations".to_owned(),
        json!([{
            "rule": "!has(self.port)",
            "message": "this version has no destination.port: name a TCPRoute in spec.rules whose spec.matches.ports has the port"
        }]),
    );
    schema
}

/// Rules of the versions that were published before there were UDPRoutes.
// One that a newer version has is shown, and stays as long as the list does: the API server does not judge again what is as
// it was.
pub(crate) fn rules_without_udp<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<Option<Vec<T>>>();
    schema.insert("x-kubernetes-list-type".to_owned(), "atomic".into());
    refuse_kind(schema.get_mut("items").and_then(Value::as_object_mut), "UDPRoute");
    schema
}

/// Sources of the versions that were published before there were IdentityBindings.
pub(crate) fn sources_without_binding<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<Option<Vec<T>>>();
    schema.insert("x-kubernetes-list-type".to_owned(), "atomic".into());
    refuse_kind(schema.get_mut("items").and_then(Value::as_object_mut), "IdentityBinding");
    schema
}

/// A destination of the versions that were published before there were IdentityBindings.
pub(crate) fn destination_without_binding<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    refuse_kind(schema.as_object_mut(), "IdentityBinding");
    schema
}

/// A destination of the version that has neither a port nor IdentityBindings.
pub(crate) fn destination_without_port_and_binding<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = destination_without_port::<T>(generator);
    refuse_kind(schema.as_object_mut(), "IdentityBinding");
    schema
}

/// Refuses a kind among those that the field `kind` of an object can have.
fn refuse_kind(object: Option<&mut Map<String, Value>>, kind: &str) {
    let fields = object.and_then(|object| object.get_mut("properties"));
    if let Some(field) = fields.and_then(|fields| fields.get_mut("kind")).and_then(Value::as_object_mut) {
        field.insert(
            "x-kubernetes-validations".to_owned(),
            json!([{
                "rule": format!("self != '{kind}'"),
                "message": format!("this version does not know {kind}: write the TrafficTarget as access.smi-spec.io/v1alpha4")
            }]),
        );
    }
}
