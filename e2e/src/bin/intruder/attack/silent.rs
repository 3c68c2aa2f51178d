//! Connections on which nothing happens.

use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, crypto::ring, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::verifier::Credulous;

/// Says nothing and waits for the end.
pub(super) async fn wait(mut stream: TcpStream) -> std::io::Result<String> {
    let mut heard = [0; 256];
    loop {
        if stream.read(&mut heard).await? == 0 {
            return Ok("closed".to_owned());
        }
    }
}

/// Asks once, and waits for the end.
pub(super) async fn idle(mut stream: TcpStream) -> std::io::Result<String> {
    stream.write_all(b"GET /idle HTTP/1.1\r\nhost: intruder\r\n\r\n").await?;
    wait(stream).await
}

/// Begins a handshake as a sidecar does, and waits for the end.
pub(super) async fn half_handshake(mut stream: TcpStream, server_name: &str) -> std::io::Result<String> {
    let mut hello = Vec::new();
    client_hello(server_name)?.write_tls(&mut hello)?;
    stream.write_all(&hello).await?;
    wait(stream).await
}

fn client_hello(server_name: &str) -> std::io::Result<ClientConnection> {
    let provider = Arc::new(ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(std::io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous(provider)))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from(server_name.to_owned()).map_err(std::io::Error::other)?;
    ClientConnection::new(Arc::new(config), name).map_err(std::io::Error::other)
}
