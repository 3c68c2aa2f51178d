//! What can be read between pods. Needs the local cluster, whose wire can be listened to.

use std::time::Duration;

use anyhow::{Result, ensure};
use e2e::{
    eventually,
    harness::{Node, TestClient, TestNamespace},
    intrusion::{Capture, Flow},
    load::{Plan, Protocol},
    run,
};

/// What is sent, and searched for.
const MARKER: &str = "nobody-else-may-read-this";
const REQUESTS: u64 = 20;

/// Protocols, with the port of the application.
const PROTOCOLS: [(Protocol, u16); 5] = [
    (Protocol::Http1, 8080),
    (Protocol::H2, 8080),
    (Protocol::Grpc, 8080),
    (Protocol::Tcp, 9090),
    (Protocol::TcpServerFirst, 3306),
];

/// Sends the marker from the client to the server `server`, and tells what was on the wire between their pods.
async fn overhear(
    ns: &TestNamespace,
    node: Node,
    client: &TestClient,
    server: &str,
    protocol: Protocol,
    port: u16,
) -> Result<Flow> {
    let url = match protocol {
        Protocol::Tcp | Protocol::TcpServerFirst => format!("{server}:{port}"),
        Protocol::Grpc | Protocol::GrpcStream => format!("http://{server}:{port}"),
        Protocol::Http1 | Protocol::H2 => format!("http://{server}:{port}/echo"),
    };
    let plan = Plan { method: "POST".to_owned(), body: MARKER.to_owned(), ..Plan::new(url) }.protocol(protocol);
    let server = ns.running_pod(server).await?;
    let tap = node.listen(env!("CARGO_BIN_EXE_intruder").into(), &[&client.pod, &server], MARKER).await?;
    let what = format!("{REQUESTS} answers by {protocol:?}");
    let sent = eventually(Duration::from_secs(30), &what, async || {
        let tally = client.run(&plan.clone().requests(REQUESTS)).await?;
        ensure!(tally.failed == 0, "{tally}");
        Ok(())
    })
    .await;
    let Capture(flows) = tap.stop().await?;
    sent?;
    Ok(flows.get(&port).cloned().unwrap_or_default())
}

#[test]
fn between_sidecars_it_is_tls_1_3_and_elsewhere_as_the_application_wrote_it() {
    let Some(node) = Node::local() else { return };
    run("wire", async |ns| {
        for (name, inject) in [("meshed", "enabled"), ("plain", "disabled")] {
            ns.server(&format!("to-{name}")).label("weft.dev/inject", inject).apply().await?;
            ns.client(&format!("from-{name}")).label("weft.dev/inject", inject).apply().await?;
        }
        for name in ["to-meshed", "to-plain", "from-meshed", "from-plain"] {
            ns.rolled_out(name).await?;
        }
        for (from, to, is_private) in [
            ("from-meshed", "to-meshed", true),
            ("from-meshed", "to-plain", false),
            ("from-plain", "to-meshed", false),
            ("from-plain", "to-plain", false),
        ] {
            let client = ns.test_client(from).await?;
            for (protocol, port) in PROTOCOLS {
                let flow = overhear(ns, node, &client, to, protocol, port).await?;
                let what = format!("{from} {to} {protocol:?}: {flow:?}");
                ensure!(flow.packets > 0, "nothing was heard, {what}");
                if is_private {
                    ensure!(flow.marked == 0, "it can be read, {what}");
                    // gRPC goes on by the connection that HTTP/2 has begun.
                    let begun = flow.tls13_handshakes > 0 || protocol == Protocol::Grpc;
                    ensure!(begun && flow.encrypted > 0, "no TLS 1.3, {what}");
                } else {
                    ensure!(flow.marked >= REQUESTS, "it cannot be read, so that nothing is proven, {what}");
                    ensure!(flow.tls13_handshakes == 0, "TLS with somebody outside of the mesh, {what}");
                }
            }
        }
        Ok(())
    });
}
