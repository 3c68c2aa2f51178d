//! Listens in on connections.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A wire to another address, and all that went over it.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Tap {
    /// A wire to `address`.
    pub(crate) async fn on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tap = Self { address: listener.local_addr().unwrap(), heard: Arc::default() };
        let heard = tap.heard.clone();
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                let Ok(far) = TcpStream::connect(address).await else { continue };
                let ((near_read, near_write), (far_read, far_write)) = (near.into_split(), far.into_split());
                for (from, to) in [
                    (
                        Box::new(near_read) as Box<dyn AsyncRead + Send + Unpin>,
                        Box::new(far_write) as Box<dyn AsyncWrite + Send + Unpin>,
                    ),
                    (Box::new(far_read), Box::new(near_write)),
                ] {
                    let slot = {
                        let mut heard = heard.lock().unwrap();
                        heard.push(Vec::new());
                        heard.len() - 1
                    };
                    tokio::spawn(listen(from, to, heard.clone(), slot));
                }
            }
        });
        tap
    }

    /// What went over it, by connection and direction: from client to server, then back.
    pub(crate) fn heard(&self) -> Vec<Vec<u8>> {
        self.heard.lock().unwrap().clone()
    }

    /// Whether anybody said `words` in the clear.
    pub(crate) fn heard_in_the_clear(&self, words: &str) -> bool {
        let says = |bytes: &Vec<u8>| bytes.windows(words.len()).any(|window| window == words.as_bytes());
        self.heard().iter().any(says)
    }
}

async fn listen(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
    slot: usize,
) {
    let mut buffer = vec![0; 16 * 1024];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 || to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
        heard.lock().unwrap()[slot].extend_from_slice(&buffer[..read]);
    }
    let _ = to.shutdown().await;
}
