//! What a client accepts: the representation of an answer.

use http::{HeaderMap, header};

use super::status::Refusal;

/// How metrics are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Representation {
    /// The objects.
    Objects,
    /// The rows that kubectl prints, in the named version of meta.k8s.io.
    Table(&'static str),
}

/// How the list of groups is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum GroupsRepresentation {
    /// `APIGroupList`: names only.
    Names,
    /// `APIGroupDiscoveryList`: everything at once.
    Aggregated,
}

const JSON: &str = "application/json";

/// Takes the first representation of `Accept` that exists; quality values are as good as never sent by Kubernetes' clients,
/// which list what they prefer first.
pub(super) fn representation(headers: &HeaderMap) -> Result<Representation, Refusal> {
    first(headers, |parameters| match parameters {
        Parameters { as_: None, .. } => Some(Representation::Objects),
        Parameters { as_: Some("Table"), group: Some("meta.k8s.io"), version: Some("v1") } => {
            Some(Representation::Table("meta.k8s.io/v1"))
        }
        Parameters { as_: Some("Table"), group: Some("meta.k8s.io"), version: Some("v1beta1") } => {
            Some(Representation::Table("meta.k8s.io/v1beta1"))
        }
        _ => None,
    })
    .ok_or(Refusal::NotAcceptable(JSON))
}

/// Like [`representation`], of the list of groups.
pub(super) fn groups_representation(headers: &HeaderMap) -> Result<GroupsRepresentation, Refusal> {
    first(headers, |parameters| match parameters {
        Parameters { as_: None, .. } => Some(GroupsRepresentation::Names),
        Parameters { as_: Some("APIGroupDiscoveryList"), group: Some("apidiscovery.k8s.io"), version: Some("v2") } => {
            Some(GroupsRepresentation::Aggregated)
        }
        _ => None,
    })
    .ok_or(Refusal::NotAcceptable(
        "application/json, application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
    ))
}

/// Refuses a client that does not accept JSON.
pub(super) fn json(headers: &HeaderMap) -> Result<(), Refusal> {
    // A client that wants a document in another shape still gets along with the document.
    first(headers, |_| Some(())).ok_or(Refusal::NotAcceptable(JSON))
}

#[derive(Debug, Clone, Copy, Default)]
struct Parameters<'a> {
    as_: Option<&'a str>,
    group: Option<&'a str>,
    version: Option<&'a str>,
}

fn first<T>(headers: &HeaderMap, choose: impl Fn(Parameters<'_>) -> Option<T>) -> Option<T> {
    let mut asked = false;
    for value in headers.get_all(header::ACCEPT) {
        for range in value.to_str().unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            asked |= !media_type.is_empty();
            if !matches!(media_type, JSON | "application/*" | "*/*") {
                continue;
            }
            let mut parameters = Parameters::default();
            for (key, value) in parts.filter_map(|part| part.split_once('=')) {
                match key {
                    "as" => parameters.as_ = Some(value),
                    "g" => parameters.group = Some(value),
                    "v" => parameters.version = Some(value),
                    _ => {}
                }
            }
            if let Some(chosen) = choose(parameters) {
                return Some(chosen);
            }
        }
    }
    // Whoever does not say takes anything.
    if asked { None } else { choose(Parameters::default()) }
}
