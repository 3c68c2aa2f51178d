//! The command `weft`, run as a person runs it.

use std::{path::PathBuf, process::Stdio};

use anyhow::{Context, Result, ensure};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{Output, cluster::kubeconfig};

/// The command stands beside the folder of the test programs: Cargo builds both.
fn binary() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.parent().and_then(|folder| folder.parent()).context("a test program without a folder")?;
    let binary = folder.join("weft");
    ensure!(binary.exists(), "{} is not there: cargo build --workspace makes it", binary.display());
    Ok(binary)
}

/// Runs `weft` with these arguments, against the cluster of the tests and with `input` as its standard input.
///
/// # Errors
/// When it cannot be run. That it fails is in the result.
pub async fn weft(arguments: &[&str], input: &str) -> Result<Output> {
    let mut child = Command::new(binary()?)
        .args(arguments)
        .env("KUBECONFIG", kubeconfig()?)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let write = async {
        stdin.write_all(input.as_bytes()).await?;
        drop(stdin);
        anyhow::Ok(())
    };
    let (written, output) = tokio::join!(write, child.wait_with_output());
    // A command that has no use for its input may end before it has read it.
    let output = output?;
    if output.status.success() {
        written?;
    }
    Ok(Output {
        code: output.status.code().context("it was killed")?,
        stdout: String::from_utf8(output.stdout)?,
        stderr: String::from_utf8(output.stderr)?,
    })
}
