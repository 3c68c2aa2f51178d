//! What is said about an object. Every message begins with the field and ends with what to do.

use std::num::NonZeroU16;

use smi_crds::{
    access::v1alpha4::UnreadablePort,
    specs::v1alpha4::{HeaderProblem, MatchesError},
};
use thiserror::Error;
use weft_policy::{http::InvalidMatch, root::InvalidName};

use super::identity_binding::InvalidSpiffeId;
use crate::compile::{Share, object_name::InvalidObjectName};

/// Everything that is wrong with an object, in the order of its fields.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Why it is not taken. Empty: it is.
    pub refusals: Vec<Refusal>,
    /// What its author should know although it is taken.
    pub warnings: Vec<Warning>,
}

impl Verdict {
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refusals.push(refusal);
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        self.warnings.push(warning);
    }
}

/// Why an object is not taken: it can mean nothing, or two things.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The object is not of its kind's form.
    #[error("{path}: {problem}")]
    Unreadable {
        /// The field, as far as it can be told.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The root names no Service of the namespace.
    #[error("spec.service: {0}")]
    Root(#[source] InvalidName),
    /// A backend names no Service of the namespace.
    #[error("spec.backends[{index}].service: {problem}")]
    Backend {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        problem: InvalidName,
    },
    /// Two backends are one Service.
    #[error(
        "spec.backends[{index}].service: {service} is the service of spec.backends[{first}] already: keep one, with the sum \
         of the weights"
    )]
    BackendTwice {
        /// The later one.
        index: usize,
        /// The earlier one.
        first: usize,
        /// What both name.
        service: String,
    },
    /// A split names one group twice.
    #[error("spec.matches[{index}]: HTTPRouteGroup {group} is named before: keep one")]
    GroupTwice {
        /// The later one.
        index: usize,
        /// What both name.
        group: String,
    },
    /// A match cannot be compared with requests.
    #[error("{path}[{index}]: {problem}")]
    Match {
        /// The list it stands in.
        path: &'static str,
        /// Where it stands in it.
        index: usize,
        /// What is wrong with it.
        #[source]
        problem: InvalidMatch,
    },
    /// The headers of a match hardly mean what they should.
    #[error("{path}[{index}]: match {name:?}: {problem}")]
    Headers {
        /// The list it stands in.
        path: &'static str,
        /// Where it stands in it.
        index: usize,
        /// Name of the match.
        name: String,
        /// What is wrong with them.
        #[source]
        problem: HeaderProblem,
    },
    /// A name that no object can have.
    #[error("{path}: {problem}")]
    ObjectName {
        /// The field.
        path: String,
        /// What is wrong with it.
        #[source]
        problem: InvalidObjectName,
    },
    /// A group has matches in two places, or in none.
    #[error(transparent)]
    Matches(MatchesError),
    /// Two matches of a group have one name.
    #[error(
        "{path}[{index}].name: {name:?} is the name of {path}[{first}] already: rename one, rules refer to them by name"
    )]
    MatchTwice {
        /// The list.
        path: &'static str,
        /// The later one.
        index: usize,
        /// The earlier one.
        first: usize,
        /// What both are called.
        name: String,
    },
    /// A TrafficTarget speaks for another namespace.
    #[error(
        "spec.destination.namespace: {found:?} is another namespace than the TrafficTarget's own, {own:?}: remove the field, \
         or create the TrafficTarget there"
    )]
    OtherNamespace {
        /// What is written.
        found: String,
        /// Where it is written.
        own: String,
    },
    /// The port that the target was limited to in an older version cannot be read.
    #[error(transparent)]
    Port(UnreadablePort),
    /// A rule names one match twice.
    #[error("spec.rules[{rule}].matches[{index}]: {name:?} is named before: keep one")]
    RuleMatchTwice {
        /// Which rule, from 0.
        rule: usize,
        /// The later one.
        index: usize,
        /// What both name.
        name: String,
    },
    /// Two rules name one route.
    #[error(
        "spec.rules[{index}]: {kind} {name} is named by spec.rules[{first}] already: keep one, with the matches of both"
    )]
    RuleTwice {
        /// The later one.
        index: usize,
        /// The earlier one.
        first: usize,
        /// Kind of the route.
        kind: &'static str,
        /// Name of the route.
        name: String,
    },
    /// An IdentityBinding binds nobody.
    #[error(
        "spec.schemes: there is no identity in it: give at least one of podLabelSelector, serviceAccount and spiffeIdentities"
    )]
    NoIdentity,
    /// A SPIFFE ID that no certificate can have.
    #[error("spec.schemes.spiffeIdentities[{index}]: {problem}")]
    SpiffeId {
        /// Which one, from 0.
        index: usize,
        /// What is wrong with it.
        #[source]
        problem: InvalidSpiffeId,
    },
    /// A requirement that compares with nothing.
    #[error(
        "spec.schemes.podLabelSelector.matchExpressions[{index}].values: {operator} needs at least one value: add one, or use \
         Exists or DoesNotExist"
    )]
    NoValues {
        /// Which one, from 0.
        index: usize,
        /// As written.
        operator: String,
    },
    /// A requirement that compares although it must not.
    #[error(
        "spec.schemes.podLabelSelector.matchExpressions[{index}].values: {operator} takes no values: remove them, or use In or \
         NotIn"
    )]
    UnwantedValues {
        /// Which one, from 0.
        index: usize,
        /// As written.
        operator: String,
    },
}

