//! What becomes of a request, as it is printed. Field names of the JSON are not renamed or removed.

use serde::Serialize;

use super::caller::Caller;
use crate::outcome::Outcome;

/// What becomes of a request, and why.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer {
    /// Whether anybody serves it.
    pub(super) outcome: Verdict,
    /// Who decides, in a sentence.
    pub(super) summary: String,
    /// What is sent.
    pub(super) request: Sent,
    /// Who sends it.
    pub(super) caller: Caller,
    /// The service that it is sent to.
    pub(super) root: Root,
    /// The split that decides; `None` where the root's own endpoints serve.
    pub(super) split: Option<Deciding>,
    /// Who serves it with which share, and who does not.
    pub(super) backends: Vec<Share>,
    /// Every split of the root, in the order in which they are asked, those that are not in force last.
    pub(super) splits: Vec<Considered>,
    /// What else one should know.
    pub(super) notes: Vec<String>,
}

/// Whether a request is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Verdict {
    /// By one of the backends with a share.
    Served,
    /// Nobody is there who could: 503 from a sidecar.
    Unserved,
    /// There is no such service, or it has no such port.
    UnknownRoot,
    /// It leaves the cluster, where nobody can see what becomes of it.
    Outside,
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Served => Self::Yes,
            Verdict::Unserved | Verdict::UnknownRoot => Self::No,
            Verdict::Outside => Self::Unknown,
        }
    }
}

/// What is sent.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) authority: String,
    /// Names and values, in the order given.
    pub(super) headers: Vec<(String, String)>,
}

/// The service that a request is sent to.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Root {
    pub(super) namespace: String,
    pub(super) name: String,
    /// `None` where the service has no such port.
    pub(super) port: Option<u16>,
    /// It has no address of its own; clients reach its pods by the name.
    pub(super) headless: bool,
    /// What is sent there is passed on as bytes: by connection, whatever the requests are.
    pub(super) opaque: bool,
}

/// The split that decides, and by what.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Deciding {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) generation: i64,
    /// The first match that the request meets; `None` where the split is for all requests.
    pub(super) route: Option<Route>,
}

/// A match of an HTTPRouteGroup.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Route {
    pub(super) group: String,
    #[serde(rename = "match")]
    pub(super) name: String,
}

/// A service, and what it gets of such requests.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Share {
    pub(super) service: String,
    /// As the split says; `None` where no split does.
    pub(super) weight: Option<u64>,
    /// Share of such requests, 0 to 100.
    pub(super) percent: f64,
    /// How many endpoints are ready for the root's port.
    pub(super) ready_endpoints: usize,
    /// Why it gets nothing, or cannot serve what it gets: the reason that the split's status has as well.
    pub(super) reason: Option<&'static str>,
    /// The same in a sentence.
    pub(super) message: Option<String>,
}

/// A split of the root.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Considered {
    pub(super) name: String,
    pub(super) state: State,
    /// Why, in a sentence.
    pub(super) message: String,
    /// Its route groups and what the request has to do with them; none for a split of all requests.
    pub(super) groups: Vec<Group>,
}

/// What a split has to do with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum State {
    /// It decides.
    InForce,
    /// It is for some requests only, and this is none of them.
    NoMatch,
    /// A split that is asked earlier takes the request.
    NotReached,
    /// It is for requests of HTTP, and nobody looks into this connection.
    NotLookedInto,
    /// It is not applied at all.
    Rejected,
    /// What the caller sends is not split.
    NotSplit,
}

/// A route group of a split.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Group {
    pub(super) name: String,
    /// Why it contributes nothing: it is not there, or not accepted.
    pub(super) problem: Option<String>,
    pub(super) matches: Vec<Compared>,
}

/// A match, and whether a request meets it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Compared {
    pub(super) name: String,
    pub(super) met: bool,
    /// The first condition that is not met.
    pub(super) unmet: Option<Condition>,
    /// The same in a sentence.
    pub(super) message: Option<String>,
}

/// What a match can ask of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Condition {
    /// Another method.
    Method,
    /// Another path.
    Path,
    /// The path means different things to different servers, and is compared with no pattern.
    AmbiguousPath,
    /// No such header.
    MissingHeader,
    /// Another value of a header.
    HeaderValue,
}
