//! Parts of the OpenAPI schemas that types cannot say, written for the structural subset that the API server takes.

use schemars::{Schema, SchemaGenerator, json_schema};

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
pub(crate) fn ports(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "array",
        "nullable": true,
        "x-kubernetes-list-type": "atomic",
        "items": {
            "description": "A port, from 1 to 65535.",
            "type": "integer",
            "format": "int32",
            "minimum": 1,
            "maximum": 65535
        }
    })
}

/// Header filters in either shape. A schema without a type keeps any value, so the shape is checked by who reads it.
pub(crate) fn header_filters(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "x-kubernetes-preserve-unknown-fields": true })
}
