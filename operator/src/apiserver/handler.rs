//! Requests for metrics: read, authorized, joined with the traffic, answered.

use std::{collections::BTreeSet, sync::Arc};

use axum::{
    Extension,
    extract::{
        Path, Query, State,
        rejection::{PathRejection, QueryRejection},
    },
    response::Response,
};
use http::{HeaderMap, Method};
use kube::api::ListParams;
use serde::{Deserialize, Deserializer};

use super::{
    ApiServer,
    accept::representation,
    answer::{Format, IncludeObject, ListHead, Names},
    authentication::User,
    authorization::Action,
    resource::{EDGES, Resource, api_version, find, reference, traffic},
    row::Row,
    status::Refusal,
    types::{Reference, VERSIONS, equality_selector},
};
use crate::{
    model::{WorkloadKind, WorkloadRef},
    traffic::View,
};

/// What a path names.
#[derive(Debug, Deserialize)]
pub(super) struct Target {
    version: String,
    resource: String,
    namespace: Option<String>,
    name: Option<String>,
    subresource: Option<String>,
}

/// Parameters behind the question mark; others are ignored, as Kubernetes does.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Parameters {
    label_selector: String,
    field_selector: String,
    limit: u32,
    #[serde(rename = "continue")]
    continue_token: String,
    include_object: IncludeObject,
    #[serde(deserialize_with = "flag")]
    watch: bool,
}

/// Answers every request for metrics.
pub(super) async fn metrics(
    State(api): State<Arc<ApiServer>>,
    Extension(user): Extension<User>,
    method: Method,
    headers: HeaderMap,
    target: Result<Path<Target>, PathRejection>,
    parameters: Result<Query<Parameters>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Ok(Path(target)) = target else {
        return Err(Refusal::NoSuchPath);
    };
    let version = VERSIONS.into_iter().find(|version| *version == target.version).ok_or(Refusal::NoSuchPath)?;
    let resource = find(&target.resource).ok_or(Refusal::NoSuchPath)?;
    let subresource = match (target.subresource.as_deref(), resource.of) {
        (None, _) => "",
        (Some(EDGES), Some(_)) => EDGES,
        (Some(_), _) => return Err(Refusal::NoSuchPath),
    };
    let verb = verb(&method, target.name.is_some());
    if !matches!(verb, "get" | "list") {
        return Err(Refusal::MethodNotAllowed { verb, resource: resource.plural });
    }
    let Query(parameters) = parameters?;
    if parameters.watch {
        return Err(Refusal::MethodNotAllowed { verb: "watch", resource: resource.plural });
    }
    let format = Format {
        version,
        representation: representation(&headers)?,
        include: parameters.include_object,
        now: (api.clock)(),
    };
    let action = Action {
        verb,
        version,
        resource: resource.plural,
        subresource,
        namespace: target.namespace.clone(),
        name: target.name.clone().unwrap_or_default(),
    };
    api.authorizer.authorize(&user, action, format.now.instant).await?;

    match (resource.of, target.namespace, target.name) {
        (Some(kind), Some(namespace), Some(name)) => {
            let object = WorkloadRef { namespace, kind, name };
            api.object(format, resource, object, subresource == EDGES).await
        }
        (Some(kind), namespace, _) => api.objects(format, kind, namespace.as_deref(), &parameters).await,
        (None, namespace, name) => api.workloads(format, resource, namespace.as_deref(), name, &parameters).await,
    }
}

impl ApiServer {
    /// One object that exists, or its edges.
    async fn object(
        &self,
        format: Format,
        resource: &Resource,
        object: WorkloadRef,
        edges: bool,
    ) -> Result<Response, Refusal> {
        if !self.objects.exists(&object).await? {
            return Err(Refusal::NotFound { resource: resource.plural, name: object.name });
        }
        let view = self.store.view(format.now.instant);
        let traffic = traffic(&view, &object);
        if !edges {
            return format.one(&Row::own(object, traffic), Names::Resource);
        }
        let head = ListHead { resource: Some(reference(&object)), ..ListHead::default() };
        let rows = traffic.map(|traffic| Row::edges(&object, traffic)).unwrap_or_default();
        format.list(&rows, Names::Unique, head)
    }

