//! The test client in its pod.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result, ensure};
use http::Method;
use k8s_openapi::api::core::v1::Pod;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{Cluster, eventually};
use crate::load::{Plan, Tally};

const CONTROL_PORT: u16 = 9000;

/// A pod that sends what it is told to.
#[derive(Clone)]
pub struct TestClient {
    cluster: Cluster,
    /// Its pod.
    pub pod: Pod,
}

#[derive(Deserialize)]
struct Started {
    id: u64,
}

#[derive(Deserialize)]
struct Marked {
    mark: usize,
}

impl TestClient {
    pub(crate) fn new(cluster: Cluster, pod: Pod) -> Self {
        Self { cluster, pod }
    }

    /// Sends what `plan` says and returns what came back.
    ///
    /// # Errors
    /// When the client does not answer. Failed requests are in the result.
    pub async fn run(&self, plan: &Plan) -> Result<Tally> {
        self.post("run", plan).await
    }

    /// Sends `requests` GET requests to `url`, one after the other, and expects every one to succeed.
    ///
    /// # Errors
    /// When one does not.
    pub async fn get(&self, url: &str, requests: u64) -> Result<Tally> {
        let tally = self.run(&Plan::new(url).requests(requests)).await?;
        ensure!(tally.failed == 0, "{url}: {tally}");
        Ok(tally)
    }

    /// Awaits that a request to `url` succeeds: a roll-out that is complete is not yet known to DNS and all proxies.
    ///
    /// # Errors
    /// When it does not in time.
    pub async fn reaches(&self, url: &str) -> Result<Tally> {
        eventually(Duration::from_secs(30), &format!("an answer from {url}"), async || self.get(url, 1).await).await
    }

    /// Awaits that requests to `url` are answered by all of `names` and by nobody else.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn reaches_only(&self, url: &str, names: &[&str]) -> Result<Tally> {
        let want: BTreeSet<&str> = names.iter().copied().collect();
        eventually(Duration::from_secs(30), &format!("answers from {names:?} alone"), async || {
            let tally = self.get(url, 60).await?;
            let got: BTreeSet<&str> = tally.by_name.keys().map(String::as_str).collect();
            ensure!(got == want, "answered by {:?}", tally.by_name);
            Ok(tally)
        })
        .await
    }

    /// Starts a load that goes on until it is stopped.
    ///
    /// # Errors
    /// When the client does not answer or refuses the plan.
    pub async fn start(&self, plan: &Plan) -> Result<RunningLoad> {
        let Started { id } = self.post("start", plan).await?;
        Ok(RunningLoad { client: self.clone(), id })
    }

    async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T> {
        self.send(Method::POST, path, serde_json::to_string(body)?).await
    }

    async fn send<T: DeserializeOwned>(&self, method: Method, path: &str, body: String) -> Result<T> {
        let answer =
            self.cluster.ask_pod(method, &self.pod, CONTROL_PORT, path, body).await.context("the test client")?;
        serde_json::from_str(&answer).with_context(|| format!("unexpected answer: {answer}"))
    }
}

/// A load that goes on.
pub struct RunningLoad {
    client: TestClient,
    id: u64,
}

impl RunningLoad {
    /// All counts so far.
    ///
    /// # Errors
    /// When the client does not answer.
    pub async fn tally(&self) -> Result<Tally> {
        self.client.send(Method::GET, &format!("load/{}", self.id), String::new()).await
    }

    /// Remembers the counts as they are now, for [`since`](Self::since).
    ///
    /// # Errors
    /// When the client does not answer.
    pub async fn mark(&self) -> Result<usize> {
        let Marked { mark } = self.client.post(&format!("load/{}/mark", self.id), &()).await?;
        Ok(mark)
    }

    /// Counts since a mark.
    ///
    /// # Errors
    /// When the client does not answer.
    pub async fn since(&self, mark: usize) -> Result<Tally> {
        self.client.send(Method::GET, &format!("load/{}?since={mark}", self.id), String::new()).await
    }

    /// Awaits that so many more requests have been answered.
    ///
    /// # Errors
    /// When that takes more than half a minute.
    pub async fn more(&self, requests: u64) -> Result<Tally> {
        let mark = self.mark().await?;
        eventually(Duration::from_secs(30), &format!("{requests} more requests"), async || {
            let tally = self.since(mark).await?;
            ensure!(tally.sent >= requests, "{tally}");
            Ok(tally)
        })
        .await
    }

    /// Ends the load and returns all counts.
    ///
    /// # Errors
    /// When the client does not answer.
    pub async fn stop(self) -> Result<Tally> {
        self.client.post(&format!("load/{}/stop", self.id), &()).await
    }

    /// Ends the load and expects that no request failed.
    ///
    /// # Errors
    /// When one did.
    pub async fn stop_without_failure(self) -> Result<Tally> {
        let tally = self.stop().await?;
        ensure!(tally.failed == 0 && tally.sent > 0, "{tally}");
        Ok(tally)
    }
}
