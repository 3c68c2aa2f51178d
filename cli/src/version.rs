//! `weft version`: the versions of this command and of the operator.

use anyhow::Result;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde::Serialize;

use crate::arguments::Cluster;
use crate::check::{NAMESPACE, OPERATOR};
use crate::connection::{cause, connect};
use crate::outcome::Outcome;
use crate::output::{Format, Row, render};

/// Well-known label that says which version of a program a workload runs.
const VERSION_LABEL: &str = "app.kubernetes.io/version";

/// The version of one part of Weft.
#[derive(Debug, PartialEq, Serialize)]
struct Part {
    component: &'static str,
    /// `None` when the part is not there or its version could not be told.
    version: Option<String>,
    /// Why there is no version.
    reason: Option<String>,
}

impl Row for Part {
    const HEADINGS: &'static [&'static str] = &["COMPONENT", "VERSION"];

    fn cells(&self) -> Vec<String> {
        let version = match (&self.version, &self.reason) {
            (Some(version), _) => version.clone(),
            (None, Some(reason)) => format!("unknown: {reason}"),
            (None, None) => "unknown".to_owned(),
        };
        vec![self.component.to_owned(), version]
    }
}

/// What to print, and whether the operator's version is known; with `client_only` the cluster is not asked.
pub(crate) async fn version(cluster: &Cluster, client_only: bool, format: Format) -> Result<(String, Outcome)> {
    let client = Part { component: "client", version: Some(env!("CARGO_PKG_VERSION").to_owned()), reason: None };
    if client_only {
        return Ok((render(&[client], format)?, Outcome::Yes));
    }
    let (operator, outcome) = match connect(cluster).await {
        Err(error) => operator_part(Err(format!("{error:#}"))),
        Ok((client, _)) => {
            let deployments: Api<Deployment> = Api::namespaced(client, NAMESPACE);
            operator_part(deployments.get_opt(OPERATOR).await.map_err(|error| cause(&error)))
        }
    };
    Ok((render(&[client, operator], format)?, outcome))
}

/// The operator's row from its deployment, or from the reason why that could not be read.
fn operator_part(deployment: Result<Option<Deployment>, String>) -> (Part, Outcome) {
    let (version, reason, outcome) = match deployment {
        Err(reason) => (None, Some(reason), Outcome::Unknown),
        Ok(None) => (None, Some(format!("there is no deployment {OPERATOR} in {NAMESPACE}")), Outcome::No),
        Ok(Some(deployment)) => match deployed_version(&deployment) {
            Some(version) => (Some(version), None, Outcome::Yes),
            None => (None, Some(format!("the deployment {OPERATOR} names no version")), Outcome::Unknown),
        },
    };
    (Part { component: "operator", version, reason }, outcome)
}

/// The version that the label names, else the tag or digest of the image.
fn deployed_version(deployment: &Deployment) -> Option<String> {
    let label = deployment.metadata.labels.as_ref().and_then(|labels| labels.get(VERSION_LABEL));
    if let Some(version) = label {
        return Some(version.clone());
    }
    let containers = &deployment.spec.as_ref()?.template.spec.as_ref()?.containers;
    image_version(containers.first()?.image.as_deref()?).map(ToOwned::to_owned)
}

/// The tag of an image, else its digest. A colon before the last slash belongs to a registry's port.
fn image_version(image: &str) -> Option<&str> {
    let (name, digest) = image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
    let last = name.rsplit('/').next()?;
    last.split_once(':').map(|(_, tag)| tag).or(digest)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn reads_the_version_of_an_image() {
        for (image, want) in [
            ("localhost/weft-operator:dev", Some("dev")),
            ("weft-operator:1.2.3", Some("1.2.3")),
            ("registry.example:5000/weft/operator:1.2.3", Some("1.2.3")),
            ("registry.example:5000/weft/operator:1.2.3@sha256:ab", Some("1.2.3")),
            ("registry.example:5000/weft/operator@sha256:ab", Some("sha256:ab")),
            ("registry.example:5000/weft/operator", None),
        ] {
            assert_eq!(image_version(image), want, "{image}");
        }
    }

    #[test]
    fn tells_the_operator_s_version() {
        let deployment = |labels: serde_json::Value, image: &str| -> Deployment {
            serde_json::from_value(json!({
                "metadata": {"labels": labels},
                "spec": {
                    "selector": {},
                    "template": {"spec": {"containers": [{"name": "operator", "image": image}]}},
                },
            }))
            .unwrap()
        };
        for (name, read, version, outcome) in [
            (
                "label before image",
                Ok(Some(deployment(json!({VERSION_LABEL: "0.2.0"}), "weft-operator:dev"))),
                Some("0.2.0"),
                Outcome::Yes,
            ),
            ("image", Ok(Some(deployment(json!({}), "weft-operator:dev"))), Some("dev"), Outcome::Yes),
            ("image without tag", Ok(Some(deployment(json!({}), "weft-operator"))), None, Outcome::Unknown),
            ("not installed", Ok(None), None, Outcome::No),
            ("not readable", Err("forbidden".to_owned()), None, Outcome::Unknown),
        ] {
            let (part, got) = operator_part(read);
            assert_eq!((part.version.as_deref(), got), (version, outcome), "{name}");
            assert_eq!(part.reason.is_none(), version.is_some(), "{name}");
        }
    }

    #[test]
    fn shows_why_a_version_is_unknown() {
        let (part, _) = operator_part(Err("connection refused".to_owned()));
        assert_eq!(part.cells(), ["operator", "unknown: connection refused"]);
        assert_eq!(
            serde_json::to_value(part).unwrap(),
            json!({"component": "operator", "version": null, "reason": "connection refused"})
        );
    }
}
