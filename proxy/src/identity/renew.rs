//! Has certificates signed, one after the other, for as long as the process lives.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use thiserror::Error;
use tokio::{sync::watch, time};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use weft_proxy_api::v1::{self, identity_client::IdentityClient};

use super::{
    certificate::{Applicant, InvalidCertificate},
    credentials::Credentials,
    trust::Trust,
};
use crate::{
    discovery::{Backoff, ConnectError, Operator, Session, chain},
    upstream::chance,
};

/// Time for the operator to sign.
const SIGN_LIMIT: Duration = Duration::from_secs(10);
/// Proxies that learn at the same time of a new issuer ask for certificates after a pause, and spread over some time. The pause
/// is also for an operator that signs by another issuer than it announces.
const ISSUER_PAUSE: Duration = Duration::from_millis(500);
const ISSUER_SPREAD: Duration = Duration::from_secs(2);
/// The clock is looked at again after at most this: it may be set, and the machine may sleep.
const LOOK_AGAIN: Duration = Duration::from_secs(60);

/// Why there is no new certificate.
#[derive(Debug, Error)]
enum NotRenewed {
    #[error("there is no key to be had")]
    Key(#[from] rcgen::Error),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the operator did not sign: {}", .0.message())]
    Status(Box<Status>),
    #[error("the operator did not sign within {} s", SIGN_LIMIT.as_secs())]
    TooSlow,
    #[error("the operator signed something else")]
    Certificate(#[from] InvalidCertificate),
}

/// Keeps `credentials` valid until `stop`.
pub(crate) async fn renew(
    credentials: Arc<Credentials>,
    operator: Operator,
    mut sessions: watch::Receiver<Option<Session>>,
    stop: CancellationToken,
) {
    let mut backoff = Backoff::default();
    let mut trust = credentials.watch_trust();
    loop {
        let renewed = tokio::select! {
            renewed = Box::pin(once(&credentials, &operator, &mut trust, &mut sessions)) => renewed,
            () = stop.cancelled() => return,
        };
        match renewed {
            Ok(()) => backoff.reset(),
            Err(error) => {
                let reason = chain(&error);
                tracing::warn!(reason, "Got no certificate");
                credentials.renewal_failed(reason);
                tokio::select! {
                    () = time::sleep(backoff.next()) => {}
                    () = stop.cancelled() => return,
                }
            }
        }
    }
}

/// Waits until a certificate is due, and gets it.
async fn once(
    credentials: &Credentials,
    operator: &Operator,
    trust: &mut watch::Receiver<Option<Arc<Trust>>>,
    sessions: &mut watch::Receiver<Option<Session>>,
) -> Result<(), NotRenewed> {
    due(credentials, trust).await;
    let session = some(sessions).await;
    let applicant = Applicant::new()?;
    let request = operator.request(v1::CertificateRequest { csr: applicant.csr.clone() }).await?;
    let mut client = IdentityClient::new(session.channel);
    let signing = time::timeout(SIGN_LIMIT, client.certify(request));
    let signed = signing.await.map_err(|_elapsed| NotRenewed::TooSlow)?;
    let signed = signed.map_err(|status| NotRenewed::Status(Box::new(status)))?.into_inner();
    // Whom to believe may have changed while the operator signed: only what is in force now will do.
    let trust = some(trust).await;
    let certified = applicant.certified(signed, &trust.trust_domain, SystemTime::now())?;
    let (id, issuer) = (certified.id.clone(), certified.issuer);
    credentials.set_certified(certified, &trust)?;
    tracing::info!(%id, %issuer, "Got a certificate");
    Ok(())
}

/// What `watched` has once it has something.
async fn some<T: Clone>(watched: &mut watch::Receiver<Option<T>>) -> T {
    loop {
        if let Some(value) = watched.borrow_and_update().clone() {
            return value;
        }
        if watched.changed().await.is_err() {
            // Discovery has ended, and soon this will.
            std::future::pending::<()>().await;
        }
    }
}

/// Waits until a certificate is wanted: because there is none, because two thirds of its life have passed, or because another
/// issuer signs now.
async fn due(credentials: &Credentials, trust: &mut watch::Receiver<Option<Arc<Trust>>>) {
    // Proxies that were started together shall not come back together.
    let jitter = |spread: Duration| spread * chance::below(1001) / 1000;
    let Some(material) = credentials.material() else { return };
    let certified = &material.certified;
    let renewal = certified.renewal();
    let life = renewal.duration_since(certified.received).unwrap_or_default();
    let renewal = renewal - jitter(life / 10);
    loop {
        let now = SystemTime::now();
        let Ok(left) = renewal.duration_since(now) else { return };
        if left.is_zero() {
            return;
        }
        let issuer = trust.borrow_and_update().as_ref().map(|trust| trust.issuer);
        if issuer.is_some_and(|issuer| issuer != certified.issuer) {
            time::sleep((ISSUER_PAUSE + jitter(ISSUER_SPREAD)).min(left)).await;
            return;
        }
        tokio::select! {
            () = time::sleep(left.min(LOOK_AGAIN)) => {}
            Ok(()) = trust.changed() => {}
        }
    }
}
