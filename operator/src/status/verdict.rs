//! Pure: what is to be said about an object, and how it differs from what its status says already.

use k8s_openapi::{
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
    jiff::Timestamp,
};
use smi_crds::{
    SmiStatus,
    condition::{ACCEPTED, CONFLICTED, PROGRAMMED, RESOLVED_REFS},
};

/// Types of conditions that are Weft's.
const OWN: [&str; 4] = [ACCEPTED, CONFLICTED, PROGRAMMED, RESOLVED_REFS];
/// How many of many a message names.
const NAMED: usize = 10;
/// What one finding may take in a message, in bytes, so that ten of them and an Event's note fit. Source: the API server takes
/// 32768 characters of a condition's message and 1024 of an Event's note.
const WORDS: usize = 1000;
/// The same of a whole message.
const MESSAGE: usize = 32_000;

pub(super) const TRUE: &str = "True";
pub(super) const FALSE: &str = "False";
pub(super) const UNKNOWN: &str = "Unknown";

/// A condition without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) type_: &'static str,
    pub(super) status: &'static str,
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// Something that an object's author is told by an Event, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Notice {
    pub(super) reason: &'static str,
    pub(super) text: String,
    /// What it is about, beside the object itself.
    pub(super) about: Option<About>,
}

/// Another object of the same namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    /// A Service, or a part of it.
    Service { name: String, field_path: Option<String> },
    /// An HTTPRouteGroup.
    Group { name: String },
}

/// Everything that is to be said about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) uid: String,
    pub(super) generation: i64,
    pub(super) judgements: Vec<Judgement>,
    pub(super) notices: Vec<Notice>,
    /// Sidecars have still to answer, which they are about to do.
    pub(super) pending: bool,
}

/// In what a verdict differs from a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Difference {
    /// Only in words, such as a count.
    Words,
    /// In what will have changed again in a moment.
    Pending,
    /// In what it says.
    Sense,
}

impl Notice {
    /// As much of its text as an Event takes, and a condition that names several.
    pub(super) fn words(&self) -> &str {
        &self.text[..self.text.floor_char_boundary(WORDS)]
    }
}

impl Judgement {
    pub(super) fn new(
        type_: &'static str,
        status: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self { type_, status, reason, message: cut(message.into(), MESSAGE) }
    }
}

impl Verdict {
    /// `None` when a status says this already.
    pub(super) fn difference(&self, status: &SmiStatus) -> Option<Difference> {
        let known = |type_: &str| status.conditions.iter().find(|condition| condition.type_ == type_);
        let mut words = false;
        let mut sense = status.observed_generation != Some(self.generation);
        for judgement in &self.judgements {
            match known(judgement.type_) {
                Some(known) => {
                    sense |= known.status != judgement.status
                        || known.reason != judgement.reason
                        || known.observed_generation != Some(self.generation);
                    words |= known.message != judgement.message;
                }
                None => sense = true,
            }
        }
        sense |= OWN
            .iter()
            .any(|own| known(own).is_some() && !self.judgements.iter().any(|judgement| judgement.type_ == *own));
        match (sense, self.pending) {
            (true, false) => Some(Difference::Sense),
            (true, true) => Some(Difference::Pending),
            (false, _) => words.then_some(Difference::Words),
        }
    }

    /// The status that says it as of `now`. A condition that keeps its status keeps its `lastTransitionTime` from `current`.
    pub(super) fn status(&self, current: &SmiStatus, now: Timestamp) -> SmiStatus {
        let condition = |judgement: &Judgement| {
            let same = |known: &&Condition| known.type_ == judgement.type_ && known.status == judgement.status;
            let kept = current.conditions.iter().find(same);
            Condition {
                type_: judgement.type_.to_owned(),
                status: judgement.status.to_owned(),
                reason: judgement.reason.to_owned(),
                message: judgement.message.clone(),
                observed_generation: Some(self.generation),
                last_transition_time: kept.map_or(Time(now), |known| known.last_transition_time.clone()),
            }
        };
        SmiStatus {
            conditions: self.judgements.iter().map(condition).collect(),
            observed_generation: Some(self.generation),
        }
    }

    /// What the author has not been told: every notice that the verdict has words for and `current` has not. As the status
    /// remembers it, a new operator does not say it all again.
    pub(super) fn news(&self, current: &SmiStatus) -> Vec<&Notice> {
        let says =
            |notice: &&Notice| self.judgements.iter().any(|judgement| judgement.message.contains(notice.words()));
        let said = |notice: &&Notice| current.conditions.iter().any(|known| known.message.contains(notice.words()));
        self.notices.iter().filter(says).filter(|notice| !said(notice)).collect()
    }
}

