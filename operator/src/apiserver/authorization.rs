//! Whether a user may ask: the API server decides, and its answer holds for a moment.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec, SubjectAccessReviewStatus,
};
use kube::{Api, Client, api::PostParams, core::ObjectMeta};

use super::{
    authentication::User,
    status::{Denial, Refusal},
    types::GROUP,
};

/// Time that a permission holds without asking again.
const ALLOWED_FOR: Duration = Duration::from_secs(10);

/// Time that a denial holds; shorter, since whoever is denied gets the permission and tries again.
const DENIED_FOR: Duration = Duration::from_secs(5);

/// Decisions that are remembered at once.
const MAX_DECISIONS: usize = 4096;

/// What a user wants to do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Action {
    pub(super) verb: &'static str,
    pub(super) version: &'static str,
    pub(super) resource: &'static str,
    pub(super) subresource: &'static str,
    /// `None`: all of them.
    pub(super) namespace: Option<String>,
    /// Empty: all of them.
    pub(super) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Allowed,
    /// And why, if that was told.
    Denied(String),
}

/// Asks `SubjectAccessReviews`.
pub(super) struct Authorizer {
    client: Client,
    decisions: Decisions,
}

impl Authorizer {
    pub(super) fn new(client: Client) -> Self {
        Self { client, decisions: Decisions::default() }
    }

    /// Refuses what the user may not do, and everything when nobody can say.
    pub(super) async fn authorize(&self, user: &User, action: Action, now: Instant) -> Result<(), Refusal> {
        let key = (user.clone(), action);
        let decision = match self.decisions.get(&key, now) {
            Some(decision) => decision,
            None => {
                let decision = self.ask(user, &key.1).await?;
                self.decisions.insert(key.clone(), decision.clone(), now);
                decision
            }
        };
        let (_, action) = key;
        match decision {
            Decision::Allowed => Ok(()),
            Decision::Denied(reason) => Err(Refusal::Forbidden(Box::new(Denial {
                user: user.name.clone(),
                verb: action.verb,
                resource: action.resource,
                subresource: action.subresource,
                name: action.name,
                namespace: action.namespace,
                reason,
            }))),
        }
    }

    async fn ask(&self, user: &User, action: &Action) -> Result<Decision, Refusal> {
        let given = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let review = SubjectAccessReview {
            metadata: ObjectMeta::default(),
            spec: SubjectAccessReviewSpec {
                user: Some(user.name.clone()),
                uid: user.uid.clone(),
                groups: Some(user.groups.clone()),
                extra: Some(user.extra.clone()),
                resource_attributes: Some(ResourceAttributes {
                    verb: given(action.verb),
                    group: given(GROUP),
                    version: given(action.version),
                    resource: given(action.resource),
                    subresource: given(action.subresource),
                    namespace: action.namespace.clone(),
                    name: given(&action.name),
                    ..ResourceAttributes::default()
                }),
                non_resource_attributes: None,
            },
            status: None,
        };
        let reviews = Api::<SubjectAccessReview>::all(self.client.clone());
        let answer = reviews.create(&PostParams::default(), &review).await;
        let answer = answer.map_err(|error| Refusal::Unavailable(Box::new(error)))?;
        Ok(match answer.status {
            Some(SubjectAccessReviewStatus { allowed: true, denied: None | Some(false), .. }) => Decision::Allowed,
            Some(status) => Decision::Denied(status.reason.unwrap_or_default()),
            None => Decision::Denied(String::new()),
        })
    }
}

/// Decisions that still hold.
#[derive(Debug, Default)]
pub(super) struct Decisions(Mutex<HashMap<(User, Action), (Decision, Instant)>>);

impl Decisions {
    pub(super) fn get(&self, key: &(User, Action), now: Instant) -> Option<Decision> {
        let decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        decisions.get(key).filter(|(_, until)| now < *until).map(|(decision, _)| decision.clone())
    }

    pub(super) fn insert(&self, key: (User, Action), decision: Decision, now: Instant) {
        let holds = match decision {
            Decision::Allowed => ALLOWED_FOR,
            Decision::Denied(_) => DENIED_FOR,
        };
        let mut decisions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if decisions.len() >= MAX_DECISIONS {
            decisions.retain(|_, (_, until)| now < *until);
        }
        if decisions.len() >= MAX_DECISIONS {
            // So many in ten seconds are not worth an order of their own.
            decisions.clear();
        }
        decisions.insert(key, (decision, now + holds));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
