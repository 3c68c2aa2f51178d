//! Programs that are run inside pods.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use k8s_openapi::{api::core::v1::Pod, apimachinery::pkg::apis::meta::v1::Status};
use kube::{ResourceExt, api::AttachParams};
use tokio::io::AsyncReadExt;

use super::{TestNamespace, workload::APPLICATION};

/// Bytes that are kept of a program's output while nobody reads them; small ones slow it down.
const OUTPUT_BUFFER: usize = 256 * 1024;

/// What a program said until it ended.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its exit status.
    pub code: i32,
    /// Of standard output.
    pub stdout: String,
    /// Of standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output of a program that succeeded.
    ///
    /// # Errors
    /// When its exit status is not 0; the message holds all that it said.
    pub fn success(self) -> Result<String> {
        ensure!(self.code == 0, "exit status {}: {}{}", self.code, self.stdout, self.stderr);
        Ok(self.stdout)
    }
}

impl TestNamespace {
    /// Runs a program in the application's container of a pod until it ends.
    ///
    /// # Errors
    /// When it cannot be started or does not end within `limit`. That it fails is in the result.
    pub async fn exec(&self, pod: &Pod, limit: Duration, command: &[&str]) -> Result<Output> {
        let name = pod.name_any();
        let run = self.exec_to_its_end(&name, command);
        let output = tokio::time::timeout(limit, run).await;
        output
            .with_context(|| format!("it did not end within {limit:?}"))
            .flatten()
            .with_context(|| format!("in pod {name}: {}", command.join(" ")))
    }

    async fn exec_to_its_end(&self, pod: &str, command: &[&str]) -> Result<Output> {
        let parameters = AttachParams::default()
            .container(APPLICATION)
            .max_stdout_buf_size(OUTPUT_BUFFER)
            .max_stderr_buf_size(OUTPUT_BUFFER);
        let mut process = self.api::<Pod>().exec(pod, command.iter().copied(), &parameters).await?;
        let status = process.take_status().context("no status")?;
        let (mut output, mut errors) =
            (process.stdout().context("no standard output")?, process.stderr().context("no standard error")?);
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let (read, read_errors, status) =
            tokio::join!(output.read_to_end(&mut stdout), errors.read_to_end(&mut stderr), status);
        read?;
        read_errors?;
        process.join().await?;
        Ok(Output {
            code: exit_code(&status.context("the connection ended before the program")?)?,
            stdout: String::from_utf8_lossy(&stdout).into_owned(),
            stderr: String::from_utf8_lossy(&stderr).into_owned(),
        })
    }
}

/// Source: `k8s.io/apimachinery/pkg/util/remotecommand`, the protocol `v4.channel.k8s.io`.
fn exit_code(status: &Status) -> Result<i32> {
    if status.status.as_deref() == Some("Success") {
        return Ok(0);
    }
    let causes = status.details.iter().flat_map(|details| details.causes.iter().flatten());
    for cause in causes {
        if cause.reason.as_deref() == Some("ExitCode") {
            return cause.message.as_deref().unwrap_or_default().parse().context("an exit status");
        }
    }
    bail!("it was not started: {}", status.message.as_deref().unwrap_or("nobody says why"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn reads_how_a_program_ended() {
        let ended = |code: &str| {
            json!({"status": "Failure", "reason": "NonZeroExitCode", "message": "command terminated",
                "details": {"causes": [{"reason": "ExitCode", "message": code}]}})
        };
        for (name, status, want) in [
            ("success", json!({"status": "Success"}), Some(0)),
            ("failure", ended("7"), Some(7)),
            ("no number", ended("x"), None),
            ("never started", json!({"status": "Failure", "message": "no such file"}), None),
        ] {
            let status: Status = serde_json::from_value::<Value>(status).and_then(serde_json::from_value).unwrap();
            assert_eq!(exit_code(&status).ok(), want, "{name}");
        }
    }
}
