//! The splits of a root: what each has to do with a request, and who gets which share of it.

use std::collections::BTreeMap;
use std::num::NonZeroU16;

use weft_operator::compile::{self, Finding, Judgement, Mesh};
use weft_operator::model::{AppliedSplit, Backend, ServiceRef, Snapshot, SplitRef};
use weft_policy::root;

use super::answer::{Considered, Deciding, Group, Share, State};
use super::compare::{self, Written};

/// How far what is sent comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// To no split.
    None,
    /// To those that split connections.
    Connection,
    /// To all.
    Request,
}

/// The splits of a root, and the request that they are to be compared with.
#[derive(Clone, Copy)]
pub(super) struct Splits<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) mesh: &'a Mesh,
    pub(super) root: &'a ServiceRef,
    pub(super) request: &'a Written,
}

impl Splits<'_> {
    /// The route groups of a split, compared with the request.
    pub(super) fn groups(&self, split: &SplitRef) -> Vec<Group> {
        compare::groups(self.snapshot, split, self.request)
    }

    /// Every split of the root: those that are in force, in their order, and then those that are not, by name.
    pub(super) fn considered(
        &self,
        reach: Reach,
        in_force: &[&AppliedSplit],
        deciding: Option<&SplitRef>,
    ) -> Vec<Considered> {
        let mut judged: BTreeMap<&SplitRef, Judgement> = self
            .snapshot
            .splits
            .keys()
            .filter(|name| name.namespace == self.root.namespace)
            .map(|name| (name, compile::judge(self.snapshot, self.mesh, name)))
            .filter(|(_, judgement)| judgement.root.as_ref() == Some(self.root))
            .collect();
        let ordered = in_force.iter().filter_map(|applied| judged.remove_entry(&applied.split)).collect::<Vec<_>>();
        ordered
            .into_iter()
            .chain(judged)
            .map(|(name, judgement)| self.consider(name, &judgement, reach, deciding))
            .collect()
    }

    fn consider(
        &self,
        name: &SplitRef,
        judgement: &Judgement,
        reach: Reach,
        deciding: Option<&SplitRef>,
    ) -> Considered {
        let groups = self.groups(name);
        let is_conditional = self.snapshot.splits.get(name).is_some_and(|split| !split.matches.is_empty());
        let rejection = judgement.findings.iter().find(|finding| finding.rejects());
        let missing = judgement.findings.iter().find(|finding| matches!(finding, Finding::RootNotFound { .. }));
        let (state, message) = match (rejection.or(missing), deciding) {
            (Some(finding), _) => (State::Rejected, finding.to_string()),
            (None, _) if reach == Reach::None => (State::NotSplit, "nothing is split here".to_owned()),
            (None, Some(deciding)) if deciding == name => (State::InForce, self.why(judgement, &groups)),
            (None, _) if is_conditional && reach == Reach::Connection => {
                (State::NotLookedInto, "it is for requests, and nobody looks into the connection".to_owned())
            }
            (None, _) if is_conditional && compare::met(&groups).is_none() => {
                (State::NoMatch, "the request meets none of its matches".to_owned())
            }
            (None, deciding) => {
                let winner = deciding.map(|deciding| deciding.name.as_str()).unwrap_or_default();
                (State::NotReached, format!("TrafficSplit {winner} is asked before it"))
            }
        };
        Considered { name: name.name.clone(), state, message, groups }
    }

    /// Why a split decides.
    fn why(&self, judgement: &Judgement, groups: &[Group]) -> String {
        let zero = judgement.findings.iter().find(|finding| matches!(finding, Finding::ZeroWeight { .. }));
        match (zero, compare::met(groups)) {
            (Some(finding), _) => finding.to_string(),
            (None, Some(route)) => format!("the request meets match {} of HTTPRouteGroup {}", route.name, route.group),
            (None, None) => "it is for all requests that no other split takes".to_owned(),
        }
    }

    /// Who serves with which share, and why not the others. `ready` counts the endpoints of a service.
    pub(super) fn shares(
        &self,
        chosen: &[Backend],
        deciding: Option<&Deciding>,
        port: NonZeroU16,
        ready: &dyn Fn(&ServiceRef) -> usize,
    ) -> Vec<Share> {
        let total: u128 = chosen.iter().map(|backend| u128::from(backend.weight)).sum();
        let share = |backend: &Backend| percent(backend.weight, total);
        let mut shares = Vec::new();
        let mut rest: Vec<&Backend> = chosen.iter().collect();
        if let Some(deciding) = deciding {
            let name = SplitRef { namespace: deciding.namespace.clone(), name: deciding.name.clone() };
            let findings = compile::judge(self.snapshot, self.mesh, &name).findings;
            for written in self.snapshot.splits.get(&name).iter().flat_map(|split| &split.backends) {
                let parsed = root::parse(&written.service, &name.namespace, &self.mesh.cluster_domain);
                let service = parsed.as_ref().unwrap_or(&written.service);
                let taken = rest.iter().position(|backend| backend.service.name == *service);
                let backend = taken.map(|index| rest.remove(index));
                let key = ServiceRef { namespace: name.namespace.clone(), name: service.clone() };
                let count = backend.map_or_else(|| ready(&key), |backend| backend.endpoints.len());
                let (reason, message) = match (backend, written.weight) {
                    (Some(_), _) if count > 0 => (None, None),
                    (None, 0) => (Some("NoWeight"), Some("its weight is 0".to_owned())),
                    _ => why_not(&findings, service, parsed.as_ref().err(), port),
                };
                shares.push(Share {
                    service: service.clone(),
                    weight: Some(written.weight),
                    percent: backend.map_or(0.0, share),
                    ready_endpoints: count,
                    reason,
                    message,
                });
            }
        }
        // The root itself, where no split decides or no weight of it is above 0.
        shares.extend(rest.into_iter().map(|backend| {
            let count = backend.endpoints.len();
            let (reason, message) = match count {
                0 => (Some("NoReadyEndpoints"), Some(format!("it has no ready endpoints for port {port}"))),
                _ => (None, None),
            };
            let (service, percent) = (backend.service.name.clone(), share(backend));
            Share { service, weight: None, percent, ready_endpoints: count, reason, message }
        }));
        shares
    }
}

/// What the operator found of a backend at this port.
fn why_not(
    findings: &[Finding],
    backend: &str,
    invalid: Option<&root::InvalidName>,
    port: NonZeroU16,
) -> (Option<&'static str>, Option<String>) {
    let is_about = |finding: &&Finding| {
        finding.backend().is_some_and(|(name, of)| name == backend && of.is_none_or(|of| of == port))
    };
    let invalid = invalid.cloned().map(Finding::InvalidBackend);
    let found = findings.iter().find(is_about).or(invalid.as_ref());
    (found.map(Finding::reason), found.map(ToString::to_string))
}

/// A share in percent. Weights are below 2^32 and backends few, so that both numbers are exact.
#[expect(clippy::cast_precision_loss, reason = "both numbers are below 2^53")]
fn percent(weight: u64, total: u128) -> f64 {
    if total == 0 { 0.0 } else { weight as f64 * 100.0 / total as f64 }
}
