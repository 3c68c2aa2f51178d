//! Reading fields with errors that name them.

use serde_json::{Map, Value};

use super::{ConversionError, ObjectName, Reason};

/// Reads the fields of one object.
pub(super) struct Reader<'a> {
    object: &'a ObjectName,
}

impl<'a> Reader<'a> {
    pub(super) fn new(object: &'a ObjectName) -> Self {
        Self { object }
    }

    /// An error about `field`.
    pub(super) fn error(&self, field: impl Into<String>, reason: Reason) -> ConversionError {
        ConversionError { object: Box::new(self.object.clone()), field: field.into(), reason: Box::new(reason) }
    }

    /// The text in a field at the top level.
    pub(super) fn text(&self, body: &Map<String, Value>, field: &'static str) -> Result<String, ConversionError> {
        match body.get(field) {
            Some(Value::String(text)) => Ok(text.clone()),
            Some(other) => Err(self.error(field, Reason::WrongType { found: type_of(other), want: "a string" })),
            None => Err(self.error(field, Reason::Missing("a string"))),
        }
    }

    /// The object in field `name` of `parent`, whose path is `path`. `want` shows what belongs there.
    ///
    /// A server-side apply converts parts of objects: what is not there stays absent, and the schemas say what has to be there.
    pub(super) fn object<'v>(
        &self,
        parent: &'v mut Map<String, Value>,
        name: &str,
        path: &str,
        want: &'static str,
    ) -> Result<Option<&'v mut Map<String, Value>>, ConversionError> {
        match parent.get_mut(name) {
            Some(Value::Object(fields)) => Ok(Some(fields)),
            Some(Value::Null) | None => Ok(None),
            Some(other) => Err(self.error(path, Reason::WrongType { found: type_of(other), want })),
        }
    }

    /// The list in field `name` of `parent`, if it is there. `path` is the field's, and `want` shows what belongs there.
    pub(super) fn list<'v>(
        &self,
        parent: &'v mut Map<String, Value>,
        name: &str,
        path: &str,
        want: &'static str,
    ) -> Result<Option<&'v mut Vec<Value>>, ConversionError> {
        match parent.get_mut(name) {
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(Value::Null) | None => Ok(None),
            Some(other) => Err(self.error(path, Reason::WrongType { found: type_of(other), want })),
        }
    }

    /// `value`, whose path is `path`, as an object.
    pub(super) fn item<'v>(
        &self,
        value: &'v mut Value,
        path: &str,
        want: &'static str,
    ) -> Result<&'v mut Map<String, Value>, ConversionError> {
        match value {
            Value::Object(fields) => Ok(fields),
            other => Err(self.error(path, Reason::WrongType { found: type_of(other), want })),
        }
    }

    /// Refuses a field that the object's version does not have: dropping it would lose what it says.
    pub(super) fn absent(
        &self,
        parent: &Map<String, Value>,
        name: &str,
        path: &str,
        version: String,
        instead: &'static str,
    ) -> Result<(), ConversionError> {
        if parent.contains_key(name) {
            return Err(self.error(path, Reason::NotInVersion { version, instead }));
        }
        Ok(())
    }
}

/// What a person would call the type of a value.
pub(super) fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(number) if number.is_f64() => "a number with a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}
