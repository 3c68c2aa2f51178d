//! TrafficSplit: quantities as weights in `v1alpha1`, `matches` from `v1alpha3` on.

use serde_json::{Map, Value};

use super::kept::unchecked;
use super::reading::type_of;
use super::{ConversionError, Kept, Kind, Reader, Reason, Version};
use crate::quantity::{InvalidQuantity, Quantity, whole_numbers};
use crate::split::v1alpha4::RouteGroupReference;

pub(super) const KIND: Kind = Kind {
    name: "TrafficSplit",
    group: crate::split::GROUP,
    oldest: Version::V1Alpha1,
    keeps: &[(WEIGHTS, unchecked), (MATCHES, check_matches)],
    lift,
    tidy,
    lower,
};

/// Kept: the weights as `v1alpha1` spells them, in the order of the backends.
const WEIGHTS: &str = "weights";
/// Kept: `spec.matches`.
const MATCHES: &str = "matches";

const SPEC: &str = "an object with service and backends";
const BACKENDS: &str = "a list such as [{service: web-v1, weight: 1}]";

fn lift(
    body: &mut Map<String, Value>,
    kept: &mut Kept,
    from: Version,
    reader: &Reader<'_>,
) -> Result<(), ConversionError> {
    let Some(spec) = reader.object(body, "spec", "spec", SPEC)? else { return Ok(()) };
    if from == Version::V1Alpha1
        && let Some(backends) = reader.list(spec, "backends", "spec.backends", BACKENDS)?
    {
        let spelled = to_whole_numbers(backends, reader)?;
        kept.insert(WEIGHTS, Value::Array(spelled));
    }
    if from < Version::V1Alpha3 {
        let version = format!("{}/{}", crate::split::GROUP, from.as_str());
        reader.absent(spec, "matches", "spec.matches", version, "split.smi-spec.io/v1alpha4")?;
        if let Some(matches) = kept.remove(MATCHES) {
            spec.insert("matches".to_owned(), matches);
        }
    }
    Ok(())
}

/// Replaces quantities by whole numbers and gives the quantities.
fn to_whole_numbers(backends: &mut [Value], reader: &Reader<'_>) -> Result<Vec<Value>, ConversionError> {
    let mut spelled = Vec::with_capacity(backends.len());
    let mut values = Vec::with_capacity(backends.len());
    for (index, backend) in backends.iter_mut().enumerate() {
        let path = format!("spec.backends[{index}]");
        let backend = reader.item(backend, &path, "an object with service and weight")?;
        let path = format!("{path}.weight");
        let Some(weight) = backend.get(WEIGHT) else {
            return Err(reader.error(path, Reason::Missing("a quantity such as 1 or 500m, or 0 for no traffic")));
        };
        values.push(value(weight).map_err(|reason| reader.error(path, reason))?);
        spelled.push(weight.clone());
    }
    let numbers = whole_numbers(&values).map_err(|error| reader.error("spec.backends", error.into()))?;
    for (backend, number) in backends.iter_mut().zip(numbers) {
        backend[WEIGHT] = Value::from(number);
    }
    Ok(spelled)
}

const WEIGHT: &str = "weight";

/// The value of a quantity in billionths.
fn value(weight: &Value) -> Result<u128, Reason> {
    let quantity = match weight {
        Value::String(text) => Quantity::Text(text.clone()),
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Quantity::Number(number),
            (None, Some(_)) => return Err(InvalidQuantity::Negative(number.to_string()).into()),
            (None, None) => {
                return Err(Reason::WrongType {
                    found: type_of(weight),
                    want: "a fraction as a string, such as \"0.5\" or 500m",
                });
            }
        },
        other => return Err(Reason::WrongType { found: type_of(other), want: "a quantity such as 1 or 500m" }),
    };
    Ok(quantity.billionths()?)
}

fn check_matches(matches: &Value) -> Result<(), String> {
    if matches.is_null() {
        return Ok(());
    }
    let list: Vec<RouteGroupReference> = serde_json::from_value(matches.clone()).map_err(|error| error.to_string())?;
    let valid = |group: &str| group.is_empty() || group == crate::specs::GROUP;
    match list.iter().find(|item| item.name.is_empty() || !item.api_group.as_deref().is_none_or(valid)) {
        Some(item) => Err(format!("{:?} is not a route group of {}", item.name, crate::specs::GROUP)),
        None => Ok(()),
    }
}

/// The weights of the hub, if all are whole numbers.
fn weights(body: &Map<String, Value>) -> Option<Vec<u32>> {
    let backends = body.get("spec")?.get("backends")?.as_array()?;
    backends.iter().map(|backend| u32::try_from(backend.get(WEIGHT)?.as_u64()?).ok()).collect()
}

fn tidy(body: &Map<String, Value>, kept: &mut Kept) {
    kept.remove(MATCHES);
    if kept.get(WEIGHTS).is_some_and(|spelled| !still_holds(spelled, body)) {
        kept.remove(WEIGHTS);
    }
}

/// Whether the spelling means the weights that the hub has, and says more than they do.
fn still_holds(spelled: &Value, body: &Map<String, Value>) -> bool {
    let (Some(spelled), Some(weights)) = (spelled.as_array(), weights(body)) else { return false };
    let Ok(values) = spelled.iter().map(value).collect::<Result<Vec<_>, _>>() else { return false };
    whole_numbers(&values).as_ref() == Ok(&weights)
        && spelled.iter().zip(&weights).any(|(spelled, weight)| *spelled != plain(&Value::from(*weight)))
}

/// A whole number as clients of `v1alpha1` write it: their type for quantities makes it a string.
fn plain(weight: &Value) -> Value {
    if weight.is_u64() { Value::from(weight.to_string()) } else { weight.clone() }
}

fn lower(body: &mut Map<String, Value>, kept: &mut Kept, to: Version) {
    let Some(Value::Object(spec)) = body.get_mut("spec") else { return };
    if to == Version::V1Alpha1 {
        let spelled = kept.remove(WEIGHTS);
        let mut spelled = spelled.as_ref().and_then(Value::as_array).into_iter().flatten();
        for backend in spec.get_mut("backends").and_then(Value::as_array_mut).into_iter().flatten() {
            let spelling = spelled.next();
            if let Some(weight) = backend.get_mut(WEIGHT) {
                *weight = spelling.cloned().unwrap_or_else(|| plain(weight));
            }
        }
    }
    if to < Version::V1Alpha3
        && let Some(matches) = spec.remove("matches")
    {
        kept.insert(MATCHES, matches);
    }
}
