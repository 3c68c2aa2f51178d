//! What a program on smi-sdk-go makes of the cluster.

use std::{path::Path, process::Stdio, time::Duration};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use tokio::process::Command;

use super::{TestNamespace, cluster::kubeconfig};

/// Time for the program's questions. It gives up by itself before.
const LIMIT: Duration = Duration::from_secs(270);

/// A question and its answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    /// As in a manifest.
    pub kind: String,
    /// Version of the kind's group that the client has.
    pub version: String,
    /// What the client does.
    pub verb: String,
    /// Why it failed, else empty.
    pub failure: String,
}

#[derive(Deserialize)]
struct Report {
    cases: Vec<Question>,
}

/// Runs a command of the program in `e2e/sdk` in a namespace, and returns what it asked.
///
/// # Errors
/// When it cannot be built or run, or does not ask anything. That a question failed is in the result.
pub async fn sdk(namespace: &TestNamespace, command: &str) -> Result<Vec<Question>> {
    let build = Path::new(env!("CARGO_MANIFEST_DIR")).join("sdk/build.sh");
    let built = Command::new(&build).stderr(Stdio::inherit()).output().await.context("sdk/build.sh")?;
    ensure!(built.status.success(), "{}: {}", build.display(), built.status);
    let program = Path::new(String::from_utf8(built.stdout)?.trim_end()).join("sdk");
    let mut program = Command::new(program);
    program.args([command, &namespace.name]).env("KUBECONFIG", kubeconfig()?).kill_on_drop(true);
    let output = tokio::time::timeout(LIMIT, program.output()).await.context("it did not end")??;
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "sdk {command}: {}: {stdout}{stderr}", output.status);
    let report: Report = serde_json::from_str(&stdout).with_context(|| format!("no report: {stdout}"))?;
    ensure!(!report.cases.is_empty(), "nothing was asked");
    Ok(report.cases)
}
