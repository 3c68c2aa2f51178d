//! An application of HTTP/1 that writes down every byte and reads what it gets to the letter.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time,
};

use super::PATIENCE;

/// A request as it arrived.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Recorded {
    /// With the empty line at its end.
    pub(crate) head: String,
    /// Without chunks.
    pub(crate) body: String,
    /// All of it came.
    pub(crate) whole: bool,
}

impl Recorded {
    pub(crate) fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// All values of the header `name`.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let fields = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }
}

/// The running application.
pub(crate) struct Recorder {
    pub(crate) address: SocketAddr,
    requests: Arc<Mutex<Vec<Recorded>>>,
    connections: watch::Receiver<u64>,
}

impl Recorder {
    /// Answers everything with 200 and `ok`.
    pub(crate) async fn start() -> Self {
        Self::answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
    }

    /// Answers everything with these bytes.
    pub(crate) async fn answering(answer: &'static [u8]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        let (count, connections) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let seen = seen.clone();
                tokio::spawn(async move { record(stream, answer, &seen).await });
            }
        });
        Self { address, requests, connections }
    }

    /// Connections so far.
    pub(crate) fn connections(&self) -> u64 {
        *self.connections.borrow()
    }

    /// Waits for the connection with this number.
    pub(crate) async fn connected(&self, number: u64) {
        let mut connections = self.connections.clone();
        let waiting = connections.wait_for(|count| *count >= number);
        let _ = time::timeout(PATIENCE, waiting).await.expect("nobody connects").unwrap();
    }

    /// What came since the last look, the beginnings of requests included.
    pub(crate) fn take(&self) -> Vec<Recorded> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }
}

async fn record(mut stream: TcpStream, answer: &[u8], seen: &Mutex<Vec<Recorded>>) {
    loop {
        let mut request = Recorded::default();
        request.whole = read(&mut stream, &mut request).await.is_some();
        let whole = request.whole;
        if !request.head.is_empty() {
            seen.lock().unwrap().push(request);
        }
        if !whole || stream.write_all(answer).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream, request: &mut Recorded) -> Option<()> {
    while !request.head.ends_with("\r\n\r\n") {
        request.head.push(char::from(stream.read_u8().await.ok()?));
    }
    if let [coding] = request.header("transfer-encoding")[..] {
        assert_eq!(coding, "chunked");
        loop {
            let mut line = String::new();
            while !line.ends_with("\r\n") {
                line.push(char::from(stream.read_u8().await.ok()?));
            }
            let size = usize::from_str_radix(line.trim_end(), 16).expect("a size and nothing else");
            exact(stream, size, &mut request.body).await?;
            let mut end = String::new();
            exact(stream, 2, &mut end).await?;
            assert_eq!(end, "\r\n");
            if size == 0 {
                return Some(());
            }
        }
    }
    match request.header("content-length")[..] {
        [] => Some(()),
        [length] => exact(stream, length.parse().unwrap(), &mut request.body).await,
        ref several => panic!("several lengths: {several:?}"),
    }
}

async fn exact(stream: &mut TcpStream, length: usize, into: &mut String) -> Option<()> {
    for _ in 0..length {
        into.push(char::from(stream.read_u8().await.ok()?));
    }
    Some(())
}
