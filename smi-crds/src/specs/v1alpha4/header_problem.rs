//! Header filters that can be read, and hardly mean what their author meant.

use std::collections::BTreeMap;

use super::HeaderFilters;

/// What is wrong with header filters that can be read nevertheless: every filter must match, and that is less than was meant, or
/// nothing at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderProblem {
    /// An entry of the list has the keys of other APIs.
    #[error(
        "headers[{index}]: its keys name and value would be two headers of these names: write the name of the header as the key \
         and the pattern as its value, as in - {name}: {value}"
    )]
    NameAndValue {
        /// Which entry, from 0.
        index: usize,
        /// The name that was meant.
        name: String,
        /// The pattern that was meant.
        value: String,
    },
    /// An entry of the list has more than one key.
    #[error("headers[{index}]: one entry names one header, and this one names {}: write an entry for each, as in {}", .names.join(", "), entries(.names))]
    SeveralNames {
        /// Which entry, from 0.
        index: usize,
        /// Its keys.
        names: Vec<String>,
    },
    /// An entry of the list has no key.
    #[error(
        "headers[{index}]: it names no header: remove it, or write the name of one with a pattern, as in - user-agent: .*Firefox.*"
    )]
    NoName {
        /// Which entry, from 0.
        index: usize,
    },
    /// Two names are one header.
    #[error(
        "headers: {first:?} and {second:?} are one header, whose name may be written in any case, and one value would have to match both patterns: keep one"
    )]
    SameHeader {
        /// The earlier name.
        first: String,
        /// The later one.
        second: String,
    },
}

/// How headers are written as entries of a list.
fn entries(names: &[String]) -> String {
    names.iter().map(|name| format!("- {name}: PATTERN")).collect::<Vec<_>>().join(" ")
}

impl HeaderFilters {
    /// Everything that is wrong with the filters, in their order. They can be compared with requests nevertheless.
    pub fn problems(&self) -> Vec<HeaderProblem> {
        let mut problems = Vec::new();
        if let Self::List(list) = self {
            problems.extend(list.iter().enumerate().filter_map(|(index, entry)| of_entry(index, entry)));
        }
        let mut known: BTreeMap<String, &str> = BTreeMap::new();
        for (name, _) in self.iter() {
            match known.get(&name.to_ascii_lowercase()) {
                // A list may name a header twice, so that both patterns must match: who writes it alike means it.
                Some(first) if *first != name => {
                    problems.push(HeaderProblem::SameHeader { first: (*first).to_owned(), second: name.to_owned() });
                }
                Some(_) => {}
                None => {
                    known.insert(name.to_ascii_lowercase(), name);
                }
            }
        }
        problems
    }
}

fn of_entry(index: usize, entry: &BTreeMap<String, String>) -> Option<HeaderProblem> {
    match (entry.len(), entry.get("name"), entry.get("value")) {
        (0, ..) => Some(HeaderProblem::NoName { index }),
        (1, ..) => None,
        (2, Some(name), Some(value)) => {
            Some(HeaderProblem::NameAndValue { index, name: name.clone(), value: value.clone() })
        }
        _ => Some(HeaderProblem::SeveralNames { index, names: entry.keys().cloned().collect() }),
    }
}
