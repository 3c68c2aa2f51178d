//! The thread beside the traffic: discovery, reports and the admin port on a runtime of their own, so that none of them ever
//! stands in a request's way.

use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, runtime, sync::oneshot, time};
use tokio_util::sync::CancellationToken;

use crate::{
    admin::{self, Admin},
    discovery::{self, Discovery},
    identity,
};

/// Time for the operator to take the last report.
const LAST_REPORT_LIMIT: Duration = Duration::from_secs(2);

/// The running thread.
#[derive(Debug)]
pub(crate) struct Control {
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<io::Result<()>>,
    stop: CancellationToken,
}

/// What runs on the thread.
pub(crate) struct Work {
    pub(crate) discovery: Discovery,
    pub(crate) admin: Arc<Admin>,
    pub(crate) admin_listeners: Vec<std::net::TcpListener>,
    /// When the process started.
    pub(crate) started: Instant,
}

impl Control {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn start(work: Work) -> io::Result<Self> {
        let stop = CancellationToken::new();
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("weft-control".to_owned()).spawn({
            let stop = stop.clone();
            move || {
                let result = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .and_then(|runtime| runtime.block_on(run(work, stop)));
                // Nobody waits any more when the rest of the process has ended first.
                let _ = end.send(result);
            }
        })?;
        Ok(Self { thread, ended, stop })
    }

    /// Waits for the thread to end by itself, which it does not unless something is broken.
    pub(crate) async fn ended(&mut self) -> io::Result<()> {
        (&mut self.ended).await.unwrap_or_else(|_panicked| Err(io::ErrorKind::BrokenPipe.into()))
    }

    /// Sends the last report and ends the thread.
    pub(crate) async fn stop(mut self) -> io::Result<()> {
        self.stop.cancel();
        let result = self.ended().await;
        // It has nothing left to do but to return.
        if self.thread.join().is_err() {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        result
    }
}

async fn run(work: Work, stop: CancellationToken) -> io::Result<()> {
    let Work { discovery, admin, admin_listeners, started } = work;
    let listeners = admin_listeners.into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
    let last = CancellationToken::new();
    let report = discovery::report(
        discovery.operator.clone(),
        discovery.registry.clone(),
        discovery.instance.clone(),
        started,
        discovery.observe().session,
        stop.clone(),
    );
    let report = async {
        tokio::select! {
            () = report => {}
            () = async { stop.cancelled().await; time::sleep(LAST_REPORT_LIMIT).await } => {
                tracing::debug!("The operator did not take the last report in time");
            }
        }
        // The connection that the last report went over is discovery's.
        last.cancel();
    };
    let renewal = identity::renew(
        discovery.credentials.clone(),
        discovery.operator.clone(),
        discovery.observe().session,
        last.clone(),
    );
    let discovery = discovery::run(discovery, last.clone());
    tokio::join!(report, renewal, discovery, admin::serve(listeners, admin, last.clone()));
    Ok(())
}
