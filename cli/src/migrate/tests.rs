use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::core::Status;
use serde_json::json;

use super::plan::{Plan, plan};
use super::*;

fn definition(stored: &[&str], storage: &str) -> CustomResourceDefinition {
    let version = |name: &str| json!({"name": name, "served": true, "storage": name == storage});
    let versions = ["v1alpha1", "v1alpha2", "v1alpha4"].map(version);
    serde_json::from_value(json!({
        "metadata": {"name": "trafficsplits.split.smi-spec.io"},
        "spec": {
            "group": "split.smi-spec.io",
            "names": {"kind": "TrafficSplit", "plural": "trafficsplits"},
            "scope": "Namespaced",
            "versions": versions,
        },
        "status": {"storedVersions": stored},
    }))
    .unwrap()
}

fn refusal(code: u16, message: &str) -> kube::Error {
    kube::Error::Api(Status::failure(message, "").with_code(code).boxed())
}

/// What is planned, in words.
fn planned(read: Result<Option<CustomResourceDefinition>, kube::Error>) -> String {
    match plan(&read) {
        Plan::Tell { state, found, advice } => format!("{state}: {found}: {advice}"),
        Plan::Done { kind } => format!("done in {}", kind.api_version),
        Plan::Migrate { kind, older } => format!("{} {} from {}", kind.plural, kind.api_version, older.join(" ")),
    }
}

#[test]
fn only_kinds_with_older_objects_are_migrated() {
    for (name, read, want) in [
        ("all new", Ok(Some(definition(&["v1alpha4"], "v1alpha4"))), "done in split.smi-spec.io/v1alpha4"),
        (
            "some old",
            Ok(Some(definition(&["v1alpha2", "v1alpha1", "v1alpha4"], "v1alpha4"))),
            "trafficsplits split.smi-spec.io/v1alpha4 from v1alpha2 v1alpha1",
        ),
        (
            "another mesh's definition",
            Ok(Some(definition(&["v1alpha2"], "v1alpha2"))),
            "done in split.smi-spec.io/v1alpha2",
        ),
        ("not installed", Ok(None), "yes: the kind is not installed, so nothing is stored: "),
        (
            "no storage version",
            Ok(Some(definition(&[], "v2"))),
            "unknown: it names no version that objects are stored in: try again",
        ),
        (
            "forbidden",
            Err(refusal(403, "you may not")),
            "unknown: you may not: use an account that may get customresourcedefinitions",
        ),
        ("an API server in trouble", Err(refusal(500, "etcd is away")), "unknown: etcd is away: try again"),
    ] {
        assert_eq!(planned(read), want, "{name}");
    }
}

mod by_a_scripted_api_server {
    use std::sync::{Arc, Mutex};

    use http::{Method, Request, Response};
    use http_body_util::BodyExt;
    use kube::client::Body;
    use serde_json::Value;

    use super::*;

    /// What the API server was asked to write.
    type Writes = Arc<Mutex<Vec<String>>>;

