//! From one issuer to the next without a moment at which two sidecars do not believe each other. Pure: what is, and what is known
//! of the world, give what comes next; the time is an argument.
//!
//! A new issuer's root is trusted first, by everybody. Then the issuer signs. The old root goes when nothing that it vouches for
//! is valid any more.

#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use jiff::Timestamp;

use super::{issuer::fingerprint, life};
use crate::model::Fingerprint;

/// Time for which a root is published at least before anything is signed under it, unless the operator is told otherwise. A
/// sidecar that has lost its operator may wait for five seconds, find an address that does not answer for five more, and needs a
/// connection and the review of its token after that; other replicas and the API server follow in less.
pub const SETTLE: Duration = Duration::from_secs(15);

/// An issuer and the root that it leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    /// The issuer.
    pub issuer: Fingerprint,
    /// Its root.
    pub root: Fingerprint,
}

/// An issuer that is to sign from some time on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Next {
    /// Which.
    pub link: Link,
    /// Since when its root is published.
    pub since: Timestamp,
}

/// A root that is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// In DER.
    pub certificate: Vec<u8>,
    /// When the last certificate under it expires; `None` while more are signed, or none were yet.
    pub retires: Option<Timestamp>,
}

impl Root {
    /// Names the root.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        fingerprint(&self.certificate)
    }
}

/// Who signs, who will, and who is trusted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Who signs.
    pub active: Link,
    /// Who will.
    pub next: Option<Next>,
    /// Who is trusted, in the order of their coming.
    pub roots: Vec<Root>,
    /// The longest life of certificates since the active issuer began to sign.
    pub longest_life: Duration,
}

/// An issuer that could sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Which.
    pub link: Link,
    /// Its root in DER.
    pub root: Vec<u8>,
}

/// What is known of the world.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// The time.
    pub now: Timestamp,
    /// The issuer that is wanted; `None` when it cannot be used.
    pub offer: Option<&'a Offer>,
    /// The active issuer's key is at hand, and the issuer valid.
    pub active_signs: bool,
    /// Everybody who is connected trusts exactly what the state says, and so do all copies of the bundle.
    pub followed: bool,
    /// Life of the certificates that are signed now.
    pub life: Duration,
    /// Time for which a root is published before anything is signed under it, at least: [`SETTLE`].
    pub settle: Duration,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The next issuer is known, and its root trusted.
    Introduced(Link),
    /// The next issuer is not wanted any more.
    Withdrawn(Link),
    /// The next issuer signs.
    Switched {
        /// Who signed.
        from: Link,
        /// Who signs.
        to: Link,
        /// The one before could sign no more, so that nobody was waited for.
        forced: bool,
    },
    /// A root is not trusted any more.
    Retired(Fingerprint),
}

impl State {
    /// The first issuer of a mesh.
    #[must_use]
    pub fn new(offer: &Offer, life: Duration) -> Self {
        let root = Root { certificate: offer.root.clone(), retires: None };
        Self { active: offer.link, next: None, roots: vec![root], longest_life: life }
    }

    /// Something is still to come.
    #[must_use]
    pub fn is_rotating(&self) -> bool {
        self.next.is_some() || self.roots.iter().any(|root| root.retires.is_some())
    }

    /// Does the one step that is due, if one is.
    pub fn advance(&mut self, facts: &Facts<'_>) -> Option<Step> {
        self.longest_life = self.longest_life.max(facts.life);
        // Written by a clock that was ahead: it would be waited for however far that is.
        if let Some(next) = self.next.as_mut().filter(|next| next.since > facts.now) {
            next.since = facts.now;
        }
        let wanted = facts.offer.filter(|offer| offer.link != self.active);
        if let Some(offer) = wanted.filter(|_| !facts.active_signs) {
            self.introduce(offer, facts.now);
            return Some(self.switch(offer.link, true, facts));
        }
        match (self.next, wanted) {
            (Some(next), Some(offer)) if next.link == offer.link => {
                if facts.followed && facts.now >= life::after(next.since, facts.settle) {
                    return Some(self.switch(next.link, false, facts));
                }
            }
            (_, Some(offer)) => {
                self.introduce(offer, facts.now);
                return Some(Step::Introduced(offer.link));
            }
            (Some(next), None) => {
                self.withdraw();
                return Some(Step::Withdrawn(next.link));
            }
            (None, None) => {}
        }
        self.retire(facts)
    }

    /// When time alone will change something.
    #[must_use]
    pub fn due(&self, settle: Duration) -> Option<Timestamp> {
        let next = self.next.map(|next| life::after(next.since, settle));
        self.roots.iter().filter_map(|root| root.retires).chain(next).min()
    }

    fn introduce(&mut self, offer: &Offer, now: Timestamp) {
        self.withdraw();
        if !self.roots.iter().any(|root| root.fingerprint() == offer.link.root) {
            self.roots.push(Root { certificate: offer.root.clone(), retires: None });
        }
        self.next = Some(Next { link: offer.link, since: now });
    }

    /// Forgets the next issuer, and its root unless something else needs it. Nothing was signed under it.
    fn withdraw(&mut self) {
        if let Some(next) = self.next.take() {
            let active = self.active.root;
            self.roots.retain(|root| {
                let fingerprint = root.fingerprint();
                fingerprint != next.link.root || fingerprint == active || root.retires.is_some()
            });
        }
    }

    fn switch(&mut self, to: Link, forced: bool, facts: &Facts<'_>) -> Step {
        let from = std::mem::replace(&mut self.active, to);
        self.next = None;
        let end = life::end_of_all(facts.now, self.longest_life);
        for root in &mut self.roots {
            let fingerprint = root.fingerprint();
            if fingerprint == to.root {
                root.retires = None;
            } else if fingerprint == from.root {
                root.retires = Some(end);
            }
        }
        self.longest_life = facts.life;
        Step::Switched { from, to, forced }
    }

    fn retire(&mut self, facts: &Facts<'_>) -> Option<Step> {
        let needed = [Some(self.active.root), self.next.map(|next| next.link.root)];
        let over = self.roots.iter().position(|root| {
            root.retires.is_some_and(|retires| retires <= facts.now) && !needed.contains(&Some(root.fingerprint()))
        });
        let over = over.filter(|_| facts.followed)?;
        Some(Step::Retired(self.roots.remove(over).fingerprint()))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Introduced(link) => {
                write!(f, "Root {} is trusted; issuer {} signs once every sidecar has it", link.root, link.issuer)
            }
            Self::Withdrawn(link) => write!(f, "Issuer {} is not wanted any more before it has signed", link.issuer),
            Self::Switched { from, to, forced: false } => {
                write!(f, "Issuer {} signs instead of {}", to.issuer, from.issuer)
            }
            Self::Switched { from, to, forced: true } => write!(
                f,
                "Issuer {} signs at once, because {} cannot: its key is lost, or it has expired. Sidecars that are not \
                 connected now may have to be restarted",
                to.issuer, from.issuer
            ),
            Self::Retired(root) => write!(f, "Root {root} is not trusted any more"),
        }
    }
}
