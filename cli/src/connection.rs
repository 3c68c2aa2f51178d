//! Reaching the API server of the cluster that is meant.

use std::error::Error as StdError;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use k8s_openapi::apimachinery::pkg::version::Info;
use kube::Client;
use kube::config::{Config, KubeConfigOptions, Kubeconfig};

use crate::arguments::Cluster;

/// Longest wait for a connection: a person is waiting too.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for an answer. Far above the time that a list of all pods of a large cluster takes, page by page.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// A client of an API server that answers, and the version of that server.
///
/// Fails when there is no usable kubeconfig, or the API server does not answer or does not let us in.
pub(crate) async fn connect(cluster: &Cluster) -> Result<(Client, Info)> {
    let mut config = config(cluster).await?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    let url = config.cluster_url.clone();
    let client = Client::try_from(config).context("the kubeconfig cannot be used")?;
    match client.apiserver_version().await {
        Ok(info) => Ok((client, info)),
        Err(kube::Error::Api(status)) => bail!("the API server {url} refuses: {}", status.message),
        Err(error) => bail!("no answer from the API server {url}: {}", cause(&error)),
    }
}

async fn config(cluster: &Cluster) -> Result<Config> {
    // The texts of these errors hold those of their sources, so that a chain would say everything twice.
    let unusable = |error: &dyn StdError| anyhow!("the kubeconfig cannot be used: {error}");
    let options = KubeConfigOptions { context: cluster.context.clone(), ..KubeConfigOptions::default() };
    if let Some(file) = &cluster.kubeconfig {
        let kubeconfig = Kubeconfig::read_from(file).map_err(|error| unusable(&error))?;
        return Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(&error));
    }
    if cluster.context.is_some() {
        return Config::from_kubeconfig(&options).await.map_err(|error| unusable(&error));
    }
    // In a pod there is no kubeconfig but a service account; a person wants to read about the kubeconfig.
    Config::infer().await.map_err(|error| unusable(error.source().unwrap_or(&error)))
}

/// The innermost cause of an error: what wraps it repeats it or names layers of the client.
pub(crate) fn cause(error: &(dyn StdError + 'static)) -> String {
    if let Some(kube::Error::Api(status)) = error.downcast_ref::<kube::Error>() {
        return status.message.clone();
    }
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
