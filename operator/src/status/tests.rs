//! The engine against an API server that keeps what it is sent and tells the watches of it.

mod api_server;

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use smi_crds::{specs::v1alpha4::HttpRouteGroup, split::v1alpha4::TrafficSplit};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::{Counts, Engine, pace::Pace};
use crate::{
    compile::{self, Mesh},
    index::{self, Index, Pods, Services, Smi},
    model::{AppliedSplit, Destination, ServicePort, ServiceRef, SplitRef, Target},
    publish::Ledger,
};
use api_server::{ApiServer, State};

const NAMESPACE: &str = "shop";
/// So that thousands of writes do not take as long as they would in a cluster.
const QUICK: Duration = Duration::from_micros(100);

fn mesh() -> Mesh {
    Mesh { cluster_domain: "cluster.local".to_owned(), trust_domain: "cluster.local".to_owned() }
}

/// A running engine.
struct World {
    api: ApiServer,
    index: Arc<Index>,
    ledger: Arc<Ledger>,
    counts: Arc<Counts>,
    leads: watch::Sender<bool>,
    engine: JoinHandle<()>,
}

impl World {
    fn start(leads: bool) -> Self {
        let index = Arc::new(Index::default());
        let api = ApiServer::new(Arc::clone(&index));
        let (ledger, counts, leads) = (Arc::default(), Arc::default(), watch::Sender::new(leads));
        let engine = engine(&api, &index, &ledger, &counts, &leads);
        Self { api, index, ledger, counts, leads, engine }
    }

    /// Another operator takes this one's place.
    fn restart(&mut self) {
        self.engine.abort();
        self.engine = engine(&self.api, &self.index, &self.ledger, &self.counts, &self.leads);
    }

