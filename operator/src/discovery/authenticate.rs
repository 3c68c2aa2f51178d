//! Whose stream it is: the pod that the service account token was made for.

use std::{error::Error, sync::Arc, time::Duration};

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use kube::{Api, Client, api::PostParams};
use thiserror::Error;
use tokio::time::{error::Elapsed, timeout};
use tonic::{Extensions, Status, metadata::MetadataMap};
use weft_proxy_api::TOKEN_AUDIENCE;

use super::turnstile::{Busy, Limits, Turnstile};
use crate::{https::Peer, model::PodRef};

/// `extra` of a bound service account token that holds the pod's name.
/// Source: `k8s.io/apiserver/pkg/authentication/serviceaccount`, `PodNameKey`.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
/// `extra` that holds the pod's `metadata.uid`. Source: as above, `PodUIDKey`.
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";
/// Time that the API server has for a review. One that hangs must not keep the turns of others for as long as a connection lives.
const REVIEW_LIMIT: Duration = Duration::from_secs(10);

/// An authenticated sidecar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// Its pod.
    pub pod: PodRef,
    /// `metadata.uid` of its pod.
    pub pod_uid: String,
    /// Service account of the pod.
    pub service_account: String,
}

/// Why it is not known who calls.
#[derive(Debug, Error)]
pub enum AuthenticateError {
    /// The token does not name a pod.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// Too many ask.
    #[error("{0}, try again")]
    Busy(#[from] Busy),
    /// The API server cannot be asked.
    #[error("the operator cannot ask the API server about the token")]
    Review(#[from] kube::Error),
    /// The API server does not answer.
    #[error("the API server did not answer within {} s about the token", REVIEW_LIMIT.as_secs())]
    TooSlow(#[from] Elapsed),
}

/// Why a token does not name a pod.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Refused {
    /// There is none.
    #[error("the metadata has no entry `authorization: Bearer <token>`")]
    NoToken,
    /// The API server says so.
    #[error("the token is not valid for the audience {TOKEN_AUDIENCE}: {0}")]
    Invalid(String),
    /// It is a person's, or a node's.
    #[error("the token is of {0:?}, which is not a service account")]
    NotAServiceAccount(String),
    /// It was made for no pod.
    #[error("the token of {0:?} is not bound to a pod")]
    NotOfAPod(String),
}

/// Asks the API server about tokens, about so many at once.
#[derive(Clone)]
pub struct Authenticator {
    reviews: Api<TokenReview>,
    turnstile: Arc<Turnstile>,
}

impl Authenticator {
    /// Asks by `client`, which needs `create` on `tokenreviews`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { reviews: Api::all(client), turnstile: Arc::new(Turnstile::new(Limits::default())) }
    }

    /// The pod that sent a request with this metadata. `extensions` are those of the request, which know where it comes from.
    ///
    /// # Errors
    /// When the token is not a pod's, or cannot be reviewed now.
    pub async fn authenticate(
        &self,
        metadata: &MetadataMap,
        extensions: &Extensions,
    ) -> Result<Caller, AuthenticateError> {
        let token = token(metadata)?;
        let source = extensions.get::<Peer>().map(|peer| peer.address.ip().to_canonical());
        let _turn = self.turnstile.enter(source).await?;
        let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences: Some(vec![TOKEN_AUDIENCE.to_owned()]) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let params = PostParams::default();
        let answer = timeout(REVIEW_LIMIT, self.reviews.create(&params, &review)).await??;
        let status = answer.status.unwrap_or_default();
        let for_us = status.audiences.iter().flatten().any(|audience| audience == TOKEN_AUDIENCE);
        if status.authenticated != Some(true) || !for_us {
            return Err(Refused::Invalid(status.error.unwrap_or_else(|| "not authenticated".to_owned())).into());
        }
        Ok(caller(status.user.unwrap_or_default())?)
    }
}

impl AuthenticateError {
    /// One word for metrics.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Refused(_) => "token",
            Self::Busy(_) => "busy",
            Self::Review(_) | Self::TooSlow(_) => "token_review",
        }
    }
}

