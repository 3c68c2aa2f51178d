//! Whose stream it is: the pod that the service account token was made for.

use std::error::Error;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, UserInfo};
use kube::{Api, Client, api::PostParams};
use thiserror::Error;
use tonic::{Status, metadata::MetadataMap};
use weft_proxy_api::TOKEN_AUDIENCE;

use crate::model::PodRef;

/// `extra` of a bound service account token that holds the pod's name.
/// Source: `k8s.io/apiserver/pkg/authentication/serviceaccount`, `PodNameKey`.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
/// `extra` that holds the pod's `metadata.uid`. Source: as above, `PodUIDKey`.
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

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

/// Why a token does not name a pod.
#[derive(Debug, Error, PartialEq, Eq)]
enum Refused {
    #[error("the metadata has no entry `authorization: Bearer <token>`")]
    NoToken,
    #[error("the token is not valid for the audience {TOKEN_AUDIENCE}: {0}")]
    Invalid(String),
    #[error("the token is of {0:?}, which is not a service account")]
    NotAServiceAccount(String),
    #[error("the token of {0:?} is not bound to a pod")]
    NotOfAPod(String),
}

/// Asks the API server about tokens.
#[derive(Clone)]
pub struct Authenticator {
    reviews: Api<TokenReview>,
}

impl Authenticator {
    /// Asks by `client`, which needs `create` on `tokenreviews`.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { reviews: Api::all(client) }
    }

    /// The pod that sent a request with this metadata.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` with the reason, or `UNAVAILABLE` when the API server cannot be asked.
    pub async fn authenticate(&self, metadata: &MetadataMap) -> Result<Caller, Status> {
        let token = token(metadata).map_err(refuse)?;
        let spec = TokenReviewSpec { token: Some(token.to_owned()), audiences: Some(vec![TOKEN_AUDIENCE.to_owned()]) };
        let review = TokenReview { spec, ..TokenReview::default() };
        let answer = self.reviews.create(&PostParams::default(), &review).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn Error, "Could not review a sidecar's token");
            Status::unavailable("the operator cannot ask the API server about the token")
        })?;
        let status = answer.status.unwrap_or_default();
        let for_us = status.audiences.iter().flatten().any(|audience| audience == TOKEN_AUDIENCE);
        if status.authenticated != Some(true) || !for_us {
            return Err(refuse(Refused::Invalid(status.error.unwrap_or_else(|| "not authenticated".to_owned()))));
        }
        caller(status.user.unwrap_or_default()).map_err(refuse)
    }
}

fn refuse(refused: Refused) -> Status {
    tracing::warn!(error = &refused as &dyn Error, "Refused a sidecar");
    Status::unauthenticated(refused.to_string())
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
