//! TrafficMetrics as the aggregated API serves them.

use anyhow::{Result, anyhow};
use http::Method;
use serde::Deserialize;
use serde_json::Value;

use super::{Reply, TestNamespace};

/// What asks `kubectl get` for.
const TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// One `TrafficMetrics` object.
#[derive(Debug, Clone, Deserialize)]
pub struct Edge {
    /// Whose metrics these are.
    pub resource: Named,
    /// The other end.
    pub edge: Other,
    /// For edges that belong to a split.
    #[serde(default)]
    pub backend: Option<Backend>,
    /// Name and value of each metric.
    pub metrics: Vec<Metric>,
}

/// A resource of the cluster; empty where it stands for all of them.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub struct Named {
    /// As of the object.
    pub kind: String,
    /// As of the object.
    pub name: String,
}

/// The other end of an edge.
#[derive(Debug, Clone, Deserialize)]
pub struct Other {
    /// `to` or `from`.
    pub direction: String,
    /// Which side counted: `client` or `server`.
    pub side: String,
    /// Empty where all edges are summed up.
    #[serde(default)]
    pub resource: Named,
}

/// The split that a request went through.
#[derive(Debug, Clone, Deserialize)]
pub struct Backend {
    /// The root service.
    pub apex: String,
    /// The backend service.
    pub name: String,
}

/// A metric.
#[derive(Debug, Clone, Deserialize)]
pub struct Metric {
    /// For example `success_count`.
    pub name: String,
    /// A Kubernetes quantity.
    pub value: String,
}

impl Edge {
    /// A metric as a number in its unit.
    ///
    /// # Errors
    /// When it is missing or not a quantity.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let metric = self.metrics.iter().find(|metric| metric.name == name);
        let metric = metric.ok_or_else(|| anyhow!("no metric {name} in {:?}", self.metrics))?;
        quantity(&metric.value).ok_or_else(|| anyhow!("{name}: {:?} is not a quantity", metric.value))
    }

    /// Whether it leads to the resource of this name, as the client counts.
    #[must_use]
    pub fn leads_to(&self, name: &str) -> bool {
        self.edge.direction == "to" && self.edge.side == "client" && self.edge.resource.name == name
    }
}

/// A Kubernetes quantity, of those forms that TrafficMetrics use.
fn quantity(text: &str) -> Option<f64> {
    let (digits, factor) = match text.as_bytes().last()? {
        b'm' => (text.strip_suffix('m')?, 1e-3),
        b'u' => (text.strip_suffix('u')?, 1e-6),
        b'k' => (text.strip_suffix('k')?, 1e3),
        _ => (text, 1.0),
    };
    digits.parse::<f64>().ok().map(|number| number * factor)
}

impl TestNamespace {
    /// Gets `path`, for example `deployments/client/edges`, from the TrafficMetrics API of this namespace.
    ///
    /// # Errors
    /// When there is no answer. A refusal is an answer.
    pub async fn metrics(&self, path: &str, headers: &[(&str, &str)]) -> Result<Reply> {
        let path = format!("/apis/metrics.smi-spec.io/v1alpha2/namespaces/{}/{path}", self.name);
        self.cluster.request(Method::GET, &path, headers, String::new()).await
    }

    /// The edges of a resource, for example of `deployments/client`.
    ///
    /// # Errors
    /// When there are none or the answer is not a list of them.
    pub async fn edges(&self, resource: &str) -> Result<Vec<Edge>> {
        let list: Value = self.metrics(&format!("{resource}/edges"), &[]).await?.json()?;
        Ok(serde_json::from_value(list["items"].clone())?)
    }

    /// What `kubectl get` prints of `path`: the names of the columns, and the rows.
    ///
    /// # Errors
    /// When the answer is not a table.
    pub async fn metrics_table(&self, path: &str) -> Result<(Vec<String>, Vec<Vec<String>>)> {
        let table: Value = self.metrics(path, &[("accept", TABLE)]).await?.json()?;
        let list = |of: &Value, field: &str| of[field].as_array().cloned().ok_or_else(|| anyhow!("no {field} in {of}"));
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let columns = list(&table, "columnDefinitions")?.iter().map(|column| text(&column["name"])).collect();
        let rows = list(&table, "rows")?
            .iter()
            .map(|row| Ok(list(row, "cells")?.iter().map(text).collect()))
            .collect::<Result<_>>()?;
        Ok((columns, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_quantities() {
        for (text, want) in [
            ("10", Some(10.0)),
            ("10m", Some(0.01)),
            ("1500u", Some(0.0015)),
            ("2k", Some(2000.0)),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(quantity(text), want, "{text:?}");
        }
    }
}