    /// An API server with two pages of objects that are stored in an older version, which answers `status` to writes at `refused`.
    fn server(refused: &'static str, status: u16) -> (Client, Writes) {
        let writes = Writes::default();
        let log = Arc::clone(&writes);
        let service = tower::service_fn(move |request: Request<Body>| {
            let log = Arc::clone(&log);
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await?.to_bytes();
                let query = parts.uri.query().unwrap_or_default();
                let path = parts.uri.path();
                let is_refused = path.contains(refused) && (parts.method != Method::GET || refused == LIST);
                if parts.method == Method::PATCH {
                    log.lock().unwrap().push(format!("{path} {}", String::from_utf8_lossy(&body)));
                }
                let object = |name: &str| json!({"metadata": {"namespace": "shop", "name": name}});
                let answer: Value = if is_refused {
                    json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": status,
                        "message": "no", "reason": ""})
                } else if path.contains("customresourcedefinitions") {
                    let mut definition =
                        serde_json::to_value(definition(&["v1alpha2", "v1alpha4"], "v1alpha4")).unwrap();
                    definition["metadata"]["resourceVersion"] = "7".into();
                    definition
                } else if path.ends_with("/trafficsplits") {
                    let (items, more) = if query.contains("continue=next") { ("b", "") } else { ("a", "next") };
                    json!({"kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                        "metadata": {"continue": more}, "items": [object(items)]})
                } else {
                    object("a")
                };
                let code = if is_refused { status } else { 200 };
                let response = Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()))?;
                Ok::<_, Box<dyn std::error::Error + Send + Sync>>(response)
            }
        });
        (Client::new(service, "default"), writes)
    }

    async fn migrated(refused: &'static str, status: u16, check_only: bool) -> (Migration, Vec<String>) {
        let (client, writes) = server(refused, status);
        let migration = migrate_kind(&client, "trafficsplits.split.smi-spec.io".to_owned(), check_only).await;
        let writes = writes.lock().unwrap().clone();
        (migration, writes)
    }

    const LIST: &str = "v1alpha4/trafficsplits";
    const A: &str = "/apis/split.smi-spec.io/v1alpha4/namespaces/shop/trafficsplits/a {}";
    const B: &str = "/apis/split.smi-spec.io/v1alpha4/namespaces/shop/trafficsplits/b {}";
    const TRIM: &str = r#"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/trafficsplits.split.smi-spec.io/status {"metadata":{"resourceVersion":"7"},"status":{"storedVersions":["v1alpha4"]}}"#;

    #[tokio::test]
    async fn every_object_of_every_page_is_written_and_then_the_versions_are_trimmed() {
        let (migration, writes) = migrated("nothing", 0, false).await;
        assert_eq!(writes, [A, B, TRIM]);
        assert_eq!((migration.state, migration.rewritten), (Outcome::Yes, 2), "{migration:?}");
        assert_eq!(migration.found, "every object is stored in v1alpha4, none in v1alpha2 any more");
    }

    #[tokio::test]
    async fn a_check_writes_nothing() {
        let (migration, writes) = migrated("nothing", 0, true).await;
        assert_eq!(writes, [""; 0]);
        assert_eq!((migration.state, &*migration.advice), (Outcome::No, "run: weft migrate-storage"));
        assert_eq!(migration.older_versions, ["v1alpha2"]);
    }

    #[tokio::test]
    async fn what_stops_it_is_said_with_what_to_do_and_nothing_is_trimmed() {
        for (name, refused, status, writes, state, found, advice) in [
            (
                "may not list",
                LIST,
                403,
                &[][..],
                Outcome::Unknown,
                "the objects cannot be listed: no; objects may still be stored in v1alpha2",
                "use an account that may list trafficsplits.split.smi-spec.io in all namespaces",
            ),
            (
                "the operator is away",
                LIST,
                500,
                &[],
                Outcome::Unknown,
                "the objects cannot be listed: no; objects may still be stored in v1alpha2",
                "older objects are converted by the operator: weft check says whether it works; then run this again",
            ),
            (
                "may not patch",
                "shop/trafficsplits/b",
                403,
                &[A, B],
                Outcome::Unknown,
                "TrafficSplit shop/b cannot be written: no; objects may still be stored in v1alpha2",
                "use an account that may patch trafficsplits.split.smi-spec.io",
            ),
            (
                "an object is refused",
                "shop/trafficsplits/b",
                422,
                &[A, B],
                Outcome::No,
                "TrafficSplit shop/b cannot be written: no; objects may still be stored in v1alpha2",
                "change or delete that object, then run this again",
            ),
            (
                "an object is gone",
                "shop/trafficsplits/b",
                404,
                &[A, B, TRIM],
                Outcome::Yes,
                "every object is stored in v1alpha4, none in v1alpha2 any more",
                "",
            ),
            (
                "may not trim",
                "/status",
                403,
                &[A, B, TRIM],
                Outcome::Unknown,
                "every object was written in v1alpha4, but the stored versions cannot be noted: no",
                "use an account that may patch customresourcedefinitions/status of apiextensions.k8s.io",
            ),
            (
                "changed meanwhile",
                "/status",
                409,
                &[A, B, TRIM],
                Outcome::Unknown,
                "every object was written in v1alpha4, but the definition was changed meanwhile: no",
                "run this again",
            ),
        ] {
            let (migration, written) = migrated(refused, status, false).await;
            assert_eq!(written, writes, "{name}");
            assert_eq!((migration.state, &*migration.found, &*migration.advice), (state, found, advice), "{name}");
        }
    }
}
