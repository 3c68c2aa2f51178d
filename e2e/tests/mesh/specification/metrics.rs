//! The examples of the text on TrafficMetrics: answers of the API, which are compared with what it says of real traffic, and roles
//! of those who ask.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use e2e::{TestNamespace, eventually, harness::Manifest, run};
use http::{Method, StatusCode};
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::ResourceExt;
use serde_json::{Value, json};

use super::example;

const TEXT: &str = "traffic-metrics.v1alpha1";
/// Time for a window with the traffic that was sent.
const LIMIT: Duration = Duration::from_secs(20);
/// Fields whose values are words of the specification; all others are names and numbers of the text's own application.
const WORDS: [&str; 7] = ["kind", "direction", "side", "unit", "window", "namespaced", "verbs"];

/// Whether an answer has all that the example has: the fields at every depth, the words, and the entries of lists by their name.
fn resembles(path: &str, answer: &Value, example: &Value) -> Result<()> {
    match example {
        Value::Object(fields) if fields.is_empty() => {
            ensure!(answer.as_object().is_some_and(serde_json::Map::is_empty), "{path} should be empty: {answer}");
        }
        Value::Object(fields) => {
            for (field, example) in fields {
                let path = format!("{path}.{field}");
                let answer = answer.get(field).with_context(|| format!("{path} is missing in {answer}"))?;
                if WORDS.contains(&field.as_str()) {
                    ensure!(answer == example, "{path} is {answer}, not {example}");
                } else {
                    resembles(&path, answer, example)?;
                }
            }
        }
        Value::Array(entries) => {
            let answers = answer.as_array().with_context(|| format!("{path} is no list: {answer}"))?;
            for entry in entries {
                let name = &entry["name"];
                let found = answers.iter().find(|answer| answer["name"] == *name);
                let found = found.with_context(|| format!("{path} has no {name}: {answer}"))?;
                resembles(&format!("{path}[{name}]"), found, entry)?;
            }
        }
        // A name, a time or a quantity.
        Value::String(_) | Value::Number(_) | Value::Bool(_) | Value::Null => {
            ensure!(answer.is_string() || answer.is_number(), "{path} is {answer}");
        }
    }
    Ok(())
}

async fn get(ns: &TestNamespace, path: &str) -> Result<Value> {
    let root = "/apis/metrics.smi-spec.io/v1alpha1";
    let path = match path {
        path if path.starts_with('/') => path.to_owned(),
        path => format!("{root}/namespaces/{}/{path}", ns.name),
    };
    ns.cluster.get(&path).await?.json()
}

/// The item of a list whose edge has the direction and the side of the example's.
fn like(list: &Value, example: &Value) -> Result<Value> {
    let items = list["items"].as_array().with_context(|| format!("no list: {list}"))?;
    let is_it = |item: &&Value| ["direction", "side"].iter().all(|field| item["edge"][field] == example["edge"][field]);
    items.iter().find(is_it).cloned().ok_or_else(|| anyhow!("none of {} items is like {example}: {list}", items.len()))
}

#[test]
fn the_metrics_api_answers_in_the_form_of_every_example() {
    run("spec-metrics", async |ns| {
        let client = ns.web(&["v1", "v2"]).await?;
        ns.split("web", "web").backend("v1", 1).backend("v2", 1).programmed().await?;
        client.get("http://web:8080/", 100).await?;
        let (caller, server) = (client.pod.name_any(), ns.running_pod("v1").await?.name_any());
        let (caller, server) = (format!("pods/{caller}"), format!("pods/{server}"));
        for (name, path, is_item) in [
            ("01-metrics", format!("{caller}/edges"), true),
            ("02-edge-to", format!("{caller}/edges"), true),
            ("03-edge-from", format!("{server}/edges"), true),
            ("04-edge-from-all", server.clone(), false),
            ("05-list", "pods".to_owned(), false),
            ("06-list-selected", "pods?labelSelector=app%3Dweb".to_owned(), false),
            ("07-list-edges", format!("{caller}/edges"), false),
            (
                "08-api-service",
                "/apis/apiregistration.k8s.io/v1/apiservices/v1alpha1.metrics.smi-spec.io".to_owned(),
                false,
            ),
        ] {
            let path_of_example = example(&format!("{TEXT}/answers"), name);
            let [manifest] = &Manifest::read(&path_of_example)?[..] else { anyhow::bail!("{name} is one answer") };
            eventually(LIMIT, name, async || {
                let answer = get(ns, &path).await?;
                let answer = if is_item { like(&answer, &manifest.0)? } else { answer };
                resembles(name, &answer, &manifest.0)
            })
            .await?;
        }
        Ok(())
    });
}

/// Status of a request by the namespace's default service account.
async fn status(ns: &TestNamespace, path: &str) -> Result<StatusCode> {
    let user = format!("system:serviceaccount:{}:default", ns.name);
    let headers = [("impersonate-user", user.as_str()), ("impersonate-group", "system:authenticated")];
    let path = format!("/apis/metrics.smi-spec.io/v1alpha1/namespaces/{}/{path}", ns.name);
    Ok(ns.cluster.request(Method::GET, &path, &headers, String::new()).await?.status)
}

#[test]
fn the_roles_of_the_text_show_what_they_say() {
    run("spec-roles", async |ns| {
        let binding = json!({
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "traffic-metrics"},
            "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": ns.name}],
        });
        ns.apply::<RoleBinding>("traffic-metrics", binding).await?;
        for (name, pods, edges) in [
            ("11-role-all", StatusCode::OK, StatusCode::NOT_FOUND),
            // Whoever may not ask for a pod is not told whether there is one.
            ("12-role-edges-of-pods", StatusCode::FORBIDDEN, StatusCode::NOT_FOUND),
        ] {
            ns.apply_file(&example(TEXT, name)).await?;
            eventually(LIMIT, name, async || {
                let got = (status(ns, "pods").await?, status(ns, "pods/nobody/edges").await?);
                ensure!(got == (pods, edges), "pods and edges of one answer {got:?}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    });
}

#[test]
fn an_answer_that_lacks_something_does_not_resemble() {
    let example = json!({"kind": "A", "edge": {"side": "client", "resource": {}}, "metrics": [{"name": "p50", "unit": "s", "value": "1"}]});
    let with = |path: &str, value: Value| {
        let mut answer = example.clone();
        *answer.pointer_mut(path).unwrap() = value;
        answer
    };
    for (name, answer, want) in [
        ("the same", example.clone(), true),
        ("another number", with("/metrics/0/value", json!("7m")), true),
        ("another kind", with("/kind", json!("B")), false),
        ("another unit", with("/metrics/0/unit", json!("ms")), false),
        ("no metric", with("/metrics", json!([])), false),
        ("no edge", json!({"kind": "A", "metrics": example["metrics"]}), false),
        ("a resource", with("/edge/resource", json!({"kind": "Pod"})), false),
    ] {
        assert_eq!(resembles("a", &answer, &example).is_ok(), want, "{name}");
    }
}
