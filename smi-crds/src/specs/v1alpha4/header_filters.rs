//! Header filters of an HTTPRouteGroup, which are written as a map or as a list of maps.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Serialize, Serializer};

/// Regular expressions for header values by header name, in the shape they were written in.
///
/// The specification's text shows a map, its Go types and their CRD a list of maps. Both are in use and both mean the
/// same: every filter must match. The shape is kept so that an object which is read and written again does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderFilters {
    /// `headers: {user-agent: ".*Firefox.*", cookie: "beta=1"}`
    Map(BTreeMap<String, String>),
    /// `headers: [{user-agent: ".*Firefox.*"}, {cookie: "beta=1"}]`; an entry with more or fewer than one filter is a
    /// [problem](Self::problems).
    List(Vec<BTreeMap<String, String>>),
}

impl HeaderFilters {
    /// Every filter as a header name, in the case it was written in, and the expression for that header's value.
    ///
    /// A list may name one header more than once; then each expression must match.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let maps = match self {
            Self::Map(map) => std::slice::from_ref(map),
            Self::List(list) => list,
        };
        maps.iter().flatten().map(|(name, regex)| (name.as_str(), regex.as_str()))
    }

    /// Whether there is no filter, so that any headers will do.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl Serialize for HeaderFilters {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Map(map) => map.serialize(serializer),
            Self::List(list) => list.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for HeaderFilters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(EitherShape)
    }
}

struct EitherShape;

impl<'de> Visitor<'de> for EitherShape {
    type Value = HeaderFilters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from header name to regular expression, or a list of such maps")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<HeaderFilters, A::Error> {
        filters(map).map(HeaderFilters::Map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<HeaderFilters, A::Error> {
        let mut list = Vec::new();
        while let Some(Entry(map)) = seq.next_element()? {
            list.push(map);
        }
        Ok(HeaderFilters::List(list))
    }
}

/// One element of the list shape.
struct Entry(BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct OneMap;

        impl<'de> Visitor<'de> for OneMap {
            type Value = Entry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map from header name to regular expression")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Entry, A::Error> {
                filters(map).map(Entry)
            }
        }

        deserializer.deserialize_map(OneMap)
    }
}

/// Reads one map and refuses a repeated name: keeping the last would drop a filter and so match more requests.
fn filters<'de, A: MapAccess<'de>>(mut map: A) -> Result<BTreeMap<String, String>, A::Error> {
    let mut filters = BTreeMap::new();
    while let Some((name, regex)) = map.next_entry::<String, String>()? {
        if filters.contains_key(&name) {
            return Err(de::Error::custom(format_args!("header {name:?} is named more than once in one map")));
        }
        filters.insert(name, regex);
    }
    Ok(filters)
}
