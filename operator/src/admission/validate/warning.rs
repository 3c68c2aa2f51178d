//! What is said about an object that is taken. Every message begins with the field.

use std::num::NonZeroU16;

use thiserror::Error;

use crate::compile::Share;

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
    #[error(
        "spec.rules[{index}].matches: a {kind} has one match at most, and a rule that names another grants nothing; remove the names"
    )]
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
