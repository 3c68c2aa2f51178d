//! From what there is and what is asked to an answer, by the operator's compiler and the sidecar's comparisons.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU16;

use thiserror::Error;
use weft_operator::compile::{self, Mesh};
use weft_operator::model::{
    AppliedSplit, Backend, Destination, Service, ServicePort, ServiceRef, Snapshot, Target, WorkloadRef,
};

use super::answer::{Answer, Considered, Deciding, Root, Sent, Share, Verdict};
use super::caller::{Caller, Way};
use super::compare::{self, Written};
use super::question::Port;
use super::splits::{Reach, Splits};
use super::world::{World, unreadable};

/// Port of an authority that names none.
const HTTP: NonZeroU16 = NonZeroU16::new(80).expect("not zero");

/// What is asked, with all names complete.
#[derive(Debug)]
pub(super) struct Question {
    /// `None`: any client with a sidecar.
    pub(super) caller: Option<WorkloadRef>,
    /// Namespace of whoever sends.
    pub(super) namespace: String,
    pub(super) root: ServiceRef,
    pub(super) port: Option<Port>,
    /// What the request is addressed to, if not the root.
    pub(super) authority: Option<String>,
    pub(super) request: Written,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum CannotTell {
    #[error("{0} has no pods, so nobody can tell whether they have a sidecar; name another with --from, or none")]
    NoPods(WorkloadRef),
    #[error("service {root} has the ports {ports}; say which, as in --to svc/{}:{first}", .root.name)]
    WhichPort { root: ServiceRef, ports: String, first: NonZeroU16 },
}

/// What becomes of the request that is asked about.
///
/// # Errors
/// When the question has no answer as it stands.
pub(super) fn answer(world: &World, mesh: &Mesh, mut question: Question) -> Result<Answer, CannotTell> {
    let snapshot = world.snapshot();
    let service = snapshot.services.get(&question.root);
    let port = match service {
        Some(service) if !service.external => port(service, &question)?,
        _ => question.port.as_ref().and_then(Port::number),
    };
    let number = port.unwrap_or(HTTP);
    question.request.authority = question.authority.clone().unwrap_or_else(|| authority(&question, number));
    let mut notes = unreadable(&snapshot);
    let addresses = service.map(|service| service.cluster_ips.as_slice()).unwrap_or_default();
    let caller = match &question.caller {
        None => Caller::any(&question.namespace, number.get()),
        Some(workload) => Caller::of(world, workload, addresses, number.get(), &mut notes)
            .ok_or_else(|| CannotTell::NoPods(workload.clone()))?,
    };
    let found = {
        let splits = Splits { snapshot: &snapshot, mesh, root: &question.root, request: &question.request };
        match (service, port) {
            (None, _) => Found::nobody(Verdict::UnknownRoot, format!("there is no service {}", question.root), &splits),
            (Some(service), _) if service.external => {
                let summary = format!("service {} is a host outside the cluster (type ExternalName)", question.root);
                Found::nobody(Verdict::Outside, summary, &splits)
            }
            (Some(service), None) => Found::nobody(Verdict::UnknownRoot, no_port(service, &question), &splits),
            (Some(service), Some(port)) => {
                let mut bare = world.snapshot();
                bare.splits = weft_operator::model::Splits::default();
                Decision { bare: &bare, splits, question: &question, service, port }.decide(caller.way)
            }
        }
    };
    let Found { verdict, summary, opaque, split, backends, considered } = found;
    let root = Root {
        port: port.map(NonZeroU16::get),
        headless: service.is_some_and(|service| service.cluster_ips.is_empty() && !service.external),
        opaque,
        namespace: question.root.namespace,
        name: question.root.name,
    };
    let request = sent(&question.request);
    Ok(Answer { outcome: verdict, summary, request, caller, root, split, backends, splits: considered, notes })
}

/// The port that is asked about; `None` when the service does not have it.
fn port(service: &Service, question: &Question) -> Result<Option<NonZeroU16>, CannotTell> {
    let has = |number: NonZeroU16| service.ports.iter().any(|port| port.port == number);
    Ok(match (&question.port, &service.ports[..]) {
        (Some(Port::Number(number)), _) => Some(*number).filter(|number| has(*number)),
        (Some(Port::Name(name)), ports) => ports.iter().find(|port| port.name == *name).map(|port| port.port),
        (None, [only]) => Some(only.port),
        (None, []) => None,
        (None, [..]) if has(HTTP) => Some(HTTP),
        (None, [first, ..]) => {
            let (root, ports) = (question.root.clone(), ports_of(service));
            return Err(CannotTell::WhichPort { root, ports, first: first.port });
        }
    })
}

fn ports_of(service: &Service) -> String {
    let port = |port: &weft_operator::model::Port| match &*port.name {
        "" => port.port.to_string(),
        name => format!("{} ({name})", port.port),
    };
    service.ports.iter().map(port).collect::<Vec<_>>().join(", ")
}

fn no_port(service: &Service, question: &Question) -> String {
    let wanted = match &question.port {
        Some(Port::Number(number)) => format!("{number}"),
        Some(Port::Name(name)) => name.clone(),
        None => "at all".to_owned(),
    };
    let known = if service.ports.is_empty() { String::new() } else { format!("; it has {}", ports_of(service)) };
    format!("service {} has no TCP port {wanted}{known}", question.root)
}

/// What a client writes that calls the root by its shortest name.
fn authority(question: &Question, port: NonZeroU16) -> String {
    let ServiceRef { namespace, name } = &question.root;
    let host = if *namespace == question.namespace { name.clone() } else { format!("{name}.{namespace}") };
    if port == HTTP { host } else { format!("{host}:{port}") }
}

fn sent(request: &Written) -> Sent {
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    Sent {
        method: request.method.to_string(),
        path: request.path.clone(),
        authority: request.authority.clone(),
        headers: request.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
    }
}

/// What was found out.
struct Found {
    verdict: Verdict,
    summary: String,
    opaque: bool,
    split: Option<Deciding>,
    backends: Vec<Share>,
    considered: Vec<Considered>,
}

impl Found {
    /// There is no port that it could go to.
    fn nobody(verdict: Verdict, summary: String, splits: &Splits<'_>) -> Self {
        let considered = splits.considered(Reach::None, &[], None);
        Self { verdict, summary, opaque: false, split: None, backends: Vec::new(), considered }
    }
}

/// What decides about a request to a port that exists.
struct Decision<'a> {
    /// The snapshot without splits: who serves when nothing is split.
    bare: &'a Snapshot,
    splits: Splits<'a>,
    question: &'a Question,
    service: &'a Service,
    port: NonZeroU16,
}