    /// The objects of a kind that exist and are selected.
    async fn objects(
        &self,
        format: Format,
        kind: WorkloadKind,
        namespace: Option<&str>,
        parameters: &Parameters,
    ) -> Result<Response, Refusal> {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let list = ListParams {
            label_selector: given(&parameters.label_selector),
            field_selector: given(&parameters.field_selector),
            limit: (parameters.limit > 0).then_some(parameters.limit),
            continue_token: given(&parameters.continue_token),
            ..ListParams::default()
        };
        let found = self.objects.list(kind, namespace, &list).await?;
        let view = self.store.view(format.now.instant);
        let rows: Vec<Row> = found
            .objects
            .into_iter()
            .map(|object| {
                let traffic = traffic(&view, &object);
                Row::own(object, traffic)
            })
            .collect();
        let head = ListHead {
            metadata: found.metadata,
            resource: Some(Reference {
                api_version: Some(api_version(kind).to_owned()),
                kind: Some(kind.as_str().to_owned()),
                namespace: namespace.map(ToOwned::to_owned),
                name: None,
            }),
            selector: equality_selector(&parameters.label_selector),
        };
        format.list(&rows, Names::Resource, head)
    }

    /// Every workload that reports, each followed by its edges; or one of these rows.
    async fn workloads(
        &self,
        format: Format,
        resource: &Resource,
        namespace: Option<&str>,
        name: Option<String>,
        parameters: &Parameters,
    ) -> Result<Response, Refusal> {
        let mut rows = rows(&self.store.view(format.now.instant), namespace);
        if let Some(name) = name {
            let found = rows.iter().find(|row| row.unique_name() == name);
            let found = found.or_else(|| rows.iter().find(|row| row.is_own() && row.short_name() == name));
            let row = found.ok_or(Refusal::NotFound { resource: resource.plural, name })?;
            return format.one(row, Names::Unique);
        }
        retain_fields(&mut rows, &parameters.field_selector)?;
        if !parameters.label_selector.is_empty() {
            let selected = self.selected(&rows, namespace, &parameters.label_selector).await?;
            rows.retain(|row| selected.contains(row.resource()));
        }
        let head = ListHead { selector: equality_selector(&parameters.label_selector), ..ListHead::default() };
        format.list(&rows, Names::Unique, head)
    }

    /// Objects with the selected labels, of the kinds that there are rows of.
    async fn selected(
        &self,
        rows: &[Row],
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<BTreeSet<WorkloadRef>, Refusal> {
        let kinds: BTreeSet<WorkloadKind> = rows.iter().map(|row| row.resource().kind).collect();
        let parameters = ListParams::default().labels(selector);
        let mut selected = BTreeSet::new();
        for kind in kinds {
            selected.extend(self.objects.list(kind, namespace, &parameters).await?.objects);
        }
        Ok(selected)
    }
}

fn rows(view: &View, namespace: Option<&str>) -> Vec<Row> {
    let mut rows = Vec::new();
    for (workload, traffic) in view.workloads(namespace) {
        rows.push(Row::own(workload.clone(), Some(traffic)));
        rows.extend(Row::edges(workload, traffic));
    }
    rows
}

/// Applies a field selector; name and namespace are the fields there are.
fn retain_fields(rows: &mut Vec<Row>, selector: &str) -> Result<(), Refusal> {
    for term in selector.split(',').filter(|term| !term.is_empty()) {
        let (field, value, equal) = match (term.split_once("!="), term.split_once('=')) {
            (Some((field, value)), _) => (field, value, false),
            (None, Some((field, value))) => (field, value.trim_start_matches('='), true),
            (None, None) => (term, "", true),
        };
        match field.trim() {
            "metadata.name" => rows.retain(|row| (row.unique_name() == value) == equal),
            "metadata.namespace" => rows.retain(|row| (row.resource().namespace == value) == equal),
            _ => {
                let problem = "is not a field that can be selected by";
                return Err(Refusal::BadRequest { parameter: "fieldSelector", value: term.to_owned(), problem });
            }
        }
    }
    Ok(())
}

fn verb(method: &Method, named: bool) -> &'static str {
    match *method {
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => "method",
    }
}

/// Kubernetes takes any value but these for yes.
fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let value = String::deserialize(deserializer)?;
    Ok(!matches!(value.to_ascii_lowercase().as_str(), "0" | "false"))
}
