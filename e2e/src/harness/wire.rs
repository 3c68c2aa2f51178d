//! The wire between the pods of the local cluster's node.

use std::{net::IpAddr, path::PathBuf, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout, Command},
    time::timeout,
};

use super::{Node, cluster::node_scripts};
use crate::intrusion::Capture;

/// Time for the capture to begin and to end.
const LIMIT: Duration = Duration::from_secs(20);

/// Reads what goes between pods.
pub struct Wiretap {
    child: Child,
    /// Its end ends the capture.
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

/// Addresses of a pod.
///
/// # Errors
/// When it has none yet.
pub fn addresses(pod: &Pod) -> Result<Vec<IpAddr>> {
    let ips = pod.status.as_ref().and_then(|status| status.pod_ips.as_ref());
    let ips: Vec<IpAddr> = ips.into_iter().flatten().map(|ip| ip.ip.parse()).collect::<Result<_, _>>()?;
    ensure!(!ips.is_empty(), "pod {} has no address", pod.name_any());
    Ok(ips)
}

impl Node {
    /// Listens on the wire between pods for `marker`; `program` is the intruder's binary. Everything that is sent once this has
    /// returned is read.
    ///
    /// # Errors
    /// When the capture cannot be started.
    pub async fn listen(self, program: PathBuf, pods: &[&Pod], marker: &str) -> Result<Wiretap> {
        let mut all = Vec::new();
        for pod in pods {
            all.extend(addresses(pod)?.iter().map(ToString::to_string));
        }
        let mut child = Command::new(node_scripts().join("enter.sh"))
            .arg(self.number().to_string())
            .arg(program)
            .args(["capture", "--marker", marker, "--pods", &all.join(",")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("cannot run enter.sh")?;
        let stdin = child.stdin.take().context("no standard input")?;
        let mut lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        let first = timeout(LIMIT, lines.next_line()).await.context("the capture did not begin")??;
        ensure!(first.as_deref() == Some("listening"), "the capture said {first:?}");
        Ok(Wiretap { child, stdin, lines })
    }
}

impl Wiretap {
    /// Ends it and tells what was read.
    ///
    /// # Errors
    /// When the capture failed.
    pub async fn stop(mut self) -> Result<Capture> {
        drop(self.stdin);
        let line = timeout(LIMIT, self.lines.next_line()).await.context("the capture did not end")??;
        let status = timeout(LIMIT, self.child.wait()).await.context("the capture did not end")??;
        ensure!(status.success(), "the capture ended with {status}");
        Ok(serde_json::from_str(&line.context("the capture told nothing")?)?)
    }
}