impl Decision<'_> {
    fn decide(&self, way: Way) -> Found {
        let compiled = self.compiled();
        let opaque = way == Way::Bytes || self.own(&self.question.root).is_some_and(|own| own.opaque);
        let unsplit = match (way, &compiled) {
            (Way::NoSidecar, _) => Some("the caller has no sidecar, so that nothing is split"),
            (Way::PastTheSidecar, _) => {
                Some("the rules of the caller's sidecar leave the destination out, so that nothing is split")
            }
            (Way::Sidecar | Way::Bytes, _) if opaque && self.service.cluster_ips.is_empty() => {
                Some("a connection to a pod of a headless service is split only by what a request is addressed to")
            }
            (Way::Sidecar | Way::Bytes, None) => Some(
                "what the request is addressed to does not name the service, so that the pod that is called serves",
            ),
            (Way::Sidecar | Way::Bytes, Some(_)) => None,
        };
        let (summary, split, chosen, considered) = match (unsplit, &compiled) {
            (None, Some(compiled)) => self.by_splits(compiled, opaque),
            (unsplit, _) => {
                let own = self.own(&self.question.root).map(|own| own.backends).unwrap_or_default();
                let in_force: Vec<&AppliedSplit> = compiled.iter().flat_map(ServicePort::splits).collect();
                let considered = self.splits.considered(Reach::None, &in_force, None);
                (unsplit.unwrap_or_default().to_owned(), None, own, considered)
            }
        };
        let served = chosen.iter().any(|backend| !backend.endpoints.is_empty());
        let count = |name: &ServiceRef| {
            let own = self.own(name).map(|own| own.backends).unwrap_or_default();
            own.iter().map(|backend| backend.endpoints.len()).sum()
        };
        let backends = self.splits.shares(&chosen, split.as_ref(), self.port, &count);
        let verdict = if served { Verdict::Served } else { Verdict::Unserved };
        Found { verdict, summary, opaque, split, backends, considered }
    }

    /// By the first split that takes the request: what a sidecar does with what it was told.
    fn by_splits(
        &self,
        compiled: &ServicePort,
        opaque: bool,
    ) -> (String, Option<Deciding>, Vec<Backend>, Vec<Considered>) {
        let request = self.question.request.request();
        let looked_into = Some(&compiled.conditional).filter(|_| !opaque);
        let taken = looked_into.and_then(|splits| compare::taken(splits, &request));
        let (applied, chosen) = match taken {
            Some(one) => (Some(&one.split), &one.backends),
            None => (compiled.split.as_ref(), &compiled.backends),
        };
        let groups = |applied: &AppliedSplit| self.splits.groups(&applied.split);
        let split = applied.map(|applied| Deciding {
            namespace: applied.split.namespace.clone(),
            name: applied.split.name.clone(),
            generation: applied.generation,
            route: taken.and_then(|one| compare::met(&groups(&one.split))),
        });
        let summary = match &split {
            None if compiled.conditional.is_empty() => "no split decides".to_owned(),
            None if opaque => "no split decides, because nobody looks into the connection".to_owned(),
            None => "no split decides, because the request meets none of their matches".to_owned(),
            Some(Deciding { name, route: Some(route), .. }) => {
                format!("TrafficSplit {name} decides, by match {} of HTTPRouteGroup {}", route.name, route.group)
            }
            Some(Deciding { name, route: None, .. }) => format!("TrafficSplit {name} decides"),
        };
        let in_force: Vec<&AppliedSplit> = compiled.splits().collect();
        let reach = if opaque { Reach::Connection } else { Reach::Request };
        let considered = self.splits.considered(reach, &in_force, applied.map(|applied| &applied.split));
        (summary, split, chosen.clone(), considered)
    }

    /// What a sidecar is told of the root's port; `None` when the request does not name the root, and would have to.
    fn compiled(&self) -> Option<ServicePort> {
        let target = match self.service.cluster_ips.first() {
            Some(ip) => Target::Address(SocketAddr::new(*ip, self.port.get())),
            None => {
                let (host, port) = match self.question.request.authority.rsplit_once(':') {
                    Some((host, port)) => (host, port.parse().ok()?),
                    // As the sidecar reads it: the port that the connection goes to.
                    None => (&*self.question.request.authority, self.port),
                };
                let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
                Target::Authority { namespace: self.question.namespace.clone(), host, port }
            }
        };
        self.compile(self.splits.snapshot, &target).filter(|found| found.service == self.question.root)
    }

    /// The port of a service when nothing is split.
    fn own(&self, name: &ServiceRef) -> Option<ServicePort> {
        let addresses: &[IpAddr] = &self.bare.services.get(name)?.cluster_ips;
        let ServiceRef { namespace, name } = name;
        let target = match addresses.first() {
            Some(ip) => Target::Address(SocketAddr::new(*ip, self.port.get())),
            None => Target::Authority { namespace: namespace.clone(), host: name.clone(), port: self.port },
        };
        self.compile(self.bare, &target)
    }

    fn compile(&self, snapshot: &Snapshot, target: &Target) -> Option<ServicePort> {
        match compile::destination(snapshot, self.splits.mesh, target) {
            Destination::Service(found) => Some(found),
            Destination::Pod(_) | Destination::Unknown => None,
        }
    }
}
