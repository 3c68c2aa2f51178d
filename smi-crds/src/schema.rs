//! Parts of the OpenAPI schemas that types cannot say, written for the structural subset that the API server takes.

mod access;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

pub(crate) use access::{
    destination_without_binding, destination_without_port, destination_without_port_and_binding, rules_without_udp,
    sources_without_binding,
};

/// `metav1.Condition` as a list with one entry for each type.
pub(crate) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "description": "One thing that is known about the object.",
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "description": "When status last changed from one value to another.",
                    "type": "string",
                    "format": "date-time"
                },
                "message": {
                    "description": "The details, for a person. May be empty.",
                    "type": "string",
                    "maxLength": 32768
                },
                "observedGeneration": {
                    "description": "The metadata.generation that this condition describes.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0
                },
                "reason": {
                    "description": "Why status has its value, as one word for programs.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$"
                },
                "status": {
                    "description": "Whether what type says holds.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"]
                },
                "type": {
                    "description": "What this condition is about, such as Accepted or Programmed.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 316
                }
            }
        }
    })
}

/// `metav1.LabelSelector` of pods, or null.
pub(crate) fn pod_label_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "nullable": true,
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchExpressions": {
                "description": "Requirements on labels. A pod must meet every one.",
                "type": "array",
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "description": "A requirement on one label.",
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "Name of the label.",
                            "type": "string",
                            "minLength": 1
                        },
                        "operator": {
                            "description": "How the label's value relates to values. Exists and DoesNotExist take no values.",
                            "type": "string",
                            "enum": ["DoesNotExist", "Exists", "In", "NotIn"]
                        },
                        "values": {
                            "description": "The values that In and NotIn compare with.",
                            "type": "array",
                            "x-kubernetes-list-type": "atomic",
                            "items": {
                                "description": "A value of the label.",
                                "type": "string"
                            }
                        }
                    }
                }
            },
            "matchLabels": {
                "description": "Labels with their values. A pod must have every one.",
                "type": "object",
                "additionalProperties": {
                    "description": "The value that the label must have.",
                    "type": "string"
                }
            }
        }
    })
}

/// Ports from 1 to 65535, or null. An absent list differs from an empty one only on the wire.
// There are no more ports than that; without a bound the API server refuses the rule of each as too costly.
pub(crate) fn ports(generator: &mut SchemaGenerator) -> Schema {
    let mut port = port(generator);
    port.insert("description".to_owned(), "A port, from 1 to 65535.".into());
    json_schema!({
        "type": "array",
        "nullable": true,
        "maxItems": 65535,
        "x-kubernetes-list-type": "atomic",
        "items": port
    })
}

/// A port from 1 to 65535, as a number or as the same number in a string.
pub(crate) fn port(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "minimum": 1,
        "maximum": 65535,
        // Longer than any port, so that a port's name or a range is told by the rule. It bounds the rule's cost.
        "maxLength": 32,
        "x-kubernetes-validations": [{
            // Leading zeros would make two spellings of one port.
            "rule": "type(self) == int || (self.matches('^[1-9][0-9]{0,4}$') && int(self) <= 65535)",
            "message": "not a port: write one number from 1 to 65535, without leading zeros; names and ranges of ports are not known here"
        }]
    })
}

/// A quantity that is not negative, as a number or a string.
pub(crate) fn quantity(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "x-kubernetes-int-or-string": true,
        "minimum": 0,
        "maximum": 4_294_967_295u32,
        "maxLength": 32,
        "x-kubernetes-validations": [{
            "rule": r"type(self) == int || self.matches('^\\+?([0-9]+(\\.[0-9]*)?|\\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][-+]?[0-9]{1,2})?$')",
            "message": "not a weight: write a whole number such as 10, or a quantity such as 500m or \"0.5\", not below 0; only the ratio of the weights counts"
        }]
    })
}

/// The name of a root service.
// A label, then a namespace, then `svc`, then a cluster domain; each only after the one before it.
pub(crate) fn root_service(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 253,
        "x-kubernetes-validations": [{
            "rule": r"self.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(\\.svc(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)?)?\\.?$')",
            "message": "not the name of a Service: write SERVICE, SERVICE.NAMESPACE, SERVICE.NAMESPACE.svc or SERVICE.NAMESPACE.svc.CLUSTER-DOMAIN, without scheme and port; SERVICE and NAMESPACE are RFC 1123 labels: at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
        }]
    })
}

/// The name of a backend service.
pub(crate) fn backend_service(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": 63,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
            "message": "not the name of a Service: write the name alone, without namespace and port; it is an RFC 1123 label: at most 63 lower-case letters, digits and dashes, with a letter or digit at both ends"
        }]
    })
}

/// From 1 to 128 backends, each service at most once.
// 128 is far above what is in use; without a bound the API server refuses the rule as too costly. The rule has no
// `reason`: with FieldValueDuplicate the API server leaves the message out.
pub(crate) fn backends<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "minItems": 1,
        "maxItems": 128,
        "x-kubernetes-list-type": "atomic",
        "x-kubernetes-validations": [{
            "rule": "self.all(a, self.exists_one(b, b.service == a.service))",
            "message": "more than one backend names the same service: keep one, with the sum of the weights"
        }],
        "items": generator.subschema_for::<T>()
    })
}

/// SPIFFE IDs with or without their scheme.
// 2048 bytes is the longest that the SPIFFE ID standard lets anyone depend on. Without a bound the API server refuses the rule
// as too costly.
pub(crate) fn spiffe_identities(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "nullable": true,
        "maxItems": 512,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "type": "string",
            "maxLength": 2048,
            "x-kubernetes-validations": [{
                "rule": "self.matches('^(spiffe://)?[a-z0-9._-]+(/[A-Za-z0-9._-]+)*$')",
                "message": "not a SPIFFE ID: write TRUST-DOMAIN/PATH, with or without spiffe:// before it, as in cluster.local/ns/shop/sa/web; the trust domain has lower-case letters, digits, dots, dashes and underscores, the path capitals and slashes as well"
            }]
        }
    })
}

/// The API group of a split's matches, or null.
pub(crate) fn api_group_of_matches(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "nullable": true,
        "maxLength": 253,
        "x-kubernetes-validations": [{
            "rule": "self == '' || self == 'specs.smi-spec.io'",
            "message": "an HTTPRouteGroup is of specs.smi-spec.io: write that, or leave apiGroup out"
        }]
    })
}

/// The API group of a subject, or null.
pub(crate) fn api_group_of_subjects(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "nullable": true,
        "maxLength": 253,
        "x-kubernetes-validations": [{
            "rule": "self == '' || self == 'access.smi-spec.io' || self == 'rbac.authorization.k8s.io'",
            "message": "no kind of subject is of this group: write access.smi-spec.io for an IdentityBinding, rbac.authorization.k8s.io for a Group, or leave group out"
        }]
    })
}

/// Matches of a route group, each with a name of its own.
pub(crate) fn matches<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "items": generator.subschema_for::<T>()
    })
}

/// An object that may be left out, but not be null: the API server knows only one way of saying nothing.
pub(crate) fn only_object<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// An object that has no fields in this version. What is in it nevertheless is kept for the conversion to refuse.
pub(crate) fn empty_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// Header filters in either shape. A schema without a type keeps any value, so the shape is checked by who reads it.
pub(crate) fn header_filters(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}
