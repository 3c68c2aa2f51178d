//! Rows as an answer: an object, a list, or a table of either.

use axum::response::{IntoResponse, Response};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ListMeta};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::json;

use super::{
    accept::Representation,
    row::{Moment, Row},
    status::Refusal,
    types::{Column, GROUP, LIST_KIND, Reference, Table, TableRow, TrafficMetricsList},
};

/// What goes into a table beside the cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum IncludeObject {
    /// Nothing.
    None,
    /// The metadata.
    #[default]
    Metadata,
    /// The object.
    Object,
}

impl<'de> Deserialize<'de> for IncludeObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match String::deserialize(deserializer)?.as_str() {
            "None" => Ok(Self::None),
            "" | "Metadata" => Ok(Self::Metadata),
            "Object" => Ok(Self::Object),
            other => Err(D::Error::unknown_variant(other, &["None", "Metadata", "Object"])),
        }
    }
}

/// How an answer is to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Format {
    pub(super) version: &'static str,
    pub(super) representation: Representation,
    pub(super) include: IncludeObject,
    pub(super) now: Moment,
}

/// How rows are named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Names {
    /// By the resource: there is one row of each.
    Resource,
    /// By resource and peer.
    Unique,
}

/// What a list says beside its rows.
#[derive(Debug, Clone, Default)]
pub(super) struct ListHead {
    pub(super) metadata: ListMeta,
    pub(super) resource: Option<Reference>,
    pub(super) selector: Option<LabelSelector>,
}

impl Names {
    fn of(self, row: &Row) -> String {
        match self {
            Self::Resource => row.short_name(),
            Self::Unique => row.unique_name(),
        }
    }
}

impl Format {
    pub(super) fn one(self, row: &Row, names: Names) -> Result<Response, Refusal> {
        match self.representation {
            Representation::Objects => {
                Ok(axum::Json(row.object(self.version, names.of(row), self.now)).into_response())
            }
            Representation::Table(version) => {
                self.table(version, std::slice::from_ref(row), names, ListMeta::default())
            }
        }
    }

    pub(super) fn list(self, rows: &[Row], names: Names, head: ListHead) -> Result<Response, Refusal> {
        match self.representation {
            Representation::Objects => Ok(axum::Json(TrafficMetricsList {
                api_version: format!("{GROUP}/{}", self.version),
                kind: LIST_KIND.to_owned(),
                metadata: head.metadata,
                resource: head.resource,
                selector: head.selector,
                items: rows.iter().map(|row| row.object(self.version, names.of(row), self.now)).collect(),
            })
            .into_response()),
            Representation::Table(version) => self.table(version, rows, names, head.metadata),
        }
    }

    fn table(self, version: &str, rows: &[Row], names: Names, metadata: ListMeta) -> Result<Response, Refusal> {
        let rows = rows.iter().map(|row| {
            let object = row.object(self.version, names.of(row), self.now);
            let object = match self.include {
                IncludeObject::None => serde_json::Value::Null,
                IncludeObject::Metadata => json!({
                    "kind": "PartialObjectMetadata",
                    "apiVersion": version,
                    "metadata": object.metadata,
                }),
                IncludeObject::Object => serde_json::to_value(object)?,
            };
            Ok(TableRow { cells: row.cells(self.now), object })
        });
        let table = Table {
            api_version: version.to_owned(),
            kind: "Table".to_owned(),
            metadata,
            rows: rows.collect::<Result<_, serde_json::Error>>()?,
            column_definitions: columns(),
        };
        Ok(axum::Json(table).into_response())
    }
}

fn columns() -> Vec<Column> {
    [
        ("Name", "name", "Resource that the traffic belongs to."),
        ("Edge", "", "Other end of the traffic: everyone (*) or one peer, and the Services that were addressed."),
        ("Success", "", "Share of requests that were answered as asked."),
        ("RPS", "", "Requests in a second, on average of the window."),
        ("P50", "", "Latency that half of the requests did not exceed."),
        ("P90", "", "Latency that nine tenths of the requests did not exceed."),
        ("P99", "", "Latency that all but one in a hundred requests did not exceed."),
        ("Age", "", "Time since the newest report of a sidecar."),
    ]
    .into_iter()
    .map(|(name, format, description)| Column {
        name: name.to_owned(),
        type_: "string".to_owned(),
        format: format.to_owned(),
        description: description.to_owned(),
        priority: 0,
    })
    .collect()
}
