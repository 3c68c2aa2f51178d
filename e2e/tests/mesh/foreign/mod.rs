//! Software that others wrote, in and out of the mesh: what it does without sidecars it does with them.

mod databases;
mod grpc;
mod http2;
mod report;
mod tls;
mod websocket;

use std::time::Duration;

use anyhow::{Context, Result};
use e2e::{
    eventually,
    harness::{Output, Program, TestNamespace},
};
use k8s_openapi::api::core::v1::Pod;

/// For programs that end soon.
const SHORT: Duration = Duration::from_secs(30);

/// What a shell of the image `debian` does until a program is run beside it.
const IDLE: [&str; 3] = ["/bin/bash", "-c", "trap exit TERM; sleep infinity & wait"];

/// A way from a client to a server.
struct Way {
    name: &'static str,
    client: Pod,
    /// Name of the server's Service.
    server: String,
}

/// Starts a client and a server, each once without and once with a sidecar, and returns the four ways between them. The first
/// has no sidecar on it: what is seen there the others are measured by.
async fn ways(server: &Program, client: &Program) -> Result<[Way; 4]> {
    let name = |role: &str, meshed: bool| format!("{role}-{}", if meshed { "meshed" } else { "plain" });
    let named = |of: &Program, role: &str, meshed: bool| of.clone().name(&name(role, meshed)).meshed(meshed);
    let programs = [
        named(server, "server", false),
        named(server, "server", true),
        named(client, "client", false),
        named(client, "client", true),
    ];
    for program in &programs {
        program.apply().await?;
    }
    let [_, _, plain, meshed] = &programs;
    let (plain, meshed) = (plain.started().await?, meshed.started().await?);
    programs[0].started().await?;
    programs[1].started().await?;
    Ok([
        Way { name: "no sidecar", client: plain.clone(), server: name("server", false) },
        Way { name: "the server's sidecar", client: plain, server: name("server", true) },
        Way { name: "the client's sidecar", client: meshed.clone(), server: name("server", false) },
        Way { name: "both sidecars", client: meshed, server: name("server", true) },
    ])
}

impl Way {
    /// Runs a program in the client's pod and expects it to succeed. `{server}` in its words stands for the server.
    async fn run(&self, ns: &TestNamespace, limit: Duration, command: &[&str]) -> Result<String> {
        let words: Vec<String> = command.iter().map(|word| word.replace("{server}", &self.server)).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = ns.exec(&self.client, limit, &words).await.and_then(Output::success);
        output.with_context(|| format!("by way of {}", self.name))
    }

    /// Awaits that `command` succeeds: a roll-out that is complete is not yet known to DNS and all proxies.
    async fn reaches(&self, ns: &TestNamespace, command: &[&str]) -> Result<String> {
        eventually(SHORT, &format!("the server by way of {}", self.name), async || self.run(ns, SHORT, command).await)
            .await
    }
}
