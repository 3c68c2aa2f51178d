//! Attacks: started, looked at and stopped by the harness.

mod http1;
mod http2;
mod silent;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use e2e::intrusion::{Attack, Damage, Method};
use serde::Serialize;
use tokio::{
    net::TcpStream,
    time::{Interval, MissedTickBehavior, interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::Refusal;

/// The shortest time between two steps of a connection; faster ones are taken several at a time.
const TICK: Duration = Duration::from_millis(10);
/// Pause before a connection that ended is made again.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections that one attack begins in each pause, a thousand a second: it is to be many, not to be fast.
const BEGINNING: usize = 100;

/// The attacks that go on, by id.
#[derive(Clone, Default)]
pub(crate) struct Attacks(Arc<Mutex<Known>>);

#[derive(Default)]
struct Known {
    next: u64,
    running: HashMap<u64, Running>,
}

#[derive(Clone)]
struct Running {
    ledger: Arc<Ledger>,
    stop: CancellationToken,
    tasks: TaskTracker,
}

/// The id of an attack that was started.
#[derive(Serialize)]
pub(crate) struct Started {
    id: u64,
}

/// What the connections of one attack write to.
#[derive(Default)]
struct Ledger(Mutex<Damage>);

impl Ledger {
    fn write(&self, note: impl FnOnce(&mut Damage)) {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn read(&self) -> Damage {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What one connection of an attack works with.
struct Attacker {
    attack: Attack,
    ledger: Arc<Ledger>,
}

/// The steps of one connection in time.
struct Pace {
    ticks: Interval,
    steps: f64,
    due: f64,
}

impl Pace {
    fn new(attack: &Attack) -> Self {
        let rate = attack.rate.max(f64::MIN_POSITIVE) / attack.connections.max(1) as f64;
        // A step a minute is slow enough for all.
        let tick =
            TICK.max(Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX).min(Duration::from_secs(60)));
        let mut ticks = interval(tick);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { ticks, steps: rate * tick.as_secs_f64(), due: 0.0 }
    }

    /// Awaits the next tick and says how many steps it is worth.
    async fn next(&mut self) -> u64 {
        loop {
            self.ticks.tick().await;
            self.due += self.steps;
            let steps = self.due.floor();
            self.due -= steps;
            if steps >= 1.0 {
                return steps as u64;
            }
        }
    }
}

impl Attacker {
    fn took(&self, steps: u64) {
        self.ledger.write(|damage| damage.steps += steps);
    }

    /// One connection from its begin to its end, which is told.
    async fn connection(&self) -> std::io::Result<String> {
        let stream = TcpStream::connect(self.attack.address).await?;
        stream.set_nodelay(true)?;
        self.ledger.write(|damage| {
            damage.open += 1;
            damage.opened += 1;
        });
        let end = match self.attack.method {
            Method::Silent => silent::wait(stream).await,
            Method::Idle => silent::idle(stream).await,
            Method::HalfHandshake => silent::half_handshake(stream, &self.attack.server_name).await,
            Method::Slowloris => http1::slowloris(self, stream).await,
            Method::SlowReader => http1::slow_reader(self, stream).await,
            Method::OversizedHeaders => http1::oversized(self, stream).await,
            Method::RapidReset
            | Method::ContinuationFlood
            | Method::SettingsFlood
            | Method::PingFlood
            | Method::HpackBomb => http2::flood(self, stream).await,
        };
        self.ledger.write(|damage| damage.open -= 1);
        end
    }

    async fn run(&self) {
        loop {
            let end = self.connection().await.unwrap_or_else(|error| error.kind().to_string());
            self.ledger.write(|damage| *damage.ends.entry(end).or_default() += 1);
            sleep(PAUSE).await;
        }
    }
}

/// Starts an attack.
pub(crate) async fn start(State(attacks): State<Attacks>, Json(attack): Json<Attack>) -> Json<Started> {
    let running = Running { ledger: Arc::default(), stop: CancellationToken::new(), tasks: TaskTracker::new() };
    for number in 0..attack.connections {
        let attacker = Attacker { attack: attack.clone(), ledger: Arc::clone(&running.ledger) };
        let stop = running.stop.clone();
        running.tasks.spawn(async move {
            let wait = PAUSE * u32::try_from(number / BEGINNING).unwrap_or(u32::MAX);
            tokio::select! {
                () = stop.cancelled() => {}
                () = async {
                    sleep(wait).await;
                    attacker.run().await;
                } => {}
            }
        });
    }
    running.tasks.close();
    let mut known = attacks.locked();
    known.next += 1;
    let id = known.next;
    known.running.insert(id, running);
    Json(Started { id })
}

/// What an attack has done so far.
pub(crate) async fn look(State(attacks): State<Attacks>, Path(id): Path<u64>) -> Result<Json<Damage>, Refusal> {
    Ok(Json(attacks.find(id)?.ledger.read()))
}

/// Ends an attack and tells what it has done.
pub(crate) async fn stop(State(attacks): State<Attacks>, Path(id): Path<u64>) -> Result<Json<Damage>, Refusal> {
    let running = attacks.find(id)?;
    let damage = running.ledger.read();
    running.stop.cancel();
    running.tasks.wait().await;
    attacks.locked().running.remove(&id);
    Ok(Json(damage))
}

impl Attacks {
    fn find(&self, id: u64) -> Result<Running, Refusal> {
        let found = self.locked().running.get(&id).cloned();
        found.ok_or_else(|| (StatusCode::NOT_FOUND, format!("there is no attack {id}\n")))
    }

    fn locked(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
