//! TLS without a sidecar: clients and servers that claim what a test wants them to.

use std::{io, net::SocketAddr, sync::Arc};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
    server::WebPkiClientVerifier,
};
use tokio::{
    net::{TcpListener, TcpStream},
    time,
};
use tokio_rustls::{TlsAcceptor, TlsConnector, client::TlsStream};

use super::{Authority, PATIENCE};

/// What somebody shows and whom they believe.
pub(crate) struct Suit<'a> {
    pub(crate) certificate: Option<(CertificateDer<'static>, PrivateKeyDer<'static>)>,
    pub(crate) believes: &'a Authority,
    pub(crate) alpn: &'a str,
}

fn roots(authority: &Authority) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.der.clone().into()).unwrap();
    Arc::new(roots)
}

/// A connection to `address` that asks for `server_name`.
pub(crate) async fn connect_tls(
    address: SocketAddr,
    server_name: &str,
    suit: Suit<'_>,
) -> io::Result<TlsStream<TcpStream>> {
    connect_tls_on(TcpStream::connect(address).await?, server_name, suit).await
}

/// The same on a connection that is there.
pub(crate) async fn connect_tls_on(
    stream: TcpStream,
    server_name: &str,
    suit: Suit<'_>,
) -> io::Result<TlsStream<TcpStream>> {
    let config = ClientConfig::builder().with_root_certificates(roots(suit.believes));
    let mut config = match suit.certificate {
        Some((leaf, key)) => config.with_client_auth_cert(vec![leaf], key).unwrap(),
        None => config.with_no_client_auth(),
    };
    config.alpn_protocols = vec![suit.alpn.as_bytes().to_vec()];
    let name = ServerName::try_from(server_name.to_owned()).unwrap();
    time::timeout(PATIENCE, TlsConnector::from(Arc::new(config)).connect(name, stream)).await.expect("no handshake")
}

/// Stands in front of `address` and speaks TLS with clients as a sidecar would.
pub(crate) async fn mesh_server(address: SocketAddr, suit: Suit<'_>) -> SocketAddr {
    let config = ServerConfig::builder();
    let clients = WebPkiClientVerifier::builder(roots(suit.believes)).build().unwrap();
    let (leaf, key) = suit.certificate.unwrap();
    let mut config = config.with_client_cert_verifier(clients).with_single_cert(vec![leaf], key).unwrap();
    config.alpn_protocols = suit.alpn.split(',').map(|alpn| alpn.as_bytes().to_vec()).collect();
    serve(address, config).await
}

/// Stands in front of `address` and speaks TLS with any client, as an application of this name would.
pub(crate) async fn tls_server(address: SocketAddr, authority: &Authority, name: &str) -> SocketAddr {
    let (leaf, key) = authority.server(name);
    let mut config = ServerConfig::builder().with_no_client_auth().with_single_cert(vec![leaf], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    serve(address, config).await
}

async fn serve(address: SocketAddr, config: ServerConfig) -> SocketAddr {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let own = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let mut near = match acceptor.accept(stream).into_fallible().await {
                    Ok(near) => near,
                    // Closed at once, with what the client has sent unread, the alert would be lost to a reset.
                    Err((_refused, mut stream)) => {
                        let _ = tokio::io::AsyncWriteExt::shutdown(&mut stream).await;
                        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                        return;
                    }
                };
                let Ok(mut far) = TcpStream::connect(address).await else { return };
                let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            });
        }
    });
    own
}