/// Some of many texts as one.
pub(super) fn join(parts: &[impl ToString], separator: &str) -> String {
    let mut named: Vec<String> = parts.iter().take(NAMED).map(|part| cut(part.to_string(), WORDS)).collect();
    if parts.len() > NAMED {
        named.push(format!("and {} more", parts.len() - NAMED));
    }
    named.join(separator)
}

/// The beginning of a text that is too long.
fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// A number and the word for it: `1 pod`, `2 pods`.
pub(super) fn count(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: &'static str, reason: &'static str, message: &str) -> Verdict {
        Verdict {
            uid: "1".to_owned(),
            generation: 2,
            judgements: vec![Judgement::new(PROGRAMMED, status, reason, message)],
            notices: vec![Notice { reason, text: message.to_owned(), about: None }],
            pending: false,
        }
    }

    fn after(verdict: &Verdict) -> SmiStatus {
        verdict.status(&SmiStatus::default(), Timestamp::UNIX_EPOCH)
    }

    #[test]
    fn tells_what_differs() {
        let old = after(&verdict(TRUE, "Programmed", "1 of 1"));
        let pending = |verdict: Verdict| Verdict { pending: true, ..verdict };
        let later = Verdict { generation: 3, ..verdict(TRUE, "Programmed", "1 of 1") };
        let none = Verdict { judgements: Vec::new(), ..verdict(TRUE, "Programmed", "") };
        for (name, verdict, want) in [
            ("nothing", verdict(TRUE, "Programmed", "1 of 1"), None),
            ("a count", verdict(TRUE, "Programmed", "2 of 2"), Some(Difference::Words)),
            ("a reason", verdict(TRUE, "Unused", "1 of 1"), Some(Difference::Sense)),
            ("a status", verdict(FALSE, "Programmed", "1 of 1"), Some(Difference::Sense)),
            ("on its way", pending(verdict(FALSE, "Pending", "1 of 2")), Some(Difference::Pending)),
            ("still on its way", pending(verdict(TRUE, "Programmed", "1 of 2")), Some(Difference::Words)),
            ("a generation", later, Some(Difference::Sense)),
            ("one condition less", none, Some(Difference::Sense)),
        ] {
            assert_eq!(verdict.difference(&old), want, "{name}");
        }
        assert_eq!(verdict(TRUE, "Programmed", "").difference(&SmiStatus::default()), Some(Difference::Sense), "new");
    }

    #[test]
    fn keeps_the_time_of_the_last_change_of_a_status() {
        let now = Timestamp::from_second(1000).unwrap();
        let old = after(&verdict(FALSE, "Pending", "1 of 2"));
        for (name, verdict, want) in [
            ("kept its status", verdict(FALSE, "Refused", "1 of 2"), Timestamp::UNIX_EPOCH),
            ("changed its status", verdict(TRUE, "Programmed", "2 of 2"), now),
        ] {
            assert_eq!(verdict.status(&old, now).conditions[0].last_transition_time.0, want, "{name}");
        }
    }

    #[test]
    fn tells_news_only() {
        let bad = verdict(FALSE, "RootNotFound", "root service web does not exist");
        assert_eq!(bad.news(&SmiStatus::default()).len(), 1, "first");
        assert_eq!(bad.news(&after(&bad)).len(), 0, "said already, if by another operator");
        let elsewhere = verdict(FALSE, "RootNotFound", "root service api does not exist");
        assert_eq!(bad.news(&after(&elsewhere)).len(), 1, "another finding");
        let unsaid = Verdict { judgements: Vec::new(), ..bad };
        assert_eq!(unsaid.news(&SmiStatus::default()).len(), 0, "left out, so nothing would remember it");
    }

    #[test]
    fn names_some_of_many() {
        let many: Vec<usize> = (1..=1000).collect();
        assert!(join(&many, "; ").ends_with("; 10; and 990 more"));
        assert_eq!(join(&many[..2], "; "), "1; 2");
        let long = "é".repeat(1000);
        let said = Judgement::new(PROGRAMMED, FALSE, "Long", join(&[&long, &long], "; "));
        assert_eq!(said.message.len(), 2 * WORDS + 2);
        let notice = Notice { reason: "Long", text: long, about: None };
        let verdict = Verdict { judgements: vec![said], notices: vec![notice], ..verdict(FALSE, "Long", "") };
        assert_eq!(verdict.news(&SmiStatus::default()).len(), 1, "an Event of as much as the condition says");
        assert_eq!(verdict.news(&after(&verdict)).len(), 0, "said already");
        assert_eq!(Judgement::new(PROGRAMMED, FALSE, "Long", "x".repeat(40_000)).message.len(), MESSAGE);
        assert_eq!((count(1, "pod", "pods"), count(0, "pod", "pods")), ("1 pod".to_owned(), "0 pods".to_owned()));
    }
}
