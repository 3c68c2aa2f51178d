//! An end for handshakes that take too long.

use std::{
    io,
    net::Shutdown,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use pingora::Error;
use socket2::SockRef;
use tokio::{net::TcpStream, time};
use tokio_util::task::AbortOnDropHandle;

use crate::identity::{Failed, HANDSHAKE_LIMIT, Reason};

/// Ends a connection whose handshake the engine has not finished in time. The engine's own limit would wake the process 100
/// times a second.
#[derive(Debug, Default)]
pub(crate) struct HandshakeLimit {
    running: Mutex<Option<AbortOnDropHandle<()>>>,
    reached: Arc<AtomicBool>,
}

impl HandshakeLimit {
    /// The handshake on `stream` begins.
    pub(super) fn start(&self, stream: &TcpStream) -> io::Result<()> {
        let socket = SockRef::from(stream).try_clone()?;
        let reached = self.reached.clone();
        let ending = tokio::spawn(async move {
            time::sleep(HANDSHAKE_LIMIT).await;
            reached.store(true, Ordering::Relaxed);
            if let Err(error) = socket.shutdown(Shutdown::Both) {
                tracing::trace!(error = &error as &dyn std::error::Error, "The endpoint had gone already");
            }
        });
        self.set(Some(AbortOnDropHandle::new(ending)));
        Ok(())
    }

    /// The handshake is finished.
    pub(crate) fn stop(&self) {
        self.set(None);
    }

    /// Why the handshake failed, which `error` stands for.
    pub(crate) fn reason(&self, error: &Error) -> Reason {
        if let Some(failed) = error.root_cause().downcast_ref::<Failed>() {
            failed.reason
        } else if self.reached.load(Ordering::Relaxed) {
            Reason::Timeout
        } else {
            Reason::of(&error.to_string())
        }
    }

    fn set(&self, running: Option<AbortOnDropHandle<()>>) {
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
    }
}
