//! TrafficTarget: no `spec` in `v1alpha1`, a port on the destination until `v1alpha2`, groups of subjects in `v1alpha4`.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    num::NonZeroU16,
};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{ConversionError, Kept, Kind, Reader, Reason, Version, kept};
use crate::Port;

pub(super) const KIND: Kind = Kind {
    name: "TrafficTarget",
    group: crate::access::GROUP,
    oldest: Version::V1Alpha1,
    keeps: &[(PORT, check_kept_port), (GROUPS, kept::unchecked)],
    lift,
    tidy,
    lower,
};

/// Kept: the only port that may be reached.
const PORT: &str = "port";
/// Kept: the subjects that have a group.
const GROUPS: &str = "groups";

const SPEC: &str = "an object with destination, rules and sources";
const DESTINATION: &str = "an object such as {kind: ServiceAccount, name: web}";

fn lift(
    body: &mut Map<String, Value>,
    kept: &mut Kept,
    from: Version,
    reader: &Reader<'_>,
) -> Result<(), ConversionError> {
    let version = format!("{}/{}", crate::access::GROUP, from.as_str());
    let path = if from == Version::V1Alpha1 { "destination" } else { "spec.destination" };
    if from == Version::V1Alpha1 {
        reader.absent(body, "spec", "spec", version.clone(), "access.smi-spec.io/v1alpha4")?;
        let mut spec = Map::new();
        for (old, new) in [("destination", "destination"), ("specs", "rules"), ("sources", "sources")] {
            if let Some(value) = body.remove(old) {
                spec.insert(new.to_owned(), value);
            }
        }
        if !spec.is_empty() {
            body.insert("spec".to_owned(), Value::Object(spec));
        }
    }
    let Some(spec) = reader.object(body, "spec", "spec", SPEC)? else { return Ok(()) };
    let Some(destination) = reader.object(spec, "destination", path, DESTINATION)? else { return Ok(()) };
    if from < Version::V1Alpha3 {
        // What the client sees decides, also if it sees no port.
        kept.remove(PORT);
        if let Some(port) = destination.remove(PORT) {
            read_port(&port).map_err(|reason| reader.error(format!("{path}.port"), reason))?;
            kept.insert(PORT, port);
        }
    } else {
        reader.absent(
            destination,
            PORT,
            "spec.destination.port",
            version,
            "access.smi-spec.io/v1alpha2, or name a TCPRoute with the port in spec.rules",
        )?;
    }
    if let Some(kept) = kept.remove(GROUPS) {
        restore_groups(spec, kept);
    }
    Ok(())
}

/// The port that the text of an annotation of the hub keeps.
pub(crate) fn kept_port(text: &str) -> Result<Option<NonZeroU16>, String> {
    let kept = kept::read(text, &KIND)?;
    match kept.get(PORT) {
        Some(port) => read_port(port).map(|port| Some(port.number())).map_err(|reason| reason.to_string()),
        None if kept.contains_key(kept::UNREADABLE) => Err("it holds another that could not be read".to_owned()),
        None => Ok(None),
    }
}

fn read_port(port: &Value) -> Result<Port, Reason> {
    Port::deserialize(port).map_err(|_| Reason::Port(port.to_string()))
}

fn check_kept_port(port: &Value) -> Result<(), String> {
    read_port(port).map(drop).map_err(|reason| reason.to_string())
}

/// Gives a subject its group back if it is otherwise the one that had it.
///
/// A group that does not fit is left out: without one, a subject's kind says what it is.
fn restore_groups(spec: &mut Map<String, Value>, kept: Value) {
    let Value::Array(kept) = kept else { return };
    // Those that are equal but for their groups have them in their order.
    let mut groups: HashMap<Value, VecDeque<Option<Value>>> = HashMap::new();
    for mut subject in kept {
        let Some(fields) = subject.as_object_mut() else { continue };
        let group = fields.remove("group").filter(|group| group.is_string() || group.is_null());
        groups.entry(subject).or_default().push_back(group);
    }
    for subject in subjects(spec) {
        let group = groups.get_mut(&*subject).and_then(VecDeque::pop_front);
        if let Some(group) = group.flatten() {
            subject["group"] = group;
        }
    }
}

fn subjects(spec: &mut Map<String, Value>) -> impl Iterator<Item = &mut Value> {
    let (mut destination, mut sources) = (None, None);
    for (field, value) in spec {
        match field.as_str() {
            "destination" => destination = Some(value),
            "sources" => sources = value.as_array_mut(),
            _ => {}
        }
    }
    destination.into_iter().chain(sources.into_iter().flatten())
}

fn tidy(_: &Map<String, Value>, kept: &mut Kept) {
    kept.remove(GROUPS);
}

fn lower(body: &mut Map<String, Value>, kept: &mut Kept, to: Version) {
    let Some(Value::Object(spec)) = body.get_mut("spec") else { return };
    let mut all = Vec::new();
    for subject in subjects(spec) {
        let whole = subject.clone();
        let has_group = subject.as_object_mut().is_some_and(|subject| subject.remove("group").is_some());
        all.push((subject.clone(), whole, has_group));
    }
    // One without a group that otherwise equals one with a group is kept, too, so that they are told apart by order.
    let with_group: HashSet<&Value> = all.iter().filter(|(.., has_group)| *has_group).map(|(bare, ..)| bare).collect();
    let groups: Vec<Value> =
        all.iter().filter(|(bare, ..)| with_group.contains(bare)).map(|(_, whole, _)| whole.clone()).collect();
    if !groups.is_empty() {
        kept.insert(GROUPS, Value::Array(groups));
    }
    if to < Version::V1Alpha3
        && let Some(Value::Object(destination)) = spec.get_mut("destination")
        && let Some(port) = kept.remove(PORT)
    {
        destination.insert(PORT.to_owned(), port);
    }
    if to == Version::V1Alpha1
        && let Some(Value::Object(spec)) = body.remove("spec")
    {
        for (field, value) in spec {
            let field = if field == "rules" { "specs".to_owned() } else { field };
            body.insert(field, value);
        }
    }
}