    /// A Service with a ready endpoint.
    fn service(&self, name: &str, ip: &str) {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"clusterIPs": [ip], "ports": [{"port": 80}]}});
        index::apply::<Services>(&self.index, &serde_json::from_value(object).unwrap());
        let slice = json!({"metadata": {"name": name, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4", "ports": [{"port": 8080}], "endpoints": [{"addresses": ["10.1.0.1"]}]});
        index::apply::<index::EndpointSlices>(&self.index, &serde_json::from_value(slice).unwrap());
    }

    fn pod(&self, name: &str, account: &str) {
        let object = json!({"metadata": {"name": name, "namespace": NAMESPACE},
            "spec": {"containers": [], "serviceAccountName": account}});
        index::apply::<Pods>(&self.index, &serde_json::from_value(object).unwrap());
    }

    fn split(&self, name: &str, root: &str, backend: &str, generation: i64) {
        let spec = json!({"service": root, "backends": [{"service": backend, "weight": 1}]});
        self.api.apply::<TrafficSplit>("TrafficSplit", name, generation, spec);
    }

    /// A sidecar was sent a split of `root`.
    fn sent(&self, stream: u64, number: u16, root: &str, split: &str, version: u64) -> Target {
        let target = Target::Address(([10, 0, 0, 1], number).into());
        let split = SplitRef { namespace: NAMESPACE.to_owned(), name: split.to_owned() };
        let destination = Destination::Service(ServicePort {
            service: ServiceRef { namespace: NAMESPACE.to_owned(), name: root.to_owned() },
            port: 80.try_into().unwrap(),
            opaque: false,
            conditional: Vec::new(),
            split: Some(AppliedSplit {
                uid: format!("uid-trafficsplits/{}", split.name),
                split,
                generation: 1,
                groups: Vec::new(),
            }),
            backends: Vec::new(),
        });
        self.ledger.sent(stream, &target, version, Arc::new(destination));
        target
    }
}

fn engine(
    api: &ApiServer,
    index: &Arc<Index>,
    ledger: &Arc<Ledger>,
    counts: &Arc<Counts>,
    leads: &watch::Sender<bool>,
) -> JoinHandle<()> {
    let (index, ledger, counts) = (Arc::clone(index), Arc::clone(ledger), Arc::clone(counts));
    let engine = Engine::new(api.client(), "operator-0".to_owned(), index, ledger, mesh(), counts);
    let (mut engine, leads) = (engine.with_pace(Pace::new(QUICK)), leads.subscribe());
    tokio::spawn(async move { engine.follow(leads).await })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_splits_that_become_programmed_cost_at_most_two_writes_each() {
    const SPLITS: u16 = 1000;
    const SIDECARS: u64 = 3;
    let world = World::start(true);
    for stream in 0..SIDECARS {
        let pod = crate::model::PodRef { namespace: NAMESPACE.to_owned(), name: format!("client-{stream}") };
        world.ledger.open(stream, pod);
    }
    world.service("backend", "10.0.1.1");
    let mut answers = Vec::new();
    for number in 1..=SPLITS {
        let (root, split) = (format!("root-{number}"), format!("split-{number}"));
        world.service(&root, "10.0.0.1");
        world.split(&split, &root, "backend", 1);
        for stream in 0..SIDECARS {
            let version = u64::from(number);
            answers.push((stream, version, world.sent(stream, number, &root, &split, version)));
        }
    }
    // They trickle in for three seconds, the sidecars' answers for one split at different times.
    let ledger = Arc::clone(&world.ledger);
    let answering = tokio::spawn(async move {
        answers.sort_by_key(|(stream, version, _)| (version * 7 + stream * 331) % 1009);
        for few in answers.chunks(10) {
            for (stream, version, target) in few {
                ledger.answered(*stream, target, *version, None);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    answering.await.unwrap();
    let all = format!("Programmed=True Programmed: {SIDECARS} of {SIDECARS} proxies acknowledged generation 1");
    world.api.until(|state| state.saying(&all) == usize::from(SPLITS)).await;
    let (writes, most) =
        world.api.look(|state| (state.writes.values().sum::<usize>(), state.writes.values().max().copied()));
    println!("{writes} writes for {SPLITS} splits, at most {most:?} for one");
    assert!(most <= Some(2), "{most:?} writes for one split");
    let counted = format!("weft_status_writes_total{{kind=\"TrafficSplit\"}} {writes}");
    assert!(world.counts.render().lines().any(|line| line == counted), "{counted}: {}", world.counts.render());
    assert_eq!(world.api.look(|state| state.events.len()), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_malformed_object_among_a_thousand_says_why_and_the_others_act() {
    let world = World::start(true);
    world.service("backend", "10.0.1.1");
    for number in 1..=1000_u16 {
        let (root, [high, low]) = (format!("root-{number}"), number.to_be_bytes());
        world.service(&root, &format!("10.0.{high}.{low}"));
        world.split(&format!("split-{number}"), &root, "backend", 1);
    }
    let spec = json!({"service": "root-7", "backends": [{"service": "backend", "weight": "many"}]});
    world.api.apply::<TrafficSplit>("TrafficSplit", "split-bad", 1, spec);
    let all_said = |state: &State| {
        state.saying("Accepted=True Accepted") == 1000
            && state.saying("Accepted=False") == 1
            && !state.events.is_empty()
    };
    world.api.until(all_said).await;
    let conditions = world.api.look(|state| state.conditions("trafficsplits/split-bad"));
    let why = "Accepted=False Unreadable: spec.backends[0].weight cannot be read: invalid type: string \"many\", expected u32";
    assert_eq!(conditions[0], why);
    let events = world.api.look(|state| state.events.clone());
    assert_eq!(events.iter().map(|event| &*event.regarding).collect::<Vec<_>>(), ["split-bad"], "{events:?}");
    for number in 1..=1000_u16 {
        let [high, low] = number.to_be_bytes();
        let target = Target::Address(([10, 0, high, low], 80).into());
        let found = world.index.read(|snapshot| compile::destination(snapshot, &mesh(), &target));
        assert!(matches!(&found, Destination::Service(port) if port.split.is_some()), "{number}: {found:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_changes_only_and_a_new_operator_repeats_none() {
    let mut world = World::start(true);
    world.service("web", "10.0.0.1");
    let missing = "backend service gone does not exist in namespace shop";
    let events = |world: &World| {
        world.api.look(|state| state.events.iter().filter(|event| event.note.contains(missing)).count())
    };

    world.split("web", "web", "gone", 1);
    world.api.until(|state| state.events.len() == 1).await;
    // Everything is judged again for another reason.
    world.split("web", "web", "gone", 2);
    world.api.until(|state| state.saying("acknowledged generation 2") == 1).await;
    assert_eq!(events(&world), 1, "the same finding of another generation");

    world.restart();
    // What is written after the restart was judged after everything that there was before.
    world.split("later", "later", "gone", 1);
    world.api.until(|state| state.writes.contains_key("trafficsplits/later")).await;
    let (writes, all) = world.api.look(|state| (state.writes["trafficsplits/web"], state.events.len()));
    assert_eq!((writes, events(&world)), (2, 1), "a new operator writes what is wrong and nothing else; {all} Events");

    world.service("gone", "10.0.0.9");
    world
        .api
        .until(|state| state.conditions("trafficsplits/web").iter().any(|text| text.starts_with("ResolvedRefs=True")))
        .await;
    world.split("web", "web", "gone-again", 3);
    world.api.until(|state| state.events.iter().any(|event| event.note.contains("gone-again"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_leader_writes_and_it_mends_what_others_wrote() {
    let world = World::start(false);
    world.service("web", "10.0.0.1");
    world.split("web", "web", "web", 1);
    world.api.until(|state| state.objects.len() == 1).await;
    world.leads.send_replace(true);
    world.api.until(|state| state.saying("Accepted=True") == 1).await;
    assert_eq!(world.api.look(|state| state.writes.len()), 1);
    world.api.overwrite("trafficsplits/web", json!({"observedGeneration": 1}));
    world.api.until(|state| state.saying("Accepted=True") == 1).await;
    world.leads.send_replace(false);
    world.split("web", "web", "gone", 2);
    world.leads.send_replace(true);
    world.api.until(|state| state.saying("ResolvedRefs=False BackendNotFound") == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_is_tried_again() {
    let world = World::start(true);
    world.api.fail_next();
    world.split("web", "web", "web", 1);
    world.api.until(|state| state.saying("ResolvedRefs=False RootNotFound") == 1).await;
    assert_eq!(world.api.look(|state| state.writes["trafficsplits/web"]), 2);
    let deleted = world.api.look(|state| state.objects["trafficsplits/web"].clone());
    index::remove::<Smi<TrafficSplit>>(&world.index, &api_server::name(&deleted));
    assert_eq!(world.index.statuses().said(&api_server::name(&deleted)), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_takes_no_status_is_told_so_once_and_again_after_it_changed() {
    let world = World::start(true);
    world.api.refuse(Some("trafficsplits/web"));
    world.split("web", "web", "web", 1);
    world.api.until(|state| !state.events.is_empty()).await;
    // Every split of the namespace is judged anew, and this one not written, as it is as it was.
    world.service("elsewhere", "10.0.0.9");
    world.split("later", "later", "later", 1);
    world.api.until(|state| state.saying("ResolvedRefs=False RootNotFound") == 1).await;
    assert_eq!(world.api.look(|state| state.writes["trafficsplits/web"]), 1);
    let about = |name: &str| {
        let events = world.api.look(|state| state.events.clone());
        events.into_iter().filter(|event| event.regarding == name).map(|event| event.note).collect::<Vec<_>>()
    };
    let refused = "no status can be written before this is corrected: spec.service: too long";
    assert_eq!(about("web"), [refused]);

    // Changed, but as wrong as before.
    world.split("web", "web", "web", 2);
    world.api.until(|state| state.writes["trafficsplits/web"] == 2).await;
    world.api.refuse(None);
    world.split("web", "web", "web", 3);
    world.api.until(|state| state.saying("ResolvedRefs=False RootNotFound") == 2).await;
    assert_eq!(about("web").iter().filter(|note| *note == refused).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_follows_the_sidecars_that_use_a_split_with_it() {
    let world = World::start(true);
    world.service("web", "10.0.0.1");
    let matches = json!({"matches": [{"name": "all", "pathRegex": "/.*"}]});
    world.api.apply::<HttpRouteGroup>("HTTPRouteGroup", "beta", 1, matches);
    let spec = json!({"service": "web", "backends": [{"service": "web", "weight": 1}],
        "matches": [{"kind": "HTTPRouteGroup", "name": "beta"}]});
    world.api.apply::<TrafficSplit>("TrafficSplit", "web", 1, spec);
    let both = async |programmed: &str| world.api.until(|state| state.saying(programmed) == 2).await;
    both("Programmed=True Programmed: 0 of 0 proxies acknowledged generation 1").await;
    let target = Target::Address(([10, 0, 0, 1], 80).into());
    let destination = world.index.read(|snapshot| compile::destination(snapshot, &mesh(), &target));
    world.ledger.open(7, crate::model::PodRef { namespace: NAMESPACE.to_owned(), name: "client".to_owned() });
    world.ledger.sent(7, &target, 1, Arc::new(destination));
    both("Programmed=False Pending: 0 of 1 proxy acknowledged generation 1").await;
    world.ledger.answered(7, &target, 1, None);
    both("Programmed=True Programmed: 1 of 1 proxy acknowledged generation 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_says_what_weft_makes_of_it() {
    use smi_crds::{
        access::v1alpha4::{IdentityBinding, TrafficTarget},
        specs::v1alpha4::{TcpRoute, UdpRoute},
    };
    let world = World::start(true);
    world.pod("a", "web");
    let ports = |ports: Value| json!({"matches": {"ports": ports}});
    world.api.apply::<TcpRoute>("TCPRoute", "db", 1, ports(json!([5432, 5433])));
    world.api.apply::<UdpRoute>("UDPRoute", "dns", 1, ports(Value::Null));
    world.api.apply::<IdentityBinding>("IdentityBinding", "web", 1, json!({"schemes": {"serviceAccount": "web"}}));
    let target = json!({"destination": {"kind": "ServiceAccount", "name": "web"}, "rules": [{"kind": "TCPRoute", "name": "db"}],
        "sources": [{"kind": "IdentityBinding", "name": "clients"}]});
    world.api.apply::<TrafficTarget>("TrafficTarget", "web", 1, target);
    let matches = json!({"matches": [{"name": "all", "pathRegex": "/("}]});
    world.api.apply::<HttpRouteGroup>("HTTPRouteGroup", "broken", 1, matches);
    world.api.until(|state| state.saying("Accepted") == 5).await;
    let not_enforced = |kind: &str| {
        format!("Programmed=False NotEnforced: Weft does not enforce access yet, so no proxy is told about a {kind}")
    };
    for (path, want) in [
        (
            "tcproutes/db",
            [
                "Accepted=True Accepted: the route stands for ports 5432, 5433".to_owned(),
                not_enforced("TCPRoute"),
                "ResolvedRefs=True ResolvedRefs: the route refers to nothing".to_owned(),
            ],
        ),
        (
            "udproutes/dns",
            [
                "Accepted=True Accepted: the route stands for every port".to_owned(),
                not_enforced("UDPRoute"),
                "ResolvedRefs=True ResolvedRefs: the route refers to nothing".to_owned(),
            ],
        ),
        (
            "identitybindings/web",
            [
                "Accepted=True Accepted: the binding names 1 pod now".to_owned(),
                not_enforced("IdentityBinding"),
                "ResolvedRefs=True ResolvedRefs: everything that the binding names is known".to_owned(),
            ],
        ),
        (
            "traffictargets/web",
            [
                "Accepted=True Accepted: the target says who may reach whom, and by what".to_owned(),
                not_enforced("TrafficTarget"),
                "ResolvedRefs=False BindingNotFound: spec.sources[0]: IdentityBinding clients does not exist in namespace shop, so \
                 it stands for nobody"
                    .to_owned(),
            ],
        ),
    ] {
        assert_eq!(world.api.look(|state| state.conditions(path)), want, "{path}");
    }
    let invalid =
        r#"match "all": pathRegex: "/(" is no regular expression in RE2 syntax: unclosed group, at character 2"#;
    world.api.until(|state| state.saying(&format!("Accepted=False InvalidMatch: {invalid}")) == 1).await;
    world.api.until(|state| state.events.iter().filter(|event| event.note == invalid).count() == 1).await;
    // What a target refers to may come later, and a binding counts its pods.
    world.api.apply::<IdentityBinding>(
        "IdentityBinding",
        "clients",
        1,
        json!({"schemes": {"serviceAccount": "client"}}),
    );
    world.pod("b", "web");
    world.api.until(|state| state.saying("the binding names 2 pods now") == 1).await;
    world
        .api
        .until(|state| state.saying("ResolvedRefs=True ResolvedRefs: everything that the target names exists") == 1)
        .await;
    let nobody = "ResolvedRefs=Unknown NoPods: spec.schemes.serviceAccount: no pod of namespace shop runs as service account client now";
    world.api.until(|state| state.saying(nobody) == 1).await;
}

#[tokio::test]
async fn a_part_that_is_stopped_ends() {
    let index = Arc::new(Index::default());
    let api = ApiServer::new(Arc::clone(&index));
    let engine =
        Engine::new(api.client(), "operator-0".to_owned(), index, Arc::default(), mesh(), Arc::new(Counts::default()));
    let shutdown = CancellationToken::new();
    shutdown.cancel();
    engine.run(watch::Sender::new(true).subscribe(), shutdown).await;
}
