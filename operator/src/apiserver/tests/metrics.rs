//! Objects, lists, edges and tables.

use http::StatusCode;
use serde_json::json;

use super::{Setup, cells};

#[tokio::test]
async fn objects_lists_and_edges_are_as_specified() {
    let setup = Setup::new();
    for (name, path) in [
        ("deployment", "v1alpha1/namespaces/demo/deployments/web"),
        ("deployment_without_traffic", "v1alpha2/namespaces/demo/deployments/idle"),
        ("pods", "v1alpha1/namespaces/demo/pods"),
        ("deployments_selected", "v1alpha1/namespaces/demo/deployments?labelSelector=app%3Dweb"),
        ("edges", "v1alpha2/namespaces/demo/deployments/web/edges"),
        ("pod_edges", "v1alpha1/namespaces/demo/pods/web-0/edges"),
    ] {
        let (code, answer) = setup.get(path).await;
        assert_eq!(code, StatusCode::OK, "{name}: {answer}");
        insta::assert_json_snapshot!(name, answer);
    }
}

#[tokio::test]
async fn trafficmetrics_read_well() {
    let setup = Setup::new();
    let table = setup.table("v1alpha2/namespaces/demo/trafficmetrics?limit=500").await;
    insta::assert_json_snapshot!("table", table);
    let want = [
        ["web", "from *", "90.00%", "3.3", "8ms", "9ms", "56ms", "3s"],
        ["web", "to *", "99.02%", "10.2", "8ms", "9ms", "9ms", "3s"],
        ["web", "to catalog-v1 (catalog)", "99.66%", "10.0", "8ms", "9ms", "9ms", "3s"],
        ["web", "to web", "100.00%", "0.2", "8ms", "9ms", "9ms", "3s"],
        ["web", "from web", "100.00%", "0.2", "8ms", "9ms", "9ms", "3s"],
    ];
    assert_eq!(cells(&table), want);
}

#[tokio::test]
async fn a_table_shows_objects_without_traffic() {
    let setup = Setup::new();
    let table = setup.table("v1alpha1/namespaces/demo/deployments").await;
    let want = [
        ["idle", "from *", "-", "0.0", "-", "-", "-", "-"],
        ["web", "from *", "90.00%", "3.3", "8ms", "9ms", "56ms", "3s"],
    ];
    assert_eq!(cells(&table), want);
    assert_eq!(table["metadata"]["continue"], "more");
}

#[tokio::test]
async fn names_in_a_list_are_unique_and_can_be_asked_for() {
    let setup = Setup::new();
    let (_, list) = setup.get("v1alpha1/namespaces/demo/trafficmetrics").await;
    let items = list["items"].as_array().unwrap();
    let mut names: Vec<&str> = items.iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect();
    for (name, item) in names.iter().zip(items) {
        let (code, got) = setup.get(&format!("v1alpha1/namespaces/demo/trafficmetrics/{name}")).await;
        assert_eq!((code, &got), (StatusCode::OK, item), "{name}");
    }
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), items.len());
    let (_, short) = setup.get("v1alpha1/namespaces/demo/trafficmetrics/web").await;
    assert_eq!(short["metadata"]["name"], "deployment:web");
}

#[tokio::test]
async fn what_a_table_includes() {
    let setup = Setup::new();
    for (include, want) in [
        ("None", json!(null)),
        ("Metadata", json!("PartialObjectMetadata")),
        ("", json!("PartialObjectMetadata")),
        ("Object", json!("TrafficMetrics")),
    ] {
        let table = setup.table(&format!("v1alpha1/namespaces/demo/pods?includeObject={include}")).await;
        assert_eq!(table["rows"][0]["object"]["kind"], want, "{include}");
    }
}

#[tokio::test]
async fn parameters_are_passed_to_the_list_of_objects() {
    let setup = Setup::new();
    let path = "v1alpha1/namespaces/demo/deployments?labelSelector=app%3Dweb&fieldSelector=metadata.name%3Dweb&limit=3&continue=x";
    let (code, _) = setup.get(path).await;
    assert_eq!(code, StatusCode::OK);
    let asked = setup.cluster.asked();
    let (path, _) = asked.last().unwrap();
    for part in ["labelSelector=app%3Dweb", "fieldSelector=metadata.name%3Dweb", "limit=3", "continue=x"] {
        assert!(path.contains(part), "{part} in {path}");
    }
}

#[tokio::test]
async fn all_namespaces() {
    let setup = Setup::new();
    let (_, list) = setup.get("v1alpha1/deployments").await;
    let namespaces: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|item| &item["metadata"]["namespace"]).collect();
    assert_eq!(namespaces, ["demo", "other"]);
    let (_, list) = setup.get("v1alpha1/trafficmetrics").await;
    assert_eq!(list["items"].as_array().unwrap().len(), 5);
    let (_, list) = setup.get("v1alpha1/namespaces/other/trafficmetrics").await;
    assert_eq!(list["items"], json!([]));
}

#[tokio::test]
async fn fields_of_trafficmetrics() {
    let setup = Setup::new();
    for (selector, want) in [
        ("metadata.name%3Ddeployment:web", 1),
        ("metadata.name%3D%3Ddeployment:web,metadata.namespace%3Dother", 0),
        ("metadata.name!%3Ddeployment:web", 4),
    ] {
        let (_, list) = setup.get(&format!("v1alpha1/trafficmetrics?fieldSelector={selector}")).await;
        assert_eq!(list["items"].as_array().unwrap().len(), want, "{selector}");
    }
}

