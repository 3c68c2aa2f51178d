//! Whose headers are believed.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use serde_json::json;

use super::{Authority, Setup, peer, send};
use crate::apiserver::authentication::{Authenticator, InvalidConfiguration, Unauthenticated};

fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert("x-remote-user", HeaderValue::from_static("alice"));
    headers
}

#[test]
fn only_the_api_server_is_believed() {
    let authority = Authority::new();
    let authenticator = Authenticator::new();
    let right = || Some(peer(authority.client("front-proxy-client")));
    let early = authenticator.authenticate(right().as_ref(), &headers());
    assert!(matches!(early, Err(Unauthenticated::NoConfiguration)), "{early:?}");

    authenticator.configure(&authority.config_map()).unwrap();
    type Expected = fn(&Unauthenticated) -> bool;
    let invalid: Expected = |error| matches!(error, Unauthenticated::Certificate(_));
    let table: [(&str, Option<crate::https::Peer>, HeaderMap, Option<Expected>); 7] = [
        ("right", right(), headers(), None),
        ("connection without TLS", None, headers(), Some(invalid)),
        ("no certificate", Some(peer(vec![])), headers(), Some(invalid)),
        ("other authority", Some(peer(Authority::new().client("front-proxy-client"))), headers(), Some(invalid)),
        (
            "other name",
            Some(peer(authority.client("kubelet"))),
            headers(),
            Some(|error| matches!(error, Unauthenticated::CommonName(name) if name == "kubelet")),
        ),
        ("no user", right(), HeaderMap::new(), Some(|error| matches!(error, Unauthenticated::NoUser))),
        (
            "not text",
            right(),
            [("x-remote-user".parse().unwrap(), HeaderValue::from_bytes(b"\xff").unwrap())].into_iter().collect(),
            Some(|error| matches!(error, Unauthenticated::Header(_))),
        ),
    ];
    for (name, peer, headers, refused) in table {
        match (authenticator.authenticate(peer.as_ref(), &headers), refused) {
            (Ok(user), None) => assert_eq!(user.name, "alice", "{name}"),
            (Err(error), Some(expected)) => assert!(expected(&error), "{name}: {error}"),
            (got, _) => panic!("{name}: {got:?}"),
        }
    }

    let any_name = [("requestheader-allowed-names".to_owned(), "[]".to_owned())];
    authenticator.configure(&authority.config_map().into_iter().chain(any_name).collect()).unwrap();
    let other = peer(authority.client("kubelet"));
    assert!(authenticator.authenticate(Some(&other), &headers()).is_ok(), "without names any certificate will do");
}

#[test]
fn rotation() {
    let (old, new) = (Authority::new(), Authority::new());
    let authenticator = Authenticator::new();
    let client = peer(old.client("front-proxy-client"));
    authenticator.configure(&old.config_map()).unwrap();
    assert!(authenticator.authenticate(Some(&client), &headers()).is_ok());

    let mut broken = new.config_map();
    broken.insert("requestheader-allowed-names".into(), "front-proxy-client".into());
    let refused = authenticator.configure(&broken);
    assert!(matches!(refused, Err(InvalidConfiguration::List { .. })), "{refused:?}");
    assert!(authenticator.authenticate(Some(&client), &headers()).is_ok(), "what cannot be read changes nothing");

    authenticator.configure(&new.config_map()).unwrap();
    assert!(authenticator.authenticate(Some(&client), &headers()).is_err(), "a connection outlives its authority");
    let client = peer(new.client("front-proxy-client"));
    assert!(authenticator.authenticate(Some(&client), &headers()).is_ok());
    authenticator.clear();
    assert!(!authenticator.is_configured());
    assert!(authenticator.authenticate(Some(&client), &headers()).is_err());
}

#[test]
fn configurations_that_cannot_be_read() {
    type Expected = fn(&InvalidConfiguration) -> bool;
    let table: [(&str, &str, Option<&str>, Expected); 4] = [
        ("no roots", "requestheader-client-ca-file", None, |e| matches!(e, InvalidConfiguration::Missing(_))),
        ("empty roots", "requestheader-client-ca-file", Some(""), |e| matches!(e, InvalidConfiguration::Roots(_))),
        ("no list", "requestheader-group-headers", Some("X"), |e| matches!(e, InvalidConfiguration::List { .. })),
        ("no header", "requestheader-uid-headers", Some(r#"["a b"]"#), |e| {
            matches!(e, InvalidConfiguration::HeaderName { .. })
        }),
    ];
    for (name, key, value, expected) in table {
        let mut data = Authority::new().config_map();
        data.remove(key);
        data.extend(value.map(|value| (key.to_owned(), value.to_owned())));
        match Authenticator::new().configure(&data) {
            Err(error) => assert!(expected(&error), "{name}: {error:?}"),
            Ok(()) => panic!("{name}"),
        }
    }
}

#[tokio::test]
async fn nobody_gets_anything_without_a_certificate() {
    let setup = Setup::new();
    for path in ["/apis", "/openapi/v2", "/apis/metrics.smi-spec.io/v1alpha1/namespaces/demo/pods", "/none"] {
        let request =
            Request::get(path).header("x-remote-user", "system:admin").header("x-remote-group", "system:masters");
        let (code, status) = send(&setup.api, request.body(Body::empty()).unwrap()).await;
        assert_eq!(code, StatusCode::UNAUTHORIZED, "{path}");
        assert_eq!((&status["kind"], &status["reason"]), (&json!("Status"), &json!("Unauthorized")), "{path}");
    }
    assert_eq!(setup.cluster.asked(), []);
}
