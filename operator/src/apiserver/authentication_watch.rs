//! Keeps the authenticator as the cluster says, so that the API server may rotate its certificate.

use futures::{StreamExt, pin_mut};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher::watch_object},
};
use tokio_util::sync::CancellationToken;

use super::authentication::Authenticator;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";

/// Follows the `ConfigMap` until `stop` is cancelled. Needs the Role `extension-apiserver-authentication-reader`.
///
/// A configuration that cannot be read leaves the one before in force; without the `ConfigMap` nobody is believed.
pub(super) async fn follow(client: Client, authenticator: &Authenticator, stop: &CancellationToken) {
    let states = watch_object(Api::<ConfigMap>::namespaced(client, NAMESPACE), NAME).default_backoff();
    pin_mut!(states);
    loop {
        let state = tokio::select! {
            () = stop.cancelled() => return,
            state = states.next() => state,
        };
        match state {
            Some(Ok(Some(object))) => match authenticator.configure(&object.data.unwrap_or_default()) {
                Ok(()) => tracing::info!("Configured request header authentication"),
                Err(error) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "Refused configuration of request header authentication"
                    );
                }
            },
            Some(Ok(None)) => {
                authenticator.clear();
                tracing::warn!("Request header authentication is not configured");
            }
            Some(Err(error)) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "Lost configuration of authentication");
            }
            None => return,
        }
    }
}
