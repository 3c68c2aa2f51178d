//! What is said about an object, and why one is refused. Every message begins with the field and ends with what to do.

use smi_crds::{
    access::v1alpha4::UnreadablePort,
    specs::v1alpha4::{HeaderProblem, MatchesError},
};
use thiserror::Error;
use weft_policy::{http::InvalidMatch, root::InvalidName};

use super::{Warning, identity_binding::InvalidSpiffeId};
use crate::{compile::object_name::InvalidObjectName, model::MAX_PATTERNS};

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
    /// A group would take long to compile.
    #[error(
        "{path}: the matches have {patterns} patterns in pathRegex and headers, and at most {MAX_PATTERNS} are compiled: divide \
         them among groups"
    )]
    TooManyPatterns {
        /// The list.
        path: &'static str,
        /// How many there are.
        patterns: usize,
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
