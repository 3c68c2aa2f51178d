//! `TrafficMetrics` as they are written: the kinds of metrics.smi-spec.io, the same in every version.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ListMeta, ObjectMeta, Time};
use serde::{Deserialize, Serialize, Serializer};

/// API group of `TrafficMetrics`.
pub const GROUP: &str = "metrics.smi-spec.io";

/// Served versions, the preferred one first.
pub const VERSIONS: [&str; 2] = ["v1alpha2", "v1alpha1"];

/// Kind of one object.
pub const KIND: &str = "TrafficMetrics";

/// Kind of a list.
pub const LIST_KIND: &str = "TrafficMetricsList";

/// Traffic of a resource in a window, with everyone or with one peer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficMetrics {
    /// `metrics.smi-spec.io/` and the version.
    pub api_version: String,
    /// [`KIND`].
    pub kind: String,
    /// A name that no other object of the list has, the namespace, and the time of the metrics as the creation.
    pub metadata: ObjectMeta,
    /// What the metrics are about.
    pub resource: Reference,
    /// Which of its traffic.
    pub edge: Edge,
    /// Which backend of a split, where `resource` is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<Backend>,
    /// End of the window: when the newest report in it came.
    #[serde(serialize_with = "whole_seconds")]
    pub timestamp: Timestamp,
    /// Length of the window, like `30s`.
    pub window: String,
    /// Percentiles of the latency, as far as there are requests, and the counts of requests.
    pub metrics: Vec<Metric>,
}

/// A list of objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TrafficMetricsList {
    /// `metrics.smi-spec.io/` and the version.
    pub api_version: String,
    /// [`LIST_KIND`].
    pub kind: String,
    /// Where to continue, if there is more.
    pub metadata: ListMeta,
    /// What the objects have in common; for a list of edges the resource they belong to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<Reference>,
    /// Labels that the resources were selected by, if it was by equality alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// The objects.
    pub items: Vec<TrafficMetrics>,
}

/// A resource; without any field it stands for all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Reference {
    /// API version of the kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Kind of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Namespace of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Name of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// Which traffic of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edge {
    /// Where it goes.
    pub direction: Direction,
    /// Who counted it.
    pub side: Side,
    /// The other end; blank for everyone.
    pub resource: Reference,
}

/// Where traffic goes, seen from the resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the resource to the edge's.
    To,
    /// From the edge's resource.
    From,
}

/// Whose sidecar counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The sender's.
    Client,
    /// The receiver's.
    Server,
}

/// A backend of a split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backend {
    /// The root Service of the split.
    pub apex: String,
    /// The Service that served.
    pub name: String,
    /// Weight of the backend, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    /// `p50_response_latency`, `p90_response_latency`, `p99_response_latency`, `success_count` or `failure_count`.
    pub name: String,
    /// `seconds` of a latency; counts have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// A Kubernetes quantity: `10m` are 10 milliseconds.
    pub value: String,
}

/// The rows that kubectl prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    /// `meta.k8s.io/v1`.
    pub api_version: String,
    /// `Table`.
    pub kind: String,
    /// As of the list.
    pub metadata: ListMeta,
    /// Description of the cells.
    pub column_definitions: Vec<Column>,
    /// One for each object.
    pub rows: Vec<TableRow>,
}

/// Description of one cell of each row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Title.
    pub name: String,
    /// Type of the cells in OpenAPI.
    #[serde(rename = "type")]
    pub type_: String,
    /// `name` for the column with the name.
    pub format: String,
    /// What it tells.
    pub description: String,
    /// 0 is always shown, above that only when asked for.
    pub priority: i32,
}

/// One row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableRow {
    /// One for each column.
    pub cells: Vec<String>,
    /// The object, its metadata, or null, as the client asked.
    pub object: serde_json::Value,
}

impl Reference {
    /// A reference to an object of the group and version that `api_version` names.
    #[must_use]
    pub fn new(api_version: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            api_version: Some(api_version.to_owned()),
            kind: Some(kind.to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(name.to_owned()),
        }
    }
}

impl TrafficMetrics {
    /// Metadata of an object that exists only in answers.
    #[must_use]
    pub fn metadata(name: String, namespace: &str, timestamp: Timestamp) -> ObjectMeta {
        ObjectMeta {
            name: Some(name),
            namespace: Some(namespace.to_owned()),
            creation_timestamp: Some(Time(to_whole_seconds(timestamp))),
            ..ObjectMeta::default()
        }
    }
}

/// Labels of a selector that asks for equality alone, like `app=web,tier==front`; `None` for any other.
#[must_use]
pub fn equality_selector(selector: &str) -> Option<LabelSelector> {
    let mut labels = BTreeMap::new();
    for term in selector.split(',') {
        let (key, value) = term.split_once('=')?;
        let (key, value) = (key.trim(), value.trim_start_matches('=').trim());
        let plain = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        if key.is_empty() || !plain(key) || !plain(value) {
            return None;
        }
        labels.insert(key.to_owned(), value.to_owned());
    }
    Some(LabelSelector { match_labels: Some(labels), match_expressions: None })
}

/// Kubernetes' times have no fraction.
fn to_whole_seconds(timestamp: Timestamp) -> Timestamp {
    Timestamp::from_second(timestamp.as_second()).unwrap_or(timestamp)
}

fn whole_seconds<S: Serializer>(timestamp: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&to_whole_seconds(*timestamp))
}
