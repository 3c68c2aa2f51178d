//! What the API server refuses by the schema alone, with the field named.

use anyhow::ensure;
use e2e::run;
use http::Method;
use serde_json::json;

#[test]
fn refuses_what_cannot_be_meant_and_names_the_field() {
    run("schema", async |ns| {
        let backend = |weight: i64| json!([{"service": "v1", "weight": weight}]);
        for (name, spec, field) in [
            ("negative weight", json!({"service": "web", "backends": backend(-1)}), "spec.backends[0].weight"),
            (
                "weight as text",
                json!({"service": "web", "backends": [{"service": "v1", "weight": "1"}]}),
                "spec.backends[0].weight",
            ),
            ("empty backends", json!({"service": "web", "backends": []}), "spec.backends"),
            ("no backends", json!({"service": "web"}), "spec.backends"),
            ("no root", json!({"backends": backend(1)}), "spec.service"),
            ("empty root", json!({"service": "", "backends": backend(1)}), "spec.service"),
            (
                "backend without a name",
                json!({"service": "web", "backends": [{"weight": 1}]}),
                "spec.backends[0].service",
            ),
            ("unknown field", json!({"service": "web", "backends": backend(1), "wieghts": 1}), "spec.wieghts"),
        ] {
            let split = json!({
                "apiVersion": "split.smi-spec.io/v1alpha4",
                "kind": "TrafficSplit",
                "metadata": {"name": "web"},
                "spec": spec,
            });
            let path = format!(
                "/apis/split.smi-spec.io/v1alpha4/namespaces/{}/trafficsplits?fieldValidation=Strict&dryRun=All",
                ns.name
            );
            let json = [("content-type", "application/json")];
            let reply = ns.cluster.request(Method::POST, &path, &json, split.to_string()).await?;
            ensure!(reply.status.is_client_error(), "{name}: status {}", reply.status);
            ensure!(reply.body.contains(field), "{name}: {field} is not named in {}", reply.body);
        }
        Ok(())
    });
}
