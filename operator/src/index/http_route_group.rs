//! HTTPRouteGroups.

use smi_crds::specs::v1alpha4::{HttpMatch, HttpRouteGroup};
use weft_policy::http::Conditions;

use super::{
    Concern, DecodeError,
    smi::{SmiObject, identity},
};
use crate::model::{GroupRef, GroupRemark, ObjectRef, RouteGroup, SmiKind, Snapshot};

impl SmiObject for HttpRouteGroup {
    type Part = RouteGroup;
    const KIND: SmiKind = SmiKind::HttpRouteGroup;
    const CONCERNS: &'static [Concern] = &[
        Concern::Here(SmiKind::HttpRouteGroup),
        Concern::Here(SmiKind::TrafficSplit),
        Concern::Here(SmiKind::TrafficTarget),
    ];

    fn is_known(&self, snapshot: &Snapshot, name: &ObjectRef) -> bool {
        let (Some(known), Ok(matches)) = (snapshot.route_groups.get(&group_ref(name)), self.matches()) else {
            return false;
        };
        (known.uid.clone(), known.generation) == identity(self) && known.is_written_as(matches.iter().map(conditions))
    }

    fn part(&self) -> Result<RouteGroup, DecodeError> {
        let (uid, generation) = identity(self);
        match self.matches() {
            Ok(matches) => Ok(RouteGroup::new(uid, generation, matches.iter().map(conditions).collect())
                .with_remarks(matches.iter().flat_map(remarks).collect())),
            Err(error) => Err(DecodeError { field: "spec.matches".to_owned(), error: error.to_string() }),
        }
    }

    fn put(snapshot: &mut Snapshot, name: &ObjectRef, group: RouteGroup) -> bool {
        let name = group_ref(name);
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

/// What is written, as it is compared with requests.
pub(crate) fn conditions(written: &HttpMatch) -> Conditions {
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
    use std::time::{Duration, Instant};

    use super::*;
    use crate::index::{Index, Kind, Smi, Stored, apply};

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

        for (name, spec) in [
            ("a match without a name", serde_json::json!({"matches": [{"pathRegex": "/a"}]})),
            ("no matches", serde_json::json!({})),
        ] {
            let bad = object(spec);
            assert!(HttpRouteGroups::apply(&mut snapshot, &key, &bad), "{name}");
            assert!(!HttpRouteGroups::apply(&mut snapshot, &key, &bad), "{name}: nothing new");
            assert!(snapshot.route_groups.is_empty() && snapshot.unreadable.contains_key(&key), "{name}");
        }
        assert!(HttpRouteGroups::apply(&mut snapshot, &key, &good), "it can be read again");
        assert!(snapshot.unreadable.is_empty());
    }

    #[test]
    fn patterns_are_compiled_once_and_while_nobody_waits() {
        let index = Index::default();
        let with_status = |generation: i64, status: i64| {
            let pattern = |number: usize| serde_json::json!({"name": format!("m{number}"), "pathRegex": "[a-z]{400}"});
            let mut group = object(serde_json::json!({"matches": (0..500).map(pattern).collect::<Vec<_>>()}));
            group.object.as_mut().unwrap().metadata.generation = Some(generation);
            group.status.observed_generation = Some(status);
            group
        };
        let timed = |group: &Stored<HttpRouteGroup>| {
            let start = Instant::now();
            apply::<HttpRouteGroups>(&index, group);
            start.elapsed()
        };
        let first = timed(&with_status(1, 0));
        assert!(index.read(|snapshot| snapshot.route_groups.values().all(|group| group.problems().is_empty())));
        let changes = index.changes();
        let again = (1..=10).map(|status| timed(&with_status(1, status))).sum::<Duration>();
        assert!(!changes.has_changed().unwrap(), "a status is no change");
        assert!(again < first, "ten writes of the status took {again:?}, the group itself {first:?}");

        // Once is enough: where the lock is held while patterns are compiled, it is every time.
        let longest_wait = |generation: i64| {
            std::thread::scope(|scope| {
                let writer = scope.spawn(|| timed(&with_status(generation, 1)));
                let mut longest = Duration::ZERO;
                while !writer.is_finished() {
                    let start = Instant::now();
                    index.read(|snapshot| assert_eq!(snapshot.route_groups.len(), 1));
                    longest = longest.max(start.elapsed());
                }
                longest
            })
        };
        assert!(
            (2..10).map(longest_wait).any(|longest| longest < first / 2),
            "readers wait while patterns are compiled"
        );
        assert!(changes.has_changed().unwrap());
    }
}
