//! Programs on the machine that the tests run on: kubectl, weft, and the scripts of `config/`.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{io::AsyncWriteExt, process::Command};

use super::{
    Output, TestNamespace,
    cluster::{is_existing, kubeconfig, node_scripts},
};

/// Time that a program gets which only asks the API server.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs `kubectl` as administrator.
///
/// # Errors
/// When it cannot be run, or does not end in time. That it fails is in the result.
pub async fn kubectl(arguments: &[&str], input: &str) -> Result<Output> {
    run(command(&kubectl_program()).args(arguments), input, LIMIT)
        .await
        .with_context(|| format!("kubectl {}", arguments.join(" ")))
}

/// Runs Weft's command line as administrator, as it was built with the tests, with `input` as its standard input.
///
/// # Errors
/// When it cannot be run, or does not end in time. That it fails is in the result.
pub async fn weft(arguments: &[&str], input: &str) -> Result<Output> {
    let program = binaries()?.join("weft");
    let mut command = command(program.as_os_str());
    command.env("KUBECONFIG", kubeconfig()?).args(arguments);
    run(&mut command, input, LIMIT).await.with_context(|| format!("{} {}", program.display(), arguments.join(" ")))
}

/// Runs a script of this checkout, named by its path in it.
///
/// # Errors
/// When it cannot be run, or does not end within `limit`. That it fails is in the result.
pub async fn script(name: &str, arguments: &[&str], limit: Duration) -> Result<Output> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    let mut command = command(program.as_os_str());
    command.env("KUBECTL", kubectl_program()).env("BINARIES", binaries()?).args(arguments);
    run(&mut command, "", limit).await.with_context(|| format!("{name} {}", arguments.join(" ")))
}

impl TestNamespace {
    /// Runs `kubectl` in this namespace as administrator, with `input` as its standard input.
    ///
    /// # Errors
    /// When it cannot be run, or does not end in time. That it fails is in the result.
    pub async fn kubectl(&self, arguments: &[&str], input: &str) -> Result<Output> {
        kubectl(&[&["-n", self.name.as_str()], arguments].concat(), input).await
    }

    /// Runs `kubectl edit` in this namespace as administrator, with a program that changes the file it is given.
    ///
    /// # Errors
    /// When it cannot be run, or does not end in time. That it fails is in the result.
    pub async fn kubectl_edit(&self, arguments: &[&str], editor: &str) -> Result<Output> {
        let mut command = command(&kubectl_program());
        command.env("KUBE_EDITOR", editor).args(["-n", &self.name, "edit"]).args(arguments);
        run(&mut command, "", LIMIT).await.with_context(|| format!("kubectl edit {}", arguments.join(" ")))
    }
}

/// The program that make names; else the one of the local cluster, or that of the path for a cluster that is not ours.
fn kubectl_program() -> OsString {
    env::var_os("KUBECTL").filter(|program| !program.is_empty()).unwrap_or_else(|| {
        if is_existing() { OsString::from("kubectl") } else { node_scripts().join("kubectl.sh").into_os_string() }
    })
}

/// Folder of the programs that were built with the tests, which are in a folder below it.
fn binaries() -> Result<PathBuf> {
    let own = env::current_exe()?;
    Ok(own.ancestors().nth(2).context("a test program without a folder")?.to_owned())
}

fn command(program: &std::ffi::OsStr) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    command
}

async fn run(command: &mut Command, input: &str, limit: Duration) -> Result<Output> {
    let mut child = command.spawn()?;
    let mut stdin = child.stdin.take().context("no standard input")?;
    let end = tokio::time::timeout(limit, async {
        // A program that has no use for its input may end before it has read it.
        let written = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = child.wait_with_output().await?;
        if output.status.success() {
            written?;
        }
        Ok::<_, std::io::Error>(output)
    });
    let output = end.await.with_context(|| format!("it did not end within {limit:?}"))??;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Output {
        code: output.status.code().context("it was killed")?,
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    })
}
