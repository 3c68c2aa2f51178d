//! HTTPRouteGroup: `headers` from `v1alpha2` on, `matches` under `spec` from `v1alpha3` on.

use std::collections::{HashMap, VecDeque};

use serde_json::{Map, Value, json};

use super::kept::unchecked;
use super::{ConversionError, Kept, Kind, Reader, Reason, Version};
use crate::specs::v1alpha4::HeaderFilters;

pub(super) const KIND: Kind = Kind {
    name: "HTTPRouteGroup",
    group: crate::specs::GROUP,
    oldest: Version::V1Alpha1,
    keeps: &[(PLACE, unchecked), (HEADERS, check_headers)],
    lift,
    tidy,
    lower,
};

/// Kept: `spec` and `matches` of the hub, with [`HERE`] where the visible matches belong, if that is not under `spec`.
const PLACE: &str = "place";
/// Kept: for each match its name and, if it has some, its headers.
const HEADERS: &str = "headers";
/// Stands for the visible matches.
const HERE: &str = "*";

const MATCHES: &str = "a list such as [{name: api, pathRegex: /api, methods: [GET]}]";

fn lift(
    body: &mut Map<String, Value>,
    kept: &mut Kept,
    from: Version,
    reader: &Reader<'_>,
) -> Result<(), ConversionError> {
    if from == Version::V1Alpha3 {
        return Ok(());
    }
    let version = format!("{}/{}", crate::specs::GROUP, from.as_str());
    reader.absent(body, "spec", "spec", version.clone(), "specs.smi-spec.io/v1alpha4")?;
    let place = kept.remove(PLACE);
    if let Some(matches) = reader.list(body, "matches", "matches", MATCHES)?
        && from == Version::V1Alpha1
    {
        for (index, item) in matches.iter_mut().enumerate() {
            let path = format!("matches[{index}]");
            let item = reader.item(item, &path, "an object with name, pathRegex and methods")?;
            reader.absent(
                item,
                "headers",
                &format!("{path}.headers"),
                version.clone(),
                "specs.smi-spec.io/v1alpha4",
            )?;
        }
        if let Some(headers) = kept.remove(HEADERS) {
            restore_headers(matches, &headers, reader)?;
        }
    }
    let matches = body.remove("matches");
    let default = json!({"spec": {"matches": HERE}});
    let place = place.filter(|place| is_place(place, matches.is_some()));
    let place = place.unwrap_or_else(|| if matches.is_some() { default } else { json!({}) });
    if let Value::Object(place) = place {
        for (field, mut value) in place {
            fill(&mut value, matches.as_ref());
            if let Value::Object(spec) = &mut value {
                spec.values_mut().for_each(|value| fill(value, matches.as_ref()));
            }
            body.insert(field, value);
        }
    }
    Ok(())
}

fn fill(value: &mut Value, matches: Option<&Value>) {
    if *value == HERE
        && let Some(matches) = matches
    {
        *value = matches.clone();
    }
}

/// Whether `place` is a form that the hub can have, with a place for the matches exactly if there are some.
fn is_place(place: &Value, has_matches: bool) -> bool {
    let Value::Object(place) = place else { return false };
    let mut lists = Vec::new();
    for (field, value) in place {
        match (field.as_str(), value) {
            ("matches", list) => lists.push(list),
            ("spec", Value::Object(spec)) if spec.keys().all(|field| field == "matches") => lists.extend(spec.values()),
            _ => return false,
        }
    }
    lists.iter().all(|list| **list == HERE || list.is_array()) && lists.iter().any(|list| **list == HERE) == has_matches
}

