//! An answer for people.

use super::answer::{Answer, Compared, Considered, Group, Share, State, Verdict};
use super::caller::{Caller, Way};
use crate::output::{Row, table_of};

impl Row for Share {
    const HEADINGS: &'static [&'static str] = &["SERVICE", "SHARE", "READY", "WHY NOT"];

    fn cells(&self) -> Vec<String> {
        let why_not = match (&self.reason, &self.message) {
            (Some(reason), Some(message)) => format!("{reason}: {message}"),
            (Some(reason), None) => (*reason).to_owned(),
            (None, _) => String::new(),
        };
        vec![self.service.clone(), percent(self.percent), self.ready_endpoints.to_string(), why_not]
    }
}

/// The whole answer: what is asked, who decides, who serves, and why not the others.
pub(super) fn text(answer: &Answer) -> String {
    let mut lines = vec![asked(answer), String::new(), decided(answer)];
    if !answer.backends.is_empty() {
        lines.push(String::new());
        lines.extend(table_of(&answer.backends).lines().map(|line| format!("  {line}")));
    }
    if !answer.splits.is_empty() {
        lines.extend([String::new(), "Splits of the service, in the order in which they are asked:".to_owned()]);
        lines.extend(answer.splits.iter().flat_map(considered));
    }
    if !answer.notes.is_empty() {
        lines.push(String::new());
        lines.extend(answer.notes.iter().map(|note| format!("Note: {note}")));
    }
    lines.join("\n") + "\n"
}

fn asked(answer: &Answer) -> String {
    let (request, root) = (&answer.request, &answer.root);
    let port = root.port.map(|port| format!(" port {port}")).unwrap_or_default();
    let to = format!("to service {}/{}{port}", root.namespace, root.name);
    let from = format!("from {}", caller(&answer.caller));
    format!("{} {} ({}) {to}, {from}", request.method, request.path, request.authority)
}

fn caller(caller: &Caller) -> String {
    let Caller { namespace, workload, pods, meshed, .. } = caller;
    match (workload, pods, meshed) {
        (Some(owner), Some(pods), Some(meshed)) => {
            format!("{} {namespace}/{} ({meshed} of {pods} pods with a sidecar)", owner.kind, owner.name)
        }
        _ => format!("any client in {namespace} with a sidecar"),
    }
}

fn decided(answer: &Answer) -> String {
    let own = answer.split.is_none() && !answer.backends.is_empty();
    let end = match answer.outcome {
        Verdict::Served if own => ": the service's own endpoints serve.",
        Verdict::Served | Verdict::UnknownRoot => ".",
        Verdict::Outside => ": nobody in the cluster can see what becomes of it.",
        Verdict::Unserved if matches!(answer.caller.way, Way::NoSidecar | Way::PastTheSidecar) => {
            ": and the service has no ready endpoints, so that the connection fails."
        }
        Verdict::Unserved if answer.root.opaque => ", and nobody is ready to serve: the connection is closed.",
        Verdict::Unserved => ", and nobody is ready to serve: the answer is 503 (weft-error: no-endpoints).",
    };
    let mut summary = answer.summary.clone();
    if let Some(first) = summary.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    summary + end
}

fn considered(split: &Considered) -> Vec<String> {
    let mark = match split.state {
        State::InForce => '*',
        State::NoMatch | State::NotReached | State::NotLookedInto | State::Rejected | State::NotSplit => '-',
    };
    let mut lines = vec![format!("  {mark} {}: {}", split.name, split.message)];
    lines.extend(split.groups.iter().flat_map(group));
    lines
}

fn group(group: &Group) -> Vec<String> {
    let problem = group.problem.iter().map(|problem| format!("      {}: {problem}", group.name));
    let matches = group.matches.iter().map(|Compared { name, met, message, .. }| {
        let (mark, message) = if *met { ("met", "") } else { ("not met: ", message.as_deref().unwrap_or_default()) };
        format!("      {}/{name}: {mark}{message}", group.name)
    });
    problem.chain(matches).collect()
}

/// A share with at most two digits after the point.
fn percent(share: f64) -> String {
    let text = format!("{share:.2}");
    let short = text.trim_end_matches('0').trim_end_matches('.');
    // What is not nothing must not look so.
    if short == "0" && share > 0.0 { "<0.01 %".to_owned() } else { format!("{short} %") }
}
