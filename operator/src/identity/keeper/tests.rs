//! The keeper at work, against an API server with Secrets, a ConfigMap and watches on them, and with sidecars that answer.

mod cluster;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use k8s_openapi::ByteString;
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use self::cluster::Cluster;
use super::*;
use crate::{identity::store::BUNDLE, model::PodRef};

/// A keeper that leads or does not, and a sidecar that is connected to its operator.
struct Running {
    authorities: Authorities,
    ledger: Arc<TrustLedger>,
    counts: Arc<Counts>,
    copies: watch::Sender<Option<Arc<str>>>,
    /// The keeper ends with it.
    _leads: watch::Sender<bool>,
    version: u64,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(cluster: &Cluster) -> Self {
        Self::start_as(cluster, true).await
    }

    async fn start_as(cluster: &Cluster, leading: bool) -> Self {
        let index = Arc::new(Index::default());
        index.pretend_listed();
        let (ledger, counts) = (Arc::new(TrustLedger::default()), Arc::new(Counts::default()));
        ledger.open(1, PodRef { namespace: "shop".to_owned(), name: "web-1".to_owned() });
        let (copies, copied) = watch::channel(None);
        let (lead, leads) = watch::channel(leading);
        let around = Surroundings {
            index,
            ledger: Arc::clone(&ledger),
            counts: Arc::clone(&counts),
            copies: vec![copied],
            leads,
        };
        let settings = Settings {
            namespace: "weft-system".to_owned(),
            instance: "weft-operator-1".to_owned(),
            trust_domain: "cluster.local".to_owned(),
            certificate_life: Duration::from_secs(1),
            issuer_life: Duration::from_secs(3600),
            settle: Duration::from_millis(100),
        };
        let (authority, authorities) = Keeper::channel();
        let stop = CancellationToken::new();
        let task = tokio::spawn(Keeper::new(cluster.client(), settings, around, authority).run(stop.clone()));
        Self { authorities, ledger, counts, copies, _leads: lead, version: 0, stop, task }
    }

    /// Waits until an authority is announced that is so.
    async fn until(&mut self, what: &str, is: impl Fn(&Authority) -> bool) -> Arc<Authority> {
        let wait = self.authorities.wait_for(|authority| authority.as_ref().is_some_and(|authority| is(authority)));
        let found = tokio::time::timeout(Duration::from_secs(20), wait).await;
        found.unwrap_or_else(|_| panic!("never: {what}")).unwrap().clone().unwrap()
    }

    /// The sidecar takes what is announced, and all copies have it.
    fn follow(&mut self, authority: &Authority) {
        self.version += 1;
        self.ledger.sent(1, self.version, Arc::clone(&authority.trust));
        self.ledger.answered(1, self.version, true);
        self.copies.send_replace(Some(Arc::clone(&authority.bundle)));
    }

    /// Goes with a rotation from `old` to its end.
    async fn rotate(&mut self, old: &Authority) -> Arc<Authority> {
        let both = self.until("both roots", |now| now.trust.roots.len() == 2).await;
        assert_eq!(
            both.issuer.fingerprint(),
            old.issuer.fingerprint(),
            "the new one does not sign before it is trusted"
        );
        self.follow(&both);
        let switched = self.until("a switch", |now| now.issuer.fingerprint() != old.issuer.fingerprint()).await;
        assert_eq!(switched.trust.roots.len(), 2, "what the old one has signed is still trusted");
        self.follow(&switched);
        let alone = self.until("the end of the old root", |now| now.trust.roots.len() == 1).await;
        self.follow(&alone);
        assert_eq!(alone.issuer.fingerprint(), switched.issuer.fingerprint());
        alone
    }

    async fn end(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

fn brought() -> Value {
    secret(&made::make(Duration::from_secs(3600), Timestamp::now()).unwrap())
}

fn secret(entries: &BTreeMap<String, ByteString>) -> Value {
    let data: BTreeMap<_, _> = entries.iter().map(|(name, value)| (name, STANDARD.encode(&value.0))).collect();
    json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "data": data})
}