/// Gives matches their headers back, by name.
///
/// A match that is gone may take its headers along; but if another is new, it may be the same under a new name and would
/// match more than was meant.
fn restore_headers(matches: &mut [Value], kept: &Value, reader: &Reader<'_>) -> Result<(), ConversionError> {
    let kept = kept.as_array().into_iter().flatten();
    let kept: Vec<_> = kept.filter_map(|entry| Some((entry.get(0)?.as_str()?, entry.get(1)))).collect();
    // By name, where they stand among those that are kept, in order.
    let mut left: HashMap<&str, VecDeque<usize>> = HashMap::new();
    for (at, (name, _)) in kept.iter().enumerate() {
        left.entry(name).or_default().push_back(at);
    }
    let mut renamed = None;
    for (index, item) in matches.iter_mut().enumerate() {
        let name = item.get("name").and_then(Value::as_str).unwrap_or_default();
        match left.get_mut(name).and_then(VecDeque::pop_front) {
            Some(at) => {
                if let (Some(headers), Value::Object(item)) = (kept[at].1, item) {
                    item.insert("headers".to_owned(), headers.clone());
                }
            }
            None => renamed = renamed.or(Some((index, name.to_owned()))),
        }
    }
    let gone = left.into_values().flatten().filter(|at| kept[*at].1.is_some()).min();
    if let (Some((index, renamed)), Some(gone)) = (renamed, gone) {
        let reason = Reason::HeadersLost { renamed, gone: kept[gone].0.to_owned() };
        return Err(reader.error(format!("matches[{index}].name"), reason));
    }
    Ok(())
}

fn check_headers(kept: &Value) -> Result<(), String> {
    kept.as_array().ok_or("not a list")?.iter().try_for_each(check_entry)
}

fn check_entry(entry: &Value) -> Result<(), String> {
    match entry.as_array().map(Vec::as_slice) {
        Some([Value::String(_)] | [Value::String(_), Value::Null]) => Ok(()),
        Some([Value::String(name), headers]) => match serde_json::from_value::<HeaderFilters>(headers.clone()) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{name:?}: {error}")),
        },
        _ => Err("an entry is not a name with headers".to_owned()),
    }
}

fn tidy(_: &Map<String, Value>, kept: &mut Kept) {
    kept.remove(PLACE);
    kept.remove(HEADERS);
}

fn lower(body: &mut Map<String, Value>, kept: &mut Kept, to: Version) {
    if to == Version::V1Alpha3 {
        return;
    }
    let mut place = Map::new();
    let mut visible = None;
    if let Some(mut spec) = body.remove("spec") {
        if let Some(matches) = spec.get_mut("matches").filter(|matches| matches.is_array()) {
            visible = Some(std::mem::replace(matches, Value::from(HERE)));
        }
        place.insert("spec".to_owned(), spec);
    }
    if let Some(beside) = body.remove("matches") {
        let here = beside.is_array() && visible.as_ref().is_none_or(|visible| *visible == beside);
        place.insert("matches".to_owned(), if here { Value::from(HERE) } else { beside.clone() });
        if here {
            visible = Some(beside);
        }
    }
    let default = if visible.is_some() { json!({"spec": {"matches": HERE}}) } else { json!({}) };
    let place = Value::Object(place);
    if place != default {
        kept.insert(PLACE, place);
    }
    let Some(mut matches) = visible else { return };
    if to == Version::V1Alpha1 {
        keep_headers(&mut matches, kept);
    }
    body.insert("matches".to_owned(), matches);
}

/// Takes the headers of all matches away and keeps them.
fn keep_headers(matches: &mut Value, kept: &mut Kept) {
    let matches = matches.as_array_mut().into_iter().flatten();
    let mut has_headers = false;
    let entries: Vec<Value> = matches
        .filter_map(Value::as_object_mut)
        .map(|item| {
            let name = item.get("name").cloned().unwrap_or_default();
            match item.remove("headers") {
                Some(headers) => {
                    has_headers = true;
                    json!([name, headers])
                }
                None => json!([name]),
            }
        })
        .collect();
    if has_headers {
        kept.insert(HEADERS, Value::Array(entries));
    }
}
