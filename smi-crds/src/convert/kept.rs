//! What a version cannot say, kept in an annotation.

use serde_json::{Map, Value};

use super::{ConversionError, Kind, Reader, Reason, Version};

/// Name of the annotation that keeps what the object's version cannot say. Its value is JSON, and Weft's own business.
pub const CONVERSION: &str = "weft.dev/conversion";

/// Path of the annotation, for messages.
const PATH: &str = "metadata.annotations[weft.dev/conversion]";

/// Holds the annotation of a stored object that could not be read, so that it survives and keeps failing closed.
pub(super) const UNREADABLE: &str = "unreadable";

/// What is kept, by name.
#[derive(Debug, Default)]
pub(super) struct Kept(Map<String, Value>);

impl Kept {
    /// Takes the annotation away from an object of version `from`; `kind` knows what it may hold.
    ///
    /// In the hub an annotation that cannot be read is kept as it is. In an older version it is an error, because it may
    /// have held what restricts the object.
    pub(super) fn take(
        body: &mut Map<String, Value>,
        kind: &Kind,
        from: Version,
        reader: &Reader<'_>,
    ) -> Result<Self, ConversionError> {
        let Some(text) = remove(body) else { return Ok(Self::default()) };
        match text.as_str().ok_or_else(|| "not a string".to_owned()).and_then(|text| read(text, kind)) {
            Ok(kept) => Ok(Self(kept)),
            Err(_) if from == Version::HUB => Ok(Self(Map::from_iter([(UNREADABLE.to_owned(), text)]))),
            Err(why) => Err(reader.error(PATH, Reason::Annotation(why))),
        }
    }

    /// Gives the object of version `to` the annotation, if there is something to keep.
    pub(super) fn put(mut self, body: &mut Map<String, Value>, to: Version) {
        // In the hub it stands as it was found, unless a client has said since what it may have said.
        let text = match self.0.remove(UNREADABLE) {
            Some(unreadable) if to == Version::HUB && self.0.is_empty() => unreadable,
            Some(_) if to == Version::HUB => Value::from(Value::Object(self.0).to_string()),
            Some(unreadable) => {
                self.0.insert(UNREADABLE.to_owned(), unreadable);
                Value::from(Value::Object(self.0).to_string())
            }
            None if self.0.is_empty() => return,
            None => Value::from(Value::Object(self.0).to_string()),
        };
        let mut metadata = fields(body.remove("metadata"));
        let mut annotations = fields(metadata.remove("annotations"));
        annotations.insert(CONVERSION.to_owned(), text);
        metadata.insert("annotations".to_owned(), Value::Object(annotations));
        body.insert("metadata".to_owned(), Value::Object(metadata));
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.get(name)
    }

    pub(super) fn insert(&mut self, name: &str, value: Value) {
        self.0.insert(name.to_owned(), value);
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name)
    }
}

/// Reads the text of an annotation as what it keeps for `kind`.
pub(super) fn read(text: &str, kind: &Kind) -> Result<Map<String, Value>, String> {
    let kept = match serde_json::from_str(text) {
        Ok(Value::Object(kept)) => kept,
        Ok(_) => return Err("not a JSON object".to_owned()),
        Err(error) => return Err(format!("not JSON: {error}")),
    };
    if kept.get(UNREADABLE).is_some_and(|text| !text.is_string()) {
        return Err(format!("{UNREADABLE}: not a string"));
    }
    for (name, value) in &kept {
        let check = kind.keeps.iter().find(|(known, _)| known == name).map(|(_, check)| check);
        match check {
            Some(check) => check(value).map_err(|why| format!("{name}: {why}"))?,
            None if name == UNREADABLE => {}
            None => return Err(format!("unknown field {name:?}")),
        }
    }
    Ok(kept)
}

/// Lets anything pass: for what is without effect if it does not fit.
pub(super) fn unchecked(_: &Value) -> Result<(), String> {
    Ok(())
}

/// The fields of an object. What is none, such as null, makes way for one: it can hold nothing, and what is kept may
/// restrict the object.
fn fields(value: Option<Value>) -> Map<String, Value> {
    match value {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// Removes the annotation, and with it a map that holds nothing else.
fn remove(body: &mut Map<String, Value>) -> Option<Value> {
    let metadata = body.get_mut("metadata")?.as_object_mut()?;
    let annotations = metadata.get_mut("annotations")?.as_object_mut()?;
    let text = annotations.remove(CONVERSION)?;
    if annotations.is_empty() {
        metadata.remove("annotations");
    }
    Some(text)
}