#[tokio::test]
async fn makes_an_issuer_and_goes_from_one_to_the_next() {
    let cluster = Cluster::new();
    let mut running = Running::start(&cluster).await;
    let made = running.until("an issuer", |_| true).await;
    running.follow(&made);
    assert_eq!(made.trust.roots, [made.issuer.root().to_vec()]);

    cluster.put("secrets", WANTED, Some(brought()));
    let second = running.rotate(&made).await;
    assert_eq!(
        cluster.get("secrets", ACTIVE).unwrap()["data"],
        cluster.get("secrets", WANTED).unwrap()["data"],
        "the copy is that of the one that signs"
    );

    // What cannot be used changes nothing but the log.
    cluster.put("secrets", WANTED, Some(json!({"apiVersion": "v1", "kind": "Secret", "data": {"tls.crt": "eA=="}})));
    let is_told = |cluster: &Cluster| cluster.events().iter().any(|event| event == "IssuerInvalid");
    cluster.until("an Event", is_told).await;
    let metrics = running.counts.render(None);
    assert!(metrics.contains("weft_issuers_refused_total{reason=\"incomplete\"} 1"), "{metrics}");
    assert_eq!(running.authorities.borrow().as_ref().unwrap().trust, second.trust);

    // One that is deleted is made anew.
    cluster.put("secrets", WANTED, None);
    let third = running.rotate(&second).await;
    assert_ne!(third.issuer.root(), second.issuer.root());
    running.end().await;

    let events = cluster.events();
    for reason in ["IssuerMade", "RootTrusted", "IssuerSwitched", "RootRetired", "IssuerInvalid"] {
        assert!(events.iter().any(|event| event == reason), "{reason}: {events:?}");
    }
}

#[tokio::test]
async fn a_restart_changes_nothing_even_if_the_secret_was_replaced_meanwhile() {
    let cluster = Cluster::new();
    let mut running = Running::start(&cluster).await;
    let first = running.until("an issuer", |_| true).await;
    cluster.until("a copy", |cluster| cluster.get("secrets", ACTIVE).is_some()).await;
    running.end().await;

    // The only other copy of the key is gone.
    cluster.put("secrets", WANTED, Some(brought()));
    let mut running = Running::start(&cluster).await;
    let again = running.until("an issuer", |_| true).await;
    assert_eq!(again.issuer.fingerprint(), first.issuer.fingerprint(), "the old one signs until all have followed");
    running.rotate(&first).await;
    running.end().await;

    // And in the middle of it.
    cluster.put("secrets", WANTED, Some(brought()));
    let mut running = Running::start(&cluster).await;
    let both = running.until("both roots", |now| now.trust.roots.len() == 2).await;
    running.end().await;
    let mut running = Running::start(&cluster).await;
    let again = running.until("an issuer", |_| true).await;
    assert_eq!(again.trust, both.trust, "what was begun goes on");
    running.rotate(&both).await;
    running.end().await;
}

/// A root, and what a Secret holds of an issuer that is two steps below it: the first is one between them, which is renewed with
/// its key, its name and another end.
fn renewed_between() -> [BTreeMap<String, ByteString>; 2] {
    let authority = |name: &str, days: i64| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let now = Timestamp::now();
        params.not_before = crate::identity::issuer::offset(now - Duration::from_secs(60));
        params.not_after = crate::identity::issuer::offset(now + jiff::SignedDuration::from_hours(24 * days));
        params
    };
    let keys = [0; 3].map(|_| rcgen::KeyPair::generate().unwrap());
    let [root_key, between_key, issuer_key] = &keys;
    let root = authority("root", 400);
    let root_pem = root.self_signed(root_key).unwrap().pem();
    let root = rcgen::Issuer::from_params(&root, root_key);
    let below = authority("between", 90);
    let issuer =
        authority("issuer", 300).signed_by(issuer_key, &rcgen::Issuer::from_params(&below, between_key)).unwrap();
    [90, 200].map(|days| {
        let between = authority("between", days).signed_by(between_key, &root).unwrap();
        let entry = |name: &str, text: String| (name.to_owned(), ByteString(text.into_bytes()));
        let chain = [issuer.pem(), between.pem()].concat();
        [entry("tls.crt", chain), entry("tls.key", issuer_key.serialize_pem()), entry("ca.crt", root_pem.clone())]
            .into()
    })
}

