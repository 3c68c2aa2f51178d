//! Follows a plan.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use futures::future::{OptionFuture, join_all};
use tokio::{
    task::JoinHandle,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{Connection, Failure, Plan, SharedTally, Tally};

/// Sends what `plan` says until its limit, or until `stop`; what is in flight then still counts.
///
/// # Errors
/// When the plan is malformed. Failed requests are counted in `tally`.
pub async fn run(plan: &Plan, tally: &SharedTally, stop: &CancellationToken) -> Result<(), Failure> {
    let connections: Vec<Connection> =
        (0..plan.connections.max(1)).map(|_| Connection::new(plan)).collect::<Result<_, _>>()?;
    let duration =
        |seconds: f64| Duration::try_from_secs_f64(seconds).map_err(|error| Failure::Plan(error.to_string()));
    let limit = plan.seconds.map(duration).transpose()?;
    let pace = plan.rate.map(|rate| duration(connections.len() as f64 / rate)).transpose()?;
    if pace.is_some_and(|pace| pace.is_zero()) {
        return Err(Failure::Plan("the rate is too high".to_owned()));
    }

    let left = AtomicU64::new(plan.requests.unwrap_or(u64::MAX));
    let senders = connections.iter().map(|connection| send(connection, &left, pace, tally, stop));
    let out_of_time = async {
        match limit {
            Some(limit) => sleep(limit).await,
            None => std::future::pending().await,
        }
        stop.cancel();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        _ = join_all(senders) => {}
        () = out_of_time => {}
    }
    tally.end();
    Ok(())
}

async fn send(
    connection: &Connection,
    left: &AtomicU64,
    pace: Option<Duration>,
    tally: &SharedTally,
    stop: &CancellationToken,
) {
    let mut ticks = pace.map(|pace| {
        let mut ticks = interval(pace);
        // After a slow answer the rate stays what it was, without a burst that would hide the gap.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks
    });
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = OptionFuture::from(ticks.as_mut().map(|ticks| ticks.tick())) => {}
        }
        if left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err() {
            return;
        }
        let asked = Instant::now();
        let result = connection.ask().await;
        // Without a pace a refused connection would be tried some ten thousand times a second.
        let failed = result.is_err();
        tally.note(result, asked.elapsed());
        if failed && pace.is_none() {
            sleep(Duration::from_millis(1)).await;
        }
    }
}

/// A load that goes on in a task of its own.
#[derive(Debug)]
pub struct Load {
    tally: SharedTally,
    stop: CancellationToken,
    task: JoinHandle<Result<(), Failure>>,
}

impl Load {
    /// Starts to follow `plan`.
    #[must_use]
    pub fn start(plan: Plan) -> Self {
        let (tally, stop) = (SharedTally::default(), CancellationToken::new());
        let task = tokio::spawn({
            let (tally, stop) = (tally.clone(), stop.clone());
            async move { run(&plan, &tally, &stop).await }
        });
        Self { tally, stop, task }
    }

    /// The counts so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        self.tally.now()
    }

    /// Stops sending, awaits what is in flight and returns all counts.
    ///
    /// # Errors
    /// When the plan was malformed.
    pub async fn stop(self) -> Result<Tally, Failure> {
        self.stop.cancel();
        match self.task.await {
            Ok(result) => result?,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
        Ok(self.tally.now())
    }
}