/// `UNAUTHENTICATED`, or `UNAVAILABLE` for who is to come again.
impl From<AuthenticateError> for Status {
    fn from(error: AuthenticateError) -> Self {
        match &error {
            AuthenticateError::Refused(refused) => {
                tracing::warn!(error = refused as &dyn Error, "Refused a sidecar");
                Self::unauthenticated(error.to_string())
            }
            AuthenticateError::Busy(_) => {
                // Whoever floods the operator must not flood its log as well.
                tracing::debug!(error = &error as &dyn Error, "Sent a sidecar away for now");
                Self::unavailable(error.to_string())
            }
            AuthenticateError::Review(_) | AuthenticateError::TooSlow(_) => {
                tracing::warn!(error = &error as &dyn Error, "Could not review a sidecar's token");
                Self::unavailable(error.to_string())
            }
        }
    }
}

fn token(metadata: &MetadataMap) -> Result<&str, Refused> {
    let value = metadata.get("authorization").and_then(|value| value.to_str().ok()).ok_or(Refused::NoToken)?;
    value.strip_prefix("Bearer ").filter(|token| !token.is_empty()).ok_or(Refused::NoToken)
}

fn caller(user: UserInfo) -> Result<Caller, Refused> {
    let name = user.username.unwrap_or_default();
    let Some((namespace, service_account)) =
        name.strip_prefix(SERVICE_ACCOUNT).and_then(|account| account.split_once(':'))
    else {
        return Err(Refused::NotAServiceAccount(name));
    };
    let extra = |key| user.extra.as_ref().and_then(|extra| extra.get(key)).and_then(|values| values.first());
    let (Some(pod), Some(uid)) = (extra(POD_NAME), extra(POD_UID).filter(|uid| !uid.is_empty())) else {
        return Err(Refused::NotOfAPod(name));
    };
    Ok(Caller {
        pod: PodRef { namespace: namespace.to_owned(), name: pod.clone() },
        pod_uid: uid.clone(),
        service_account: service_account.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn takes_a_bearer_token_only() {
        for (value, want) in [
            (Some("Bearer abc"), Ok("abc")),
            (Some("Bearer "), Err(Refused::NoToken)),
            (Some("Basic abc"), Err(Refused::NoToken)),
            (Some("abc"), Err(Refused::NoToken)),
            (None, Err(Refused::NoToken)),
        ] {
            let mut metadata = MetadataMap::new();
            if let Some(value) = value {
                metadata.insert("authorization", value.parse().unwrap());
            }
            assert_eq!(token(&metadata), want, "{value:?}");
        }
    }

    #[test]
    fn only_a_pods_token_names_a_caller() {
        let pod = PodRef { namespace: "shop".to_owned(), name: "web-1".to_owned() };
        let service_account = "web".to_owned();
        let web = "system:serviceaccount:shop:web";
        for (name, pod_name, uid, want) in [
            (web, Some("web-1"), Some("7"), Ok(Caller { pod, pod_uid: "7".to_owned(), service_account })),
            (web, None, Some("7"), Err(Refused::NotOfAPod(web.to_owned()))),
            (web, Some("web-1"), None, Err(Refused::NotOfAPod(web.to_owned()))),
            (web, Some("web-1"), Some(""), Err(Refused::NotOfAPod(web.to_owned()))),
            ("admin", Some("web-1"), Some("7"), Err(Refused::NotAServiceAccount("admin".to_owned()))),
            ("", None, None, Err(Refused::NotAServiceAccount(String::new()))),
        ] {
            let extra = [(POD_NAME, pod_name), (POD_UID, uid)];
            let extra = extra.into_iter().filter_map(|(key, value)| Some((key.to_owned(), vec![value?.to_owned()])));
            let extra = Some(extra.collect::<BTreeMap<_, _>>());
            let user = UserInfo { username: Some(name.to_owned()), extra, ..UserInfo::default() };
            assert_eq!(caller(user), want, "{name:?} {pod_name:?} {uid:?}");
        }
    }
}