#[tokio::test]
async fn renewed_certificates_between_issuer_and_root_are_used() {
    let cluster = Cluster::new();
    let [old, new] = renewed_between();
    cluster.put("secrets", WANTED, Some(secret(&old)));
    let mut running = Running::start(&cluster).await;
    let first = running.until("an issuer", |_| true).await;
    running.follow(&first);
    cluster.until("a copy", |cluster| cluster.get("secrets", ACTIVE).is_some()).await;

    cluster.put("secrets", WANTED, Some(secret(&new)));
    let later = first.issuer.not_after() + jiff::SignedDuration::from_hours(24 * 100);
    let second = running.until("the renewed chain", |now| now.issuer.not_after() > later).await;
    assert_eq!(second.issuer.fingerprint(), first.issuer.fingerprint());
    assert_eq!(second.trust, first.trust, "there is nothing to rotate");
    let copied = |cluster: &Cluster| cluster.get("secrets", ACTIVE).unwrap()["data"] == secret(&new)["data"];
    cluster.until("a copy of the renewed chain", copied).await;
    let is_told = |cluster: &Cluster| cluster.events().iter().any(|event| event == "IssuerChainRenewed");
    cluster.until("an Event", is_told).await;
    running.end().await;
    assert!(!cluster.events().iter().any(|event| event == "RootTrusted"), "{:?}", cluster.events());
}

#[tokio::test]
async fn the_end_is_near_even_while_the_secret_is_broken() {
    let cluster = Cluster::new();
    let issuer = made::make(Duration::from_secs(5 * 24 * 3600), Timestamp::now()).unwrap();
    cluster.put("secrets", WANTED, Some(secret(&issuer)));
    let mut running = Running::start(&cluster).await;
    let signs = running.until("an issuer", |_| true).await;
    let near = format!("expires in less than a week, at {}", signs.issuer.not_after());
    cluster.until("a notice", |cluster| cluster.notes("IssuerExpires").iter().any(|note| note.contains(&near))).await;
    cluster.until("a copy", |cluster| cluster.get("secrets", ACTIVE).is_some()).await;

    let broken = || json!({"apiVersion": "v1", "kind": "Secret", "data": {"tls.crt": "eA=="}});
    cluster.put("secrets", WANTED, Some(broken()));
    let says_both =
        |note: &String| note.contains(&near) && note.contains("cannot be used: entry \"tls.crt\" holds no certificate");
    let is_told = |cluster: &Cluster, times: usize| {
        cluster.notes("IssuerExpiresUnreplaced").iter().filter(|note| says_both(note)).count() == times
    };
    cluster.until("both in one notice", |cluster| is_told(cluster, 1)).await;
    let metrics = running.counts.render(Some(&signs));
    for line in [
        "weft_issuer_secret_usable 0".to_owned(),
        format!("weft_issuer_expiry_timestamp_seconds {}", signs.issuer.not_after().as_second()),
    ] {
        assert!(metrics.lines().any(|found| *found == line), "{line}: {metrics}");
    }
    running.end().await;

    let running = Running::start(&cluster).await;
    cluster.until("the same after a restart", |cluster| is_told(cluster, 2)).await;
    running.end().await;
}

