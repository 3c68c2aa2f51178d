//! A cluster with thousands of objects: how long the operator takes to know it, what it takes to hold it, and how soon a change
//! reaches a sidecar. Needs the local cluster, where the operator's process can be looked at.

mod bystander;
mod crowd;

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use e2e::{
    eventually,
    harness::{Node, Operator, Process, Subscriber},
    run_alone,
};
use k8s_openapi::{api::core::v1::Pod, jiff::Timestamp};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};

use bystander::Bystander;
use crowd::{Crowd, OBJECTS, PODS, Root, SERVICES};

/// From the start of the process until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(15);
const MEMORY_LIMIT: u64 = 200 * MIB;
/// From when the API server tells watches of an edit until a sidecar is told: the API server's own time is the machine's, and
/// Weft can be told no sooner. For 19 of 20, as the machine has other work.
const REACH_LIMIT: Duration = Duration::from_millis(100);
/// Time for the statuses of all objects: at a hundred a second.
const STATUS_LIMIT: Duration = Duration::from_secs(150);
const SUBSCRIBERS: usize = 40;
/// Of each subscriber.
const SUBSCRIPTIONS: usize = 10;
const EDITS: usize = 200;
const MIB: u64 = 1 << 20;

/// How long the process of a ready pod took to become ready, to a second.
fn readiness(pod: &Pod) -> Result<Duration> {
    let status = pod.status.as_ref().context("no status")?;
    let container = status.container_statuses.iter().flatten().next().context("no container")?;
    let started = container
        .state
        .as_ref()
        .and_then(|state| state.running.as_ref())
        .and_then(|running| running.started_at.clone());
    let ready = status.conditions.iter().flatten().find(|condition| condition.type_ == "Ready");
    let ready = ready.and_then(|condition| condition.last_transition_time.clone());
    let (started, ready): (Timestamp, Timestamp) = (started.context("not started")?.0, ready.context("not ready")?.0);
    Ok(ready.duration_since(started).try_into()?)
}

/// Changes the weights of a root's split; they sum up to 100.
async fn edit(root: &Root, weight: u32) -> Result<()> {
    let spec = json!({"spec": {"backends": [
        {"service": format!("root-{}", (root.number + 1) % 100), "weight": weight},
        {"service": format!("root-{}", (root.number + 2) % 100), "weight": 100 - weight},
    ]}});
    root.namespace.splits().patch(&root.name(), &PatchParams::default(), &Patch::Merge(&spec)).await?;
    Ok(())
}

/// How long an edit took.
struct Reach {
    /// From the request until a sidecar was told.
    whole: Duration,
    /// Of that what came after somebody else's watch was told.
    beyond_watch: Duration,
}

/// Edits a root's split and awaits that its subscriber is told.
async fn reach(root: &Root, subscriber: &Subscriber, bystander: &Bystander, weight: u32) -> Result<Reach> {
    let start = Instant::now();
    let has_weight = |told: &e2e::harness::Told| {
        let first = told.service.as_ref().and_then(|service| service.backends.first());
        first.is_some_and(|backend| backend.weight == u64::from(weight))
    };
    let name = root.name();
    let all = async {
        tokio::try_join!(
            edit(root, weight),
            subscriber.told(root.address, has_weight),
            bystander.heard(&root.namespace.name, &name, weight)
        )
    };
    let ((), told, heard) =
        tokio::time::timeout(Duration::from_secs(10), all).await.context("not told in ten seconds")??;
    Ok(Reach { whole: told.at.duration_since(start), beyond_watch: told.at.saturating_duration_since(heard) })
}

fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent).div_ceil(100) - 1]
}

