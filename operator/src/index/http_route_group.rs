//! HTTPRouteGroups.

use smi_crds::specs::v1alpha4::{HttpMatch, HttpRouteGroup};
use weft_policy::http::Conditions;

use super::{
    Concern,
    smi::{SmiObject, identity},
};
use crate::model::{GroupRef, GroupRemark, ObjectRef, RouteGroup, SmiKind, Snapshot, Unreadable};

impl SmiObject for HttpRouteGroup {
    const KIND: SmiKind = SmiKind::HttpRouteGroup;
    const CONCERNS: &'static [Concern] = &[
        Concern::Here(SmiKind::HttpRouteGroup),
        Concern::Here(SmiKind::TrafficSplit),
        Concern::Here(SmiKind::TrafficTarget),
    ];

    fn put(&self, snapshot: &mut Snapshot, name: &ObjectRef) -> bool {
        let (uid, generation) = identity(self);
        let (matches, remarks) = match self.matches() {
            Ok(matches) => (matches.iter().map(conditions).collect(), matches.iter().flat_map(remarks).collect()),
            Err(error) => {
                let field = "spec.matches".to_owned();
                let unreadable = Unreadable { uid, generation, field, error: error.to_string() };
                Self::take(snapshot, name);
                return snapshot.unreadable.insert(name.clone(), unreadable.clone()) != Some(unreadable);
            }
        };
        let (name, group) = (group_ref(name), RouteGroup::new(uid, generation, matches).with_remarks(remarks));
        if snapshot.route_groups.get(&name) == Some(&group) {
            return false;
        }
        snapshot.route_groups.insert(name, group);
        true
    }

    fn take(snapshot: &mut Snapshot, name: &ObjectRef) -> bool {
        snapshot.route_groups.remove(&group_ref(name)).is_some()
    }

    fn names(snapshot: &Snapshot) -> Vec<ObjectRef> {
        snapshot.route_groups.keys().map(|name| ObjectRef::new(Self::KIND, &name.namespace, &name.name)).collect()
    }
}

fn group_ref(name: &ObjectRef) -> GroupRef {
    GroupRef { namespace: name.namespace.clone(), name: name.name.clone() }
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

fn remarks(written: &HttpMatch) -> Vec<GroupRemark> {
    let problems = written.headers.iter().flat_map(|headers| headers.problems());
    problems.map(|problem| GroupRemark { name: written.name.clone(), problem }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Kind, Smi, Stored};

    type HttpRouteGroups = Smi<HttpRouteGroup>;

    fn object(spec: serde_json::Value) -> Stored<HttpRouteGroup> {
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
        let group = RouteGroup::new(String::new(), 1, group.matches().unwrap().iter().map(conditions).collect());
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
        assert_eq!(snapshot.route_groups[&group_ref(&key)].matches(), Ok(&want[..]));

        let doubtful =
            object(serde_json::json!({"matches": [{"name": "odd", "headers": {"cookie": "x", "Cookie": "y"}}]}));
        assert!(HttpRouteGroups::apply(&mut snapshot, &key, &doubtful));
        let group = &snapshot.route_groups[&group_ref(&key)];
        let want = [Conditions { headers: vec![pair("Cookie", "y"), pair("cookie", "x")], ..named("odd") }];
        assert_eq!((group.matches(), group.remarks().len()), (Ok(&want[..]), 1), "both must match, as before");

        let bad = object(serde_json::json!({"matches": [{"pathRegex": "/a"}]}));
        assert!(HttpRouteGroups::apply(&mut snapshot, &key, &bad));
        assert!(snapshot.route_groups.is_empty());
    }
}