#[tokio::test]
async fn a_record_that_cannot_be_read_loses_no_root() {
    let cluster = Cluster::new();
    let mut running = Running::start(&cluster).await;
    let first = running.until("an issuer", |_| true).await;
    running.follow(&first);
    cluster.put("secrets", WANTED, Some(brought()));
    let both = running.until("both roots", |now| now.trust.roots.len() == 2).await;
    running.follow(&both);
    // Nobody follows from here on, so that the old root stays.
    let switched = running.until("a switch", |now| now.issuer.fingerprint() != first.issuer.fingerprint()).await;
    let record = |cluster: &Cluster| cluster.get("configmaps", BUNDLE).map(|map| map["data"]["rotation.json"].clone());
    let names = |cluster: &Cluster| {
        let text = record(cluster).unwrap_or_default();
        text.as_str().is_some_and(|text| text.contains("retires"))
    };
    cluster.until("a record of it", names).await;
    cluster
        .until("a copy", |cluster| {
            cluster.get("secrets", ACTIVE).map(|copy| copy["data"].clone())
                == cluster.get("secrets", WANTED).map(|it| it["data"].clone())
        })
        .await;
    running.end().await;

    let mut map = cluster.get("configmaps", BUNDLE).unwrap();
    map["data"]["rotation.json"] = json!("{");
    cluster.put("configmaps", BUNDLE, Some(map));
    let mut running = Running::start(&cluster).await;
    let again = running.until("an issuer", |_| true).await;
    assert_eq!(again.trust, switched.trust, "what the old issuer signed is still trusted");
    cluster.until("the record again", names).await;
    running.end().await;
}

#[tokio::test]
async fn whoever_finds_no_issuer_at_all_makes_one() {
    let cluster = Cluster::new();
    let mut running = Running::start_as(&cluster, false).await;
    let made = running.until("an issuer, though another leads that makes none", |_| true).await;
    running.end().await;
    assert_eq!(cluster.events(), ["IssuerMade"]);
    assert!(cluster.get("configmaps", BUNDLE).is_none(), "everything else is for the one that leads");

    let mut running = Running::start(&cluster).await;
    let same = running.until("it", |_| true).await;
    assert_eq!(same.issuer.fingerprint(), made.issuer.fingerprint());
    cluster.until("a copy", |cluster| cluster.get("secrets", ACTIVE).is_some()).await;
    running.end().await;

    // With a copy there is no hurry: the next one is for the replica that leads to make.
    cluster.put("secrets", WANTED, None);
    let mut running = Running::start_as(&cluster, false).await;
    let copied = running.until("the copy", |_| true).await;
    assert_eq!(copied.issuer.fingerprint(), made.issuer.fingerprint());
    running.end().await;
    assert!(cluster.get("secrets", WANTED).is_none());
}

#[test]
fn goes_on_only_when_everybody_has_followed() {
    let second = Duration::from_secs(1);
    let pod = PodRef { namespace: "shop".to_owned(), name: "web-1".to_owned() };
    let all = TrustProgress { connected: 1, acknowledged: 1, ..TrustProgress::default() };
    let waits = TrustProgress { connected: 1, waiting: [pod].into(), ..TrustProgress::default() };
    let nobody = TrustProgress::default();
    for (name, open, copies, progress, want) in [
        ("all", Some(6), [Some("new"), Some("new")], &all, true),
        ("nobody is connected", Some(6), [Some("new"), Some("new")], &nobody, true),
        ("not open yet", None, [Some("new"), Some("new")], &nobody, false),
        ("just opened", Some(5), [Some("new"), Some("new")], &nobody, false),
        ("a sidecar has not answered", Some(6), [Some("new"), Some("new")], &waits, false),
        ("a copy is old", Some(6), [Some("new"), Some("old")], &all, false),
        ("a copy is not written", Some(6), [None, Some("new")], &all, false),
    ] {
        let copies = copies.into_iter().map(|copy| copy.map(Arc::from));
        assert_eq!(is_followed(open.map(|open| second * open), second * 6, copies, "new", progress), want, "{name}");
    }
}
