//! HTTPRouteGroups.

use kube::{ResourceExt, core::DeserializeGuard};
use smi_crds::specs::v1alpha4::{HttpMatch, HttpRouteGroup};
use weft_policy::http::Conditions;

use super::Kind;
use crate::model::{GroupRef, RouteGroup, Snapshot};

/// HTTPRouteGroups of all namespaces. One that cannot be read does not stop the others.
#[derive(Debug)]
pub enum HttpRouteGroups {}

impl Kind for HttpRouteGroups {
    type Object = DeserializeGuard<HttpRouteGroup>;
    type Key = GroupRef;

    fn key(object: &Self::Object) -> Option<GroupRef> {
        Some(GroupRef { namespace: object.namespace()?, name: object.name_any() })
    }

    fn namespace(key: &GroupRef) -> &str {
        &key.namespace
    }

    fn apply(snapshot: &mut Snapshot, key: &GroupRef, object: &Self::Object) -> bool {
        let read = object.0.as_ref().map_err(|error| error as &(dyn std::error::Error + 'static));
        let group = match read.map(|object| (object, object.matches())) {
            Ok((object, Ok(matches))) => read_group(object, matches),
            Ok((_, Err(error))) => return ignore(snapshot, key, &error),
            Err(error) => return ignore(snapshot, key, error),
        };
        if snapshot.route_groups.get(key) == Some(&group) {
            return false;
        }
        snapshot.route_groups.insert(key.clone(), group);
        true
    }

    fn remove(snapshot: &mut Snapshot, key: &GroupRef) -> bool {
        snapshot.route_groups.remove(key).is_some()
    }

    fn keys(snapshot: &Snapshot) -> Vec<GroupRef> {
        snapshot.route_groups.keys().cloned().collect()
    }
}

fn ignore(snapshot: &mut Snapshot, key: &GroupRef, error: &(dyn std::error::Error + 'static)) -> bool {
    tracing::warn!(group = %key, error, "Ignored an HTTPRouteGroup that cannot be read");
    HttpRouteGroups::remove(snapshot, key)
}

fn read_group(object: &HttpRouteGroup, matches: &[HttpMatch]) -> RouteGroup {
    let generation = object.metadata.generation.unwrap_or_default();
    RouteGroup::new(object.uid().unwrap_or_default(), generation, matches.iter().map(conditions).collect())
}

fn conditions(written: &HttpMatch) -> Conditions {
    let headers = written.headers.iter().flat_map(|headers| headers.iter());
    Conditions {
        name: written.name.clone(),
        path_regex: written.path_regex.clone(),
        methods: written.methods.iter().flatten().map(|method| method.as_str().to_owned()).collect(),
        headers: headers.map(|(name, regex)| (name.to_owned(), regex.to_owned())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(spec: serde_json::Value) -> DeserializeGuard<HttpRouteGroup> {
        serde_json::from_value(serde_json::json!({
            "apiVersion": "specs.smi-spec.io/v1alpha4", "kind": "HTTPRouteGroup",
            "metadata": {"name": "insiders", "namespace": "shop", "uid": "1", "generation": 3},
            "spec": spec,
        }))
        .unwrap()
    }

    #[test]
    fn the_sample_is_accepted() {
        let sample = include_str!("../../../config/samples/split/insiders.yaml");
        let group = sample.split("---").next().unwrap();
        let group: HttpRouteGroup = serde_norway::from_str(group).unwrap();
        let group = read_group(&group, group.matches().unwrap());
        assert_eq!((group.problems(), group.matches().map(<[_]>::len)), (&[][..], Ok(2)));
    }

    #[test]
    fn reads_every_condition_and_leaves_when_unreadable() {
        let mut snapshot = Snapshot::default();
        let good = object(serde_json::json!({"matches": [
            {"name": "all", "pathRegex": "/a", "methods": ["GET", "*"], "headers": {"cookie": "x"}},
            {"name": "list", "headers": [{"cookie": "x"}, {"host": "y"}]},
            {"name": "none"},
        ]}));
        let key = HttpRouteGroups::key(&good).unwrap();
        assert!(HttpRouteGroups::apply(&mut snapshot, &key, &good));
        assert!(!HttpRouteGroups::apply(&mut snapshot, &key, &good), "nothing new");
        let pair = |name: &str, regex: &str| (name.to_owned(), regex.to_owned());
        let named = |name: &str| Conditions { name: name.to_owned(), ..Conditions::default() };
        let want = [
            Conditions {
                path_regex: Some("/a".to_owned()),
                methods: vec!["GET".to_owned(), "*".to_owned()],
                headers: vec![pair("cookie", "x")],
                ..named("all")
            },
            Conditions { headers: vec![pair("cookie", "x"), pair("host", "y")], ..named("list") },
            named("none"),
        ];
        assert_eq!(snapshot.route_groups[&key].matches(), Ok(&want[..]));

        let bad = object(serde_json::json!({"matches": [{"pathRegex": "/a"}]}));
        assert!(HttpRouteGroups::apply(&mut snapshot, &key, &bad));
        assert!(snapshot.route_groups.is_empty());
    }
}
