//! The cluster that tests run on.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};
use http::{HeaderName, Method, Request, StatusCode};
use http_body_util::BodyExt;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, Client, Config, client::Body, config::KubeConfigOptions, config::Kubeconfig};
use serde::de::DeserializeOwned;

use super::WEFT_NAMESPACE;

/// A cluster with Weft installed.
#[derive(Clone)]
pub struct Cluster {
    /// Speaks to the API server as administrator.
    pub client: Client,
}

/// An answer of the API server, whatever its status.
#[derive(Debug, Clone)]
pub struct Reply {
    /// Of HTTP.
    pub status: StatusCode,
    /// As it came.
    pub body: String,
    /// What `kubectl` shows as warnings.
    pub warnings: Vec<String>,
}

impl Reply {
    /// The body as JSON.
    ///
    /// # Errors
    /// When the status is not 2xx, or the body is something else.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T> {
        ensure!(self.status.is_success(), "status {}: {}", self.status.as_u16(), self.body.trim_end());
        serde_json::from_str(&self.body).with_context(|| format!("unexpected answer: {}", self.body))
    }
}

/// Whether `WEFT_CLUSTER=existing` says that the cluster is not ours.
pub(crate) fn is_existing() -> bool {
    std::env::var("WEFT_CLUSTER").is_ok_and(|value| value == "existing")
}

/// Folder of the local cluster's scripts.
pub(crate) fn node_scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node")
}

impl Cluster {
    /// The cluster of `KUBECONFIG`; without it the local one, unless `WEFT_CLUSTER=existing`.
    ///
    /// # Errors
    /// When there is none, or Weft is not installed; the message says what to do.
    pub async fn connect() -> Result<Self> {
        let path = kubeconfig()?;
        let kubeconfig = Kubeconfig::read_from(&path).with_context(|| format!("KUBECONFIG {}", path.display()))?;
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        // A pod that does not answer is a 503, which tests want to see; repeating it takes minutes.
        config.default_retry = false;
        let cluster = Self { client: Client::try_from(config)? };
        let weft = Api::<Namespace>::all(cluster.client.clone()).get_opt(WEFT_NAMESPACE).await.with_context(|| {
            format!("the cluster of {} does not answer: `make cluster install` starts one", path.display())
        })?;
        ensure!(weft.is_some(), "Weft is not installed in the cluster of {}: `make install` does it", path.display());
        Ok(cluster)
    }

    /// Sends a request to the API server. `path` begins with `/api`.
    ///
    /// # Errors
    /// When there is no answer. A refusal is an answer.
    pub async fn request(&self, method: Method, path: &str, headers: &[(&str, &str)], body: String) -> Result<Reply> {
        let mut request = Request::builder().method(method).uri(path).body(Body::from(body.into_bytes()))?;
        for (name, value) in headers {
            request.headers_mut().insert(HeaderName::try_from(*name)?, value.parse()?);
        }
        let response = self.client.send(request).await?;
        let status = response.status();
        let warnings = response.headers().get_all(http::header::WARNING).iter();
        let warnings = warnings.map(|warning| warning_text(&String::from_utf8_lossy(warning.as_bytes()))).collect();
        let body = response.into_body().collect().await?.to_bytes();
        Ok(Reply { status, body: String::from_utf8_lossy(&body).into_owned(), warnings })
    }

    /// Gets `path` of the API server.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.request(Method::GET, path, &[], String::new()).await
    }

    /// Sends a request to a port of a pod, by way of the API server. `path` begins without `/`.
    ///
    /// # Errors
    /// When there is no answer, or none with status 2xx.
    pub async fn ask_pod(&self, method: Method, pod: &Pod, port: u16, path: &str, body: String) -> Result<String> {
        let (namespace, name) = (pod.metadata.namespace.as_deref(), pod.metadata.name.as_deref());
        let (Some(namespace), Some(name)) = (namespace, name) else {
            bail!("a pod without a name: {:?}", pod.metadata)
        };
        let path = format!("/api/v1/namespaces/{namespace}/pods/{name}:{port}/proxy/{path}");
        let reply = self.request(method, &path, &[("content-type", "application/json")], body).await?;
        ensure!(reply.status.is_success(), "{path}: status {}: {}", reply.status.as_u16(), reply.body.trim_end());
        Ok(reply.body)
    }
}

/// The quoted text of `299 - "text"`, as section 5.5 of RFC 7234 has it.
fn warning_text(header: &str) -> String {
    let quoted = header.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
    let Some((text, _)) = quoted else { return header.to_owned() };
    let mut unquoted = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        // A backslash quotes what follows it.
        unquoted.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    unquoted
}

/// Path of the administrator's kubeconfig.
pub(crate) fn kubeconfig() -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("KUBECONFIG").filter(|path| !path.is_empty()) {
        return Ok(path.into());
    }
    ensure!(!is_existing(), "WEFT_CLUSTER=existing needs KUBECONFIG, which is not set");
    let script = node_scripts().join("kubeconfig.sh");
    let output = Command::new(&script).output().with_context(|| format!("cannot run {}", script.display()))?;
    ensure!(output.status.success(), "there is no cluster: `make cluster install` starts one and installs Weft");
    Ok(String::from_utf8(output.stdout)?.trim_end().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_text_of_a_warning() {
        for (name, header, want) in [
            ("plain", r#"299 - "all is well""#, "all is well"),
            ("quotes", r#"299 - "unknown field \"spec.a\"""#, r#"unknown field "spec.a""#),
            ("a backslash", r#"299 - "a\\b""#, r"a\b"),
            ("no quotes", "299 -", "299 -"),
        ] {
            assert_eq!(warning_text(header), want, "{name}");
        }
    }
}