async fn measure(operator: &Operator, crowd: &Crowd) -> Result<()> {
    let start = Instant::now();
    crowd.settle().await?;
    let settled = start.elapsed();
    let writes = operator.metrics().await?.sum("weft_status_writes_total", &[]);
    let start = Instant::now();
    crowd.govern().await?;
    println!("{PODS} pods and {SERVICES} Services in {settled:?}, {OBJECTS} SMI objects in {:?}", start.elapsed());
    eventually(STATUS_LIMIT, "a status of every object", async || {
        let said = crowd.said().await?;
        ensure!(said == OBJECTS, "{said} of {OBJECTS} have one");
        Ok(())
    })
    .await?;
    let writes = operator.metrics().await?.sum("weft_status_writes_total", &[]) - writes;
    println!("all have a status after {:?}, by {writes} writes", start.elapsed());
    ensure!(writes <= 2.0 * OBJECTS as f64, "{writes} writes for {OBJECTS} objects");

    operator.restart(&crowd.namespaces[0].name).await?;
    let pod = operator.pod().await?;
    let ready = readiness(&pod)?;
    let channel = operator.connect().await?;
    let process = Process::of(&pod, "weft-operator")?;
    println!("ready after {ready:?}, with {} MiB", process.usage()?.resident_bytes / MIB);

    let roots = crowd.roots().await?;
    let each = roots.len() / crowd.namespaces.len();
    let mut subscribers = Vec::new();
    for (number, namespace) in crowd.namespaces.iter().enumerate() {
        let pods = crowd.pods(namespace, SUBSCRIBERS / crowd.namespaces.len()).await?;
        for (place, pod) in pods.iter().enumerate() {
            let subscriber = Subscriber::start(&channel, namespace, pod).await?;
            let first = number * each + place * SUBSCRIPTIONS;
            for root in &roots[first..first + SUBSCRIPTIONS] {
                subscriber.subscribe(root.address).await?;
            }
            for root in &roots[first..first + SUBSCRIPTIONS] {
                subscriber.told(root.address, |told| told.service.is_some()).await?;
            }
            subscribers.push((first, subscriber));
        }
    }

    let bystander = Bystander::start(Api::all(crowd.cluster.client.clone()));
    let (mut whole, mut beyond_watch) = (Vec::new(), Vec::new());
    for number in 0..EDITS {
        let (first, subscriber) = &subscribers[number % subscribers.len()];
        let root = &roots[first + (number / subscribers.len()) % SUBSCRIPTIONS];
        let reach = reach(root, subscriber, &bystander, 1 + u32::try_from(number % 80)?).await?;
        whole.push(reach.whole);
        beyond_watch.push(reach.beyond_watch);
    }
    let reached = percentile(&mut beyond_watch, 95);
    println!(
        "an edit reaches a sidecar in {:?} (p50), {:?} (p99), which is {:?} (p50), {reached:?} (p95), {:?} (p99) after \
         somebody else's watch",
        percentile(&mut whole, 50),
        percentile(&mut whole, 99),
        percentile(&mut beyond_watch, 50),
        percentile(&mut beyond_watch, 99),
    );

    let before: u64 = subscribers.iter().map(|(_, subscriber)| subscriber.updates()).sum();
    let pushed = operator.metrics().await?.sum("weft_updates_sent_total", &[]);
    let mut unrelated = 0;
    // Of each namespace the last roots are nobody's.
    for root in roots.iter().filter(|root| root.number >= SUBSCRIBERS / 5 * SUBSCRIPTIONS) {
        edit(root, 50).await?;
        unrelated += 1;
    }
    for namespace in &crowd.namespaces {
        let labels: Value = json!({"metadata": {"labels": {"e2e/unrelated": "1"}}});
        namespace.api::<Pod>().patch("pod-399", &PatchParams::default(), &Patch::Merge(&labels)).await?;
        unrelated += 1;
    }
    // Whoever has been told of this would have been told of the others before.
    let (first, subscriber) = &subscribers[0];
    reach(&roots[*first], subscriber, &bystander, 99).await?;
    let told = subscribers.iter().map(|(_, subscriber)| subscriber.updates()).sum::<u64>() - before;
    let pushed = operator.metrics().await?.sum("weft_updates_sent_total", &[]) - pushed;
    println!("{unrelated} unrelated changes and one that is related: {pushed} updates sent, {told} came");

    let usage = process.usage()?;
    println!("in the end {} MiB, at most {} MiB", usage.resident_bytes / MIB, usage.peak_bytes / MIB);
    ensure!(ready <= READY_LIMIT, "ready after {ready:?}");
    ensure!(usage.peak_bytes <= MEMORY_LIMIT, "{} MiB at most", usage.peak_bytes / MIB);
    ensure!(reached <= REACH_LIMIT, "19 of 20 edits reach a sidecar in {reached:?} after somebody else's watch");
    ensure!(
        told == 1 && (pushed - 1.0).abs() < 0.5,
        "{pushed} updates were sent and {told} came for one related change"
    );
    Ok(())
}

#[test]
fn of_thousands_of_objects_costs_little_and_a_change_reaches_whom_it_concerns_at_once() {
    let Some(_node) = Node::local() else { return };
    run_alone("scale", async |ns| {
        let operator = Operator::of(&ns.cluster);
        let crowd = Crowd::new(&ns.cluster).await?;
        let done = Box::pin(measure(&operator, &crowd)).await;
        let dispersed = crowd.disperse().await;
        done.and(dispersed)
    });
}
