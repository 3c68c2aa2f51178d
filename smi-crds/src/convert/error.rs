//! Why an object cannot be converted.

use std::fmt;

use serde_json::Value;

use crate::quantity::{InvalidQuantity, TooFine};

/// Why an object cannot be converted: which object, which field, what is wrong and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {}{reason}", Prefix(.field))]
pub struct ConversionError {
    /// The object.
    pub object: Box<ObjectName>,
    /// Path of the field, such as `spec.backends[1].weight`. Empty for the object as a whole.
    pub field: String,
    /// What is wrong with it.
    #[source]
    pub reason: Box<Reason>,
}

struct Prefix<'a>(&'a str);

impl fmt::Display for Prefix<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, "{}: ", self.0) }
    }
}

/// Kind, namespace and name of an object, as far as it has them: `TrafficSplit shop/web`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectName {
    /// The kind.
    pub kind: Option<String>,
    /// The namespace.
    pub namespace: Option<String>,
    /// The name, or the prefix that a name will be made from.
    pub name: Option<String>,
}

impl ObjectName {
    pub(super) fn of(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let metadata = &object["metadata"];
        Self {
            kind: text(&object["kind"]),
            namespace: text(&metadata["namespace"]),
            name: text(&metadata["name"]).or_else(|| text(&metadata["generateName"])),
        }
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.as_deref().unwrap_or("object"))?;
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => write!(f, " {namespace}/{name}"),
            (None, Some(name)) => write!(f, " {name}"),
            _ => f.write_str(" without a name"),
        }
    }
}

/// What is wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// The object is not a JSON object.
    #[error("not a JSON object; give one whole Kubernetes object")]
    NotAnObject,
    /// A field that must be there is not.
    #[error("is missing; write {0}")]
    Missing(&'static str),
    /// A field is of another type.
    #[error("is {found}; write {want}")]
    WrongType {
        /// What it is.
        found: &'static str,
        /// What it must be.
        want: &'static str,
    },
    /// The kind is none of SMI's, or of another group.
    #[error("{api_version} has no kind {kind}; convert objects of the SMI groups only")]
    UnknownKind {
        /// The object's `apiVersion`.
        api_version: String,
        /// The object's `kind`.
        kind: String,
    },
    /// The kind is not published in this version.
    #[error("{found} is not published for {kind}; write one of {published}")]
    Unpublished {
        /// The `apiVersion`.
        found: String,
        /// The kind.
        kind: &'static str,
        /// Those that are published.
        published: String,
    },
    /// The version does not have this field.
    #[error("{version} has no such field; write the object as {instead}")]
    NotInVersion {
        /// The object's `apiVersion`.
        version: String,
        /// The `apiVersion` that has the field.
        instead: &'static str,
    },
    /// A weight that is not a quantity.
    #[error(transparent)]
    Weight(#[from] InvalidQuantity),
    /// Weights that are no whole numbers together.
    #[error(transparent)]
    Weights(#[from] TooFine),
    /// Not a port.
    #[error("{0} is not a port; write a number from 1 to 65535")]
    Port(String),
    /// The annotation is not what Weft writes.
    #[error("cannot be read ({0}); remove the annotation and write the object as v1alpha4, with all of its fields")]
    Annotation(String),
    /// A match with headers went away and another came: it may be the same under a new name.
    #[error(
        "{renamed:?} is new while {gone:?} is gone, which had headers that this version cannot show; rename it in \
         specs.smi-spec.io/v1alpha4, or remove the one before adding the other"
    )]
    HeadersLost {
        /// The match that is new.
        renamed: String,
        /// The match that is gone.
        gone: String,
    },
}
