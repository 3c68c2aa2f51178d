//! Telling the sidecar that its pod is about to end.
//!
//! A sidecar is told to stop only after the pod's other containers have: too late for clients without a sidecar, who learn from it
//! alone to connect anew. The kubelet runs this when the pod begins to end, and waits for it before it stops anything.

use std::{
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    num::NonZeroU16,
    time::Duration,
};

use thiserror::Error;

/// Where the admin port is told.
pub(super) const PATH: &str = "/leave";
/// Time for the sidecar to answer, which is busy at worst.
const LIMIT: Duration = Duration::from_secs(5);

/// Why the sidecar was not told.
#[derive(Debug, Error)]
pub enum LeaveError {
    /// Nobody listens, or nobody answers.
    #[error("cannot reach the sidecar at port {port}")]
    Unreachable {
        /// The admin port.
        port: NonZeroU16,
        /// Why it cannot be reached.
        source: io::Error,
    },
    /// Whoever listens is no sidecar, or an older one.
    #[error("the sidecar answered {answer:?}")]
    Refused {
        /// First line of the answer.
        answer: String,
    },
}

/// Tells the sidecar whose admin port is `port`.
///
/// # Errors
/// When it cannot be told.
pub fn leave(port: NonZeroU16) -> Result<(), LeaveError> {
    let answer = ask(port).map_err(|source| LeaveError::Unreachable { port, source })?;
    if answer.starts_with("HTTP/1.1 200 ") {
        return Ok(());
    }
    Err(LeaveError::Refused { answer: answer.lines().next().unwrap_or_default().to_owned() })
}

fn ask(port: NonZeroU16) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port.get())), LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(stream, "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}