#[tokio::test]
async fn labels_of_trafficmetrics_are_those_of_their_objects() {
    let setup = Setup::new();
    for (selector, want) in [("app%3Dweb", 5), ("app%3Dnone", 0)] {
        let (code, list) =
            setup.get(&format!("v1alpha1/namespaces/demo/trafficmetrics?labelSelector={selector}")).await;
        assert_eq!(code, StatusCode::OK, "{selector}");
        assert_eq!(list["items"].as_array().unwrap().len(), want, "{selector}");
    }
}

#[tokio::test]
async fn refusals_are_statuses() {
    let setup = Setup::new();
    let table = [
        (
            "GET",
            "v1alpha1/namespaces/demo/deployments/none",
            404,
            "NotFound",
            r#"deployments.metrics.smi-spec.io "none" not found"#,
        ),
        (
            "GET",
            "v1alpha1/namespaces/demo/deployments/none/edges",
            404,
            "NotFound",
            r#"deployments.metrics.smi-spec.io "none" not found"#,
        ),
        (
            "GET",
            "v1alpha1/namespaces/demo/trafficmetrics/none",
            404,
            "NotFound",
            r#"trafficmetrics.metrics.smi-spec.io "none" not found"#,
        ),
        (
            "GET",
            "v1alpha1/namespaces/demo/ingresses",
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        ("GET", "v1alpha9/namespaces/demo/pods", 404, "NotFound", "the server could not find the requested resource"),
        ("GET", "v1alpha9", 404, "NotFound", "the server could not find the requested resource"),
        (
            "GET",
            "v1alpha1/namespaces/demo/pods/web-0/log",
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        (
            "GET",
            "v1alpha1/namespaces/demo/trafficmetrics/web/edges",
            404,
            "NotFound",
            "the server could not find the requested resource",
        ),
        (
            "POST",
            "v1alpha1/namespaces/demo/pods",
            405,
            "MethodNotAllowed",
            r#"create is not supported on resources of kind "pods.metrics.smi-spec.io""#,
        ),
        (
            "DELETE",
            "v1alpha1/namespaces/demo/pods/web-0",
            405,
            "MethodNotAllowed",
            r#"delete is not supported on resources of kind "pods.metrics.smi-spec.io""#,
        ),
        (
            "GET",
            "v1alpha1/namespaces/demo/pods?watch=true",
            405,
            "MethodNotAllowed",
            r#"watch is not supported on resources of kind "pods.metrics.smi-spec.io""#,
        ),
        (
            "POST",
            "v1alpha1",
            405,
            "MethodNotAllowed",
            "the server does not allow this method on the requested resource",
        ),
        (
            "GET",
            "v1alpha1/namespaces/demo/pods?limit=x",
            400,
            "BadRequest",
            "Failed to deserialize query string: limit: invalid digit found in string",
        ),
        (
            "GET",
            "v1alpha1/namespaces/demo/pods?includeObject=x",
            400,
            "BadRequest",
            "Failed to deserialize query string: includeObject: unknown variant `x`, expected one of `None`, `Metadata`, `Object`",
        ),
        (
            "GET",
            "v1alpha1/trafficmetrics?fieldSelector=spec.x%3D1",
            400,
            "BadRequest",
            r#"fieldSelector: "spec.x=1" is not a field that can be selected by"#,
        ),
        ("GET", "v1alpha1/namespaces/demo/deployments?continue=Expired", 410, "Expired", "Expired"),
        (
            "GET",
            "v1alpha1/namespaces/demo/statefulsets",
            503,
            "ServiceUnavailable",
            "the API server could not be asked",
        ),
    ];
    for (method, path, code, reason, message) in table {
        let (got, status) = setup.request(method, &format!("/apis/metrics.smi-spec.io/{path}"), &[]).await;
        assert_eq!(got, code, "{method} {path}: {status}");
        assert_eq!(status["kind"], "Status", "{method} {path}");
        assert_eq!(status["apiVersion"], "v1", "{method} {path}");
        assert_eq!(status["status"], "Failure", "{method} {path}");
        assert_eq!(status["code"], code, "{method} {path}");
        assert_eq!(status["reason"], reason, "{method} {path}");
        assert_eq!(status["message"], message, "{method} {path}");
    }
    let (_, status) = setup.get("v1alpha1/namespaces/demo/pods/none").await;
    assert_eq!(status["details"], json!({ "name": "none", "group": "metrics.smi-spec.io", "kind": "pods" }));
}

#[tokio::test]
async fn representations() {
    let setup = Setup::new();
    let path = "/apis/metrics.smi-spec.io/v1alpha1/namespaces/demo/pods";
    for (accept, want) in [
        ("", Some("TrafficMetricsList")),
        ("*/*", Some("TrafficMetricsList")),
        ("application/vnd.kubernetes.protobuf, application/json", Some("TrafficMetricsList")),
        (
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io,application/json",
            Some("TrafficMetricsList"),
        ),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io", Some("Table")),
        ("application/json; as=Table; v=v1; g=meta.k8s.io", Some("Table")),
        ("application/json;as=Table;v=v2;g=meta.k8s.io", None),
        ("application/yaml", None),
    ] {
        let (code, answer) = setup.request("GET", path, &[("accept", accept)]).await;
        match want {
            Some(kind) => assert_eq!((code, &answer["kind"]), (StatusCode::OK, &json!(kind)), "{accept}"),
            None => {
                assert_eq!((code, &answer["reason"]), (StatusCode::NOT_ACCEPTABLE, &json!("NotAcceptable")), "{accept}")
            }
        }
    }
}
