//! What a request has to do with the route groups of a split.

use http::{HeaderMap, HeaderName, Method};
use weft_operator::compile::Finding;
use weft_operator::model::{ConditionalSplit, GroupRef, Snapshot, SplitRef};
use weft_policy::http::{Conditions, Match, Request, Unmet, first_met};

use super::answer::{Compared, Condition, Group, Route};

/// A request that is written down.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) authority: String,
    pub(super) headers: HeaderMap,
}

impl Written {
    /// As matches see it.
    pub(super) fn request(&self) -> Request<'_> {
        Request::new(&self.method, self.path.as_bytes(), Some(self.authority.as_bytes()), &self.headers)
    }
}

/// Which of these splits a sidecar that was told them sends `request` by.
pub(super) fn taken<'a>(splits: &'a [ConditionalSplit], request: &Request<'_>) -> Option<&'a ConditionalSplit> {
    // A group with a match that is none is not accepted, and never told.
    let compile = |split: &ConditionalSplit| split.matches.iter().filter_map(|one| Match::new(one).ok()).collect();
    let compiled: Vec<Vec<Match>> = splits.iter().map(compile).collect();
    first_met(compiled.iter().map(Vec::as_slice), request).and_then(|index| splits.get(index))
}

/// Every match of every group of a split, compared with a request.
pub(super) fn groups(snapshot: &Snapshot, name: &SplitRef, written: &Written) -> Vec<Group> {
    let Some(split) = snapshot.splits.get(name) else { return Vec::new() };
    let request = written.request();
    let group = |group: &String| {
        let key = GroupRef { namespace: name.namespace.clone(), name: group.clone() };
        let (matches, problem) = match snapshot.route_groups.get(&key).map(|found| found.matches()) {
            None => {
                (&[][..], Some(Finding::GroupNotFound { group: key.name.clone(), namespace: key.namespace.clone() }))
            }
            Some(Err(problem)) => (
                &[][..],
                Some(Finding::GroupNotAccepted { group: key.name.clone(), problem: Box::new(problem.clone()) }),
            ),
            Some(Ok(matches)) => (matches, None),
        };
        let matches = matches.iter().map(|conditions| compare(conditions, written, &request)).collect();
        Group { name: group.clone(), problem: problem.map(|problem| problem.to_string()), matches }
    };
    split.matches.iter().map(group).collect()
}

/// The first match that is met.
pub(super) fn met(groups: &[Group]) -> Option<Route> {
    groups.iter().find_map(|group| {
        let met = group.matches.iter().find(|compared| compared.met)?;
        Some(Route { group: group.name.clone(), name: met.name.clone() })
    })
}

fn compare(conditions: &Conditions, written: &Written, request: &Request<'_>) -> Compared {
    let name = conditions.name.clone();
    let compiled = match Match::new(conditions) {
        Ok(compiled) => compiled,
        Err(error) => return Compared { name, met: false, unmet: None, message: Some(error.to_string()) },
    };
    match compiled.compare(request) {
        Ok(()) => Compared { name, met: true, unmet: None, message: None },
        Err(unmet) => {
            let (unmet, message) = describe(unmet, conditions, written, request);
            Compared { name, met: false, unmet: Some(unmet), message: Some(message) }
        }
    }
}

/// An unmet condition, with what was asked for and what is there.
fn describe(
    unmet: Unmet<'_>,
    conditions: &Conditions,
    written: &Written,
    request: &Request<'_>,
) -> (Condition, String) {
    let patterns = |header: &str| {
        let of_header = conditions.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(header));
        of_header.map(|(_, pattern)| format!("{pattern:?}")).collect::<Vec<_>>().join(" and ")
    };
    match unmet {
        Unmet::Method => {
            (Condition::Method, format!("the method is {}, not {}", written.method, conditions.methods.join(" or ")))
        }
        Unmet::Path => {
            let pattern = conditions.path_regex.as_deref().unwrap_or_default();
            let path = request.path().unwrap_or_default();
            (Condition::Path, format!("the path {path} does not begin as pathRegex {pattern:?} says"))
        }
        Unmet::AmbiguousPath(problem) => {
            (Condition::AmbiguousPath, format!("the path is compared with no pathRegex, because {problem}"))
        }
        Unmet::NoHeader(header) => (Condition::MissingHeader, format!("there is no header {header}")),
        Unmet::Header(header) => {
            let value = match header {
                "host" => request.authority(),
                _ => header.parse().ok().and_then(|name: HeaderName| request.header(&name)),
            };
            let value = String::from_utf8_lossy(value.unwrap_or_default());
            (Condition::HeaderValue, format!("the header {header} is {value:?}, which is not {}", patterns(header)))
        }
    }
}