/// What the author of an object should know although it is taken. The API server cuts longer ones than 256 bytes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Warning {
    /// The root does not exist (yet).
    #[error("spec.service: there is no Service {0} in this namespace; the split acts once there is one")]
    NoRoot(String),
    /// The root is a name for something outside.
    #[error("spec.service: Service {0} is an ExternalName, which cannot be split; name one with endpoints")]
    ExternalRoot(String),
    /// A backend is a name for something outside.
    #[error(
        "spec.backends[{index}].service: Service {service} is an ExternalName, which gets no share; name one with endpoints"
    )]
    ExternalBackend {
        /// Which one, from 0.
        index: usize,
        /// The Service.
        service: String,
    },
    /// A backend does not exist (yet).
    #[error("spec.backends[{index}].service: there is no Service {service} in this namespace; until there is, {share}")]
    NoBackend {
        /// Which one, from 0.
        index: usize,
        /// As written.
        service: String,
        /// What becomes of its share.
        share: Share,
    },
    /// A backend is the root.
    #[error(
        "spec.backends[{index}].service: {service} is the root service itself; its share goes to its own endpoints"
    )]
    BackendIsRoot {
        /// Which one, from 0.
        index: usize,
        /// What both are.
        service: String,
    },
    /// A backend is the root of another split.
    #[error(
        "spec.backends[{index}].service: {service} is the root of TrafficSplit {split}; its share goes to its own endpoints and is not split again"
    )]
    BackendIsSplit {
        /// Which one, from 0.
        index: usize,
        /// The Service.
        service: String,
        /// Whose root it is.
        split: String,
    },
    /// Splits lead round in a circle.
    #[error(
        "spec.backends: the splits form a cycle: {0}; traffic does not go round, each share goes to the endpoints of its first backend"
    )]
    Cycle(String),
    /// No weight is above zero.
    #[error("spec.backends: all weights are 0, so root service {0} serves by its own endpoints")]
    ZeroWeight(String),
    /// Another split of the same root comes first.
    #[error(
        "spec.service: root service {root} is split by the older TrafficSplit {older}; this one is not applied while that exists"
    )]
    Conflict {
        /// The root.
        root: String,
        /// Whose root it is already.
        older: String,
    },
    /// A group that a split names does not exist (yet).
    #[error(
        "spec.matches[{index}]: there is no HTTPRouteGroup {group} in this namespace; until there is, it matches no request"
    )]
    NoGroup {
        /// Which one, from 0.
        index: usize,
        /// As written.
        group: String,
    },
    /// A group matches nothing.
    #[error("spec.matches: there is no match in it, so no request is meant by it")]
    NoMatches,
    /// A TrafficTarget without rules.
    #[error("spec.rules: there is none, so nothing is allowed by it")]
    NoRules,
    /// A TrafficTarget without sources.
    #[error("spec.sources: there is none, so nobody is allowed by it")]
    NoSources,
    /// A group that a rule names does not exist (yet).
    #[error(
        "spec.rules[{index}]: there is no HTTPRouteGroup {name} in this namespace; until there is, the rule allows nothing"
    )]
    NoRoute {
        /// Which one, from 0.
        index: usize,
        /// Name of the group.
        name: String,
    },
    /// A match that a rule names is not in its group (yet).
    #[error(
        "spec.rules[{rule}].matches[{index}]: HTTPRouteGroup {group} has no match {name:?}; until it has, nothing is allowed by that name"
    )]
    NoSuchMatch {
        /// Which rule, from 0.
        rule: usize,
        /// Which of its matches, from 0.
        index: usize,
        /// The group.
        group: String,
        /// As written.
        name: String,
    },
    /// Matches of a kind that has no named matches.
    #[error("spec.rules[{index}].matches: a {kind} has no named matches, so the names say nothing; remove them")]
    MatchesOfPorts {
        /// Which one, from 0.
        index: usize,
        /// Kind of the route.
        kind: &'static str,
    },
    /// A route names a port twice.
    #[error(
        "spec.matches.ports[{index}]: port {port} is spec.matches.ports[{first}] already and counts once; remove one of them"
    )]
    PortTwice {
        /// The later one.
        index: usize,
        /// The earlier one.
        first: usize,
        /// The port.
        port: NonZeroU16,
    },
    /// A selector without requirements.
    #[error("spec.schemes.podLabelSelector: it is empty, so every pod of this namespace belongs to the binding")]
    EveryPod,
}
