//! Signs the keys of authenticated sidecars, each for the identity of its own pod and for no other.

use std::{error::Error, sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::core::v1 as core;
use kube::{Api, Client};
use thiserror::Error;
use tonic::{Code, Request, Response, Status};
use weft_policy::identity::{InvalidId, SpiffeId};
use weft_proxy_api::v1::{self, identity_server::Identity};

use super::{AuthenticateError, Authenticator, Caller};
use crate::{
    identity::{self, Authorities, CertifyError, Counts},
    index::{Index, Pods},
    model::{Pod, PodRef},
};

/// Why a caller gets no certificate.
#[derive(Debug, Error)]
enum Refused {
    #[error("pod {0} does not exist, or has ended")]
    NoPod(PodRef),
    #[error("the token is of an earlier pod of the name {0}")]
    EarlierPod(PodRef),
    #[error("the token is of service account {token:?}, but pod {pod} runs as {actual:?}")]
    ServiceAccount { pod: PodRef, token: String, actual: String },
    #[error(transparent)]
    Identity(#[from] InvalidId),
    #[error(transparent)]
    Request(#[from] CertifyError),
}

impl Refused {
    fn reason(&self) -> &'static str {
        match self {
            Self::NoPod(_) => "no_pod",
            Self::EarlierPod(_) => "earlier_pod",
            Self::ServiceAccount { .. } => "service_account",
            Self::Identity(_) => "identity",
            Self::Request(error) => error.reason(),
        }
    }

    /// What the caller is to make of it: a wrong request stays wrong, an issuer may be mended.
    fn code(&self) -> Code {
        match self {
            Self::NoPod(_) | Self::EarlierPod(_) | Self::ServiceAccount { .. } | Self::Identity(_) => {
                Code::PermissionDenied
            }
            Self::Request(CertifyError::Name { .. }) => Code::PermissionDenied,
            Self::Request(CertifyError::IssuerExpired(_) | CertifyError::Sign(_)) => Code::Unavailable,
            Self::Request(_) => Code::InvalidArgument,
        }
    }
}

/// Serves `weft.v1.Identity`.
pub struct Certificates {
    authenticator: Authenticator,
    index: Arc<Index>,
    pods: Client,
    authorities: Authorities,
    counts: Arc<Counts>,
    life: Duration,
}

impl Certificates {
    /// Signs for `life` with the issuer that `authorities` has at the moment. `pods` needs `get` on pods.
    #[must_use]
    pub fn new(
        authenticator: Authenticator,
        index: Arc<Index>,
        pods: Client,
        authorities: Authorities,
        counts: Arc<Counts>,
        life: Duration,
    ) -> Self {
        Self { authenticator, index, pods, authorities, counts, life }
    }

    fn starting(&self) -> Status {
        self.counts.failed("starting");
        Status::unavailable("the operator is not ready to sign yet")
    }

    async fn authenticate(&self, request: &Request<v1::CertificateRequest>) -> Result<Caller, Status> {
        let caller = self.authenticator.authenticate(request.metadata(), request.extensions()).await;
        caller.map_err(|error| {
            match &error {
                AuthenticateError::Refused(_) => self.counts.refused(error.reason()),
                _ => self.counts.failed(error.reason()),
            }
            error.into()
        })
    }

    /// The pod as the index has it, or else as the API server has it: a watch may lag, so that the token's pod is not known yet,
    /// or one that had its name before still is.
    async fn pod(&self, caller: &Caller) -> Result<Option<Pod>, Status> {
        let name = &caller.pod;
        let known = self.index.read(|snapshot| snapshot.pods.get(name).cloned());
        if let Some(pod) = known.filter(|pod| pod.uid == caller.pod_uid) {
            return Ok(Some(pod));
        }
        let pods = Api::<core::Pod>::namespaced(self.pods.clone(), &name.namespace);
        match pods.get_opt(&name.name).await {
            Ok(pod) => Ok(pod.as_ref().and_then(Pods::observe)),
            Err(error) => {
                self.counts.failed("pod");
                tracing::warn!(pod = %name, error = &error as &dyn Error, "Could not look for the pod of a sidecar");
                Err(Status::unavailable("the operator cannot ask the API server about the pod"))
            }
        }
    }

    fn refuse(&self, caller: &Caller, refused: &Refused) -> Status {
        if refused.code() == Code::Unavailable {
            self.counts.failed(refused.reason());
        } else {
            self.counts.refused(refused.reason());
        }
        tracing::warn!(
            pod = %caller.pod,
            service_account = caller.service_account,
            reason = refused.reason(),
            error = refused as &dyn Error,
            "Refused a certificate"
        );
        Status::new(refused.code(), refused.to_string())
    }
}

/// Whether the pod is the one that the token was made for.
fn check(caller: &Caller, pod: Option<&Pod>) -> Result<(), Refused> {
    let pod = pod.ok_or_else(|| Refused::NoPod(caller.pod.clone()))?;
    if caller.pod_uid != pod.uid {
        return Err(Refused::EarlierPod(caller.pod.clone()));
    }
    if caller.service_account != pod.service_account {
        return Err(Refused::ServiceAccount {
            pod: caller.pod.clone(),
            token: caller.service_account.clone(),
            actual: pod.service_account.clone(),
        });
    }
    Ok(())
}

#[tonic::async_trait]
impl Identity for Certificates {
    async fn certify(&self, request: Request<v1::CertificateRequest>) -> Result<Response<v1::Certificate>, Status> {
        // Before the lists are read every pod would be looked up.
        if !self.index.is_synced() {
            return Err(self.starting());
        }
        let caller = self.authenticate(&request).await?;
        let pod = self.pod(&caller).await?;
        check(&caller, pod.as_ref()).map_err(|refused| self.refuse(&caller, &refused))?;
        // Only now: nothing must be signed by an issuer that another has replaced meanwhile.
        let authority = self.authorities.borrow().clone().ok_or_else(|| self.starting())?;
        let sign = || {
            let (namespace, account) = (&caller.pod.namespace, &caller.service_account);
            let id = SpiffeId::new(&authority.trust.trust_domain, namespace, account)?;
            let csr = &request.get_ref().csr;
            let chain = identity::certify(&authority.issuer, csr, &id, self.life, Timestamp::now())?;
            Ok((id, chain))
        };
        let (id, chain) = sign().map_err(|refused: Refused| self.refuse(&caller, &refused))?;
        self.counts.signed();
        tracing::info!(pod = %caller.pod, %id, "Signed a certificate");
        Ok(Response::new(v1::Certificate {
            chain: chain.iter().map(|certificate| certificate.to_vec()).collect(),
            issuer: authority.issuer.fingerprint().as_bytes().to_vec(),
        }))
    }
}
