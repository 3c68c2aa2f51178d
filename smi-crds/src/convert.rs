//! Conversion of objects between the published versions of their kind.
//!
//! Every conversion goes by the hub, `v1alpha4`: the object is *lifted* to it and *lowered* from it, each a change in
//! place of what differs. What a version cannot say is *kept* in one annotation, so that `a -> b -> a` gives back the
//! object, byte by byte.
//!
//! | kept | in | why |
//! |---|---|---|
//! | spelling of weights | `v1alpha2` and later | `500m` is 1 of 1 : 2 there |
//! | `matches` of a split | `v1alpha1`, `v1alpha2` | unknown there |
//! | `headers` of matches | HTTPRouteGroup `v1alpha1` | unknown there |
//! | where the matches of a group stand | HTTPRouteGroup `v1alpha1`, `v1alpha2` | they have one place there |
//! | `matches` of a TCPRoute | `v1alpha1` to `v1alpha3` | unknown there |
//! | `destination.port` | TrafficTarget `v1alpha3`, `v1alpha4` | gone there |
//! | `group` of subjects | TrafficTarget `v1alpha1` to `v1alpha3` | unknown there |
//!
//! A client may have changed the object meanwhile, or have written the annotation. What is visible wins: a kept spelling
//! comes back only if it still means the visible value. A kept restriction (matches, headers, ports) comes back with the
//! field that it belongs to, and if it cannot be read the object is refused instead of losing it.
//!
//! From the hub down no object fails: one bad object among those stored must not make a list unreadable.

mod error;
mod http_route_group;
mod kept;
mod reading;
mod tcp_route;
mod traffic_split;
mod traffic_target;

use serde_json::{Map, Value};

pub use error::{ConversionError, ObjectName, Reason};
pub use kept::CONVERSION;
use kept::Kept;
use reading::Reader;
pub(crate) use traffic_target::kept_port;

/// A published version. All groups have the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    V1Alpha1,
    V1Alpha2,
    V1Alpha3,
    V1Alpha4,
}

impl Version {
    const HUB: Self = Self::V1Alpha4;
    const ALL: [Self; 4] = [Self::V1Alpha1, Self::V1Alpha2, Self::V1Alpha3, Self::V1Alpha4];

    const fn as_str(self) -> &'static str {
        match self {
            Self::V1Alpha1 => "v1alpha1",
            Self::V1Alpha2 => "v1alpha2",
            Self::V1Alpha3 => "v1alpha3",
            Self::V1Alpha4 => "v1alpha4",
        }
    }
}

/// Says what is wrong with a kept value.
type Check = fn(&Value) -> Result<(), String>;

/// Changes an object of an older version into one of the hub.
type Lift = fn(&mut Map<String, Value>, &mut Kept, Version, &Reader<'_>) -> Result<(), ConversionError>;

/// A kind, with what differs between its versions.
struct Kind {
    name: &'static str,
    group: &'static str,
    oldest: Version,
    /// Names of what the annotation may keep, each with a check of its value. What restricts the object must be
    /// readable, else the annotation as a whole is not.
    keeps: &'static [(&'static str, Check)],
    /// Changes an object of an older version into one of the hub.
    lift: Lift,
    /// Removes from what the hub keeps all that it can say itself, or that is without meaning.
    tidy: fn(&Map<String, Value>, &mut Kept),
    /// Changes an object of the hub into one of an older version.
    lower: fn(&mut Map<String, Value>, &mut Kept, Version),
}

const KINDS: [Kind; 6] = [
    traffic_split::KIND,
    traffic_target::KIND,
    http_route_group::KIND,
    tcp_route::KIND,
    only_in_hub("UDPRoute", crate::specs::GROUP),
    only_in_hub("IdentityBinding", crate::access::GROUP),
];

/// A kind that is published in one version, so that there is nothing to convert.
const fn only_in_hub(name: &'static str, group: &'static str) -> Kind {
    Kind {
        name,
        group,
        oldest: Version::HUB,
        keeps: &[],
        lift: |_, _, _, _| Ok(()),
        tidy: |_, _| {},
        lower: |_, _, _| {},
    }
}

/// Gives `object`, of any SMI kind in any published version, in another version of its group, which `to` names as an
/// `apiVersion` does: `split.smi-spec.io/v1alpha1`.
///
/// Nothing but `apiVersion`, the fields that differ and the annotation [`CONVERSION`] is changed. In its own version an
/// object is given back as it is.
///
/// # Errors
///
/// If the object is of no kind or version that is known, or an older version has a field that cannot be read. A stored
/// object, of `v1alpha4`, never fails.
pub fn convert(mut object: Value, to: &str) -> Result<Value, ConversionError> {
    let name = ObjectName::of(&object);
    let reader = Reader::new(&name);
    let Value::Object(body) = &mut object else {
        return Err(reader.error("", Reason::NotAnObject));
    };
    let api_version = reader.text(body, "apiVersion")?;
    let kind_name = reader.text(body, "kind")?;
    let (group, from) = api_version.split_once('/').unwrap_or(("", &api_version));
    let Some(kind) = KINDS.iter().find(|kind| kind.name == kind_name && kind.group == group) else {
        return Err(reader.error("apiVersion", Reason::UnknownKind { api_version, kind: kind_name }));
    };
    let from = kind.version(from).ok_or_else(|| reader.error("apiVersion", kind.unpublished(&api_version)))?;
    let target = to.split_once('/').filter(|(group, _)| *group == kind.group).and_then(|(_, to)| kind.version(to));
    let target = target.ok_or_else(|| reader.error("apiVersion", kind.unpublished(to)))?;
    if from == target {
        return Ok(object);
    }

    let mut kept = Kept::take(body, kind, from, &reader)?;
    if from != Version::HUB {
        (kind.lift)(body, &mut kept, from, &reader)?;
    }
    (kind.tidy)(body, &mut kept);
    if target != Version::HUB {
        (kind.lower)(body, &mut kept, target);
    }
    kept.put(body, target);
    body.insert("apiVersion".to_owned(), Value::from(to));
    Ok(object)
}

impl Kind {
    fn version(&self, name: &str) -> Option<Version> {
        Version::ALL.into_iter().find(|version| version.as_str() == name && *version >= self.oldest)
    }

    fn unpublished(&self, found: &str) -> Reason {
        let published = Version::ALL.into_iter().filter(|version| *version >= self.oldest);
        let published: Vec<_> = published.map(|version| format!("{}/{}", self.group, version.as_str())).collect();
        Reason::Unpublished { found: found.to_owned(), kind: self.name, published: published.join(", ") }
    }
}
