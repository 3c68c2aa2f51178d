//! TCPRoute: ports in `v1alpha4` only.

use serde_json::{Map, Value};

use super::{ConversionError, Kept, Kind, Reader, Reason, Version};
use crate::specs::v1alpha4::PortMatch;

pub(super) const KIND: Kind = Kind {
    name: "TCPRoute",
    group: crate::specs::GROUP,
    oldest: Version::V1Alpha1,
    keeps: &[(MATCHES, check)],
    lift,
    tidy,
    lower,
};

/// Kept: `spec.matches`.
const MATCHES: &str = "matches";

fn lift(
    body: &mut Map<String, Value>,
    kept: &mut Kept,
    from: Version,
    reader: &Reader<'_>,
) -> Result<(), ConversionError> {
    let spec = reader.object(body, "spec", "spec", "nothing, or an empty object")?;
    if let Some(field) = spec.and_then(|spec| spec.keys().next()) {
        let version = format!("{}/{}", crate::specs::GROUP, from.as_str());
        let reason = Reason::NotInVersion { version, instead: "specs.smi-spec.io/v1alpha4" };
        return Err(reader.error(format!("spec.{field}"), reason));
    }
    if let Some(matches) = kept.remove(MATCHES) {
        // Also if the spec is gone: without its ports the route would stand for all of them.
        let spec = body.entry("spec").or_insert_with(|| Value::Object(Map::new()));
        spec[MATCHES] = matches;
    }
    Ok(())
}

fn check(matches: &Value) -> Result<(), String> {
    if !matches.is_object() {
        return Err("not an object".to_owned());
    }
    serde_json::from_value::<PortMatch>(matches.clone()).map(drop).map_err(|error| error.to_string())
}

fn tidy(_: &Map<String, Value>, kept: &mut Kept) {
    kept.remove(MATCHES);
}

fn lower(body: &mut Map<String, Value>, kept: &mut Kept, _: Version) {
    if let Some(Value::Object(spec)) = body.get_mut("spec")
        && let Some(matches) = spec.remove(MATCHES)
    {
        kept.insert(MATCHES, matches);
    }
}
