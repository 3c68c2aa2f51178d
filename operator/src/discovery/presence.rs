//! Whether the index has the very pod that a token was made for.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use tonic::Status;

use super::Caller;
use crate::{index::Index, model::WorkloadRef};

/// How far the index may lag behind the API server, which has just found the token good, before a sidecar is asked to come again.
const LAG: Duration = Duration::from_secs(2);
/// Time in which changes of the cluster are gathered: each of them would wake every stream.
const GATHER: Duration = Duration::from_millis(250);

/// The workload of the caller's pod, once the index has it.
///
/// # Errors
/// `UNAVAILABLE` when it does not in time. It cannot be known then whether the pod is too new for the index, or another has its name.
pub(super) async fn arrived(index: &Index, caller: &Caller) -> Result<WorkloadRef, Status> {
    let mut changes = index.changes();
    let known = || {
        index.read(|snapshot| {
            snapshot.pods.get(&caller.pod).filter(|pod| pod.uid == caller.pod_uid).map(|pod| pod.workload.clone())
        })
    };
    let wait = async {
        loop {
            if let Some(workload) = known() {
                return workload;
            }
            // The sender is in the index, so there is always something to wait for.
            let _changed = changes.changed().await;
        }
    };
    timeout(LAG, wait).await.map_err(|_elapsed| {
        Status::unavailable(format!("the operator has not seen pod {} with the UID {} yet", caller.pod, caller.pod_uid))
    })
}

/// Waits until the caller's pod is gone, has ended, or another has its name.
pub(super) async fn left(index: &Index, caller: &Caller) {
    let mut changes = index.changes();
    let is_there =
        || index.read(|snapshot| snapshot.pods.get(&caller.pod).is_some_and(|pod| pod.uid == caller.pod_uid));
    while is_there() {
        let _changed = changes.changed().await;
        sleep(GATHER).await;
        changes.mark_unchanged();
    }
}

/// What is said to a sidecar whose pod has left.
pub(super) fn gone(caller: &Caller) -> Status {
    Status::not_found(format!("pod {} with the UID {} is gone", caller.pod, caller.pod_uid))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tonic::Code;

    use super::*;
    use crate::{
        index::{Kind, Pods},
        model::PodRef,
    };

    fn caller() -> Caller {
        let pod = PodRef { namespace: "shop".to_owned(), name: "web-1".to_owned() };
        Caller { pod, pod_uid: "new".to_owned(), service_account: "web".to_owned() }
    }

    fn apply(index: &Index, uid: &str, phase: &str) {
        let object: Value = json!({
            "metadata": {"namespace": "shop", "name": "web-1", "uid": uid}, "status": {"phase": phase},
        });
        let object = serde_json::from_value(object).unwrap();
        index.change("shop", &[], |snapshot| Pods::apply(snapshot, &caller().pod, &object));
    }

    #[tokio::test(start_paused = true)]
    async fn waits_for_a_watch_that_lags_behind_but_not_for_ever() {
        for (name, before, after, want) in [
            ("known", Some("new"), None, Ok(())),
            ("not known yet", None, Some("new"), Ok(())),
            ("its predecessor is known", Some("old"), Some("new"), Ok(())),
            ("never known", None, None, Err(Code::Unavailable)),
            ("an earlier pod of the name", Some("newer"), None, Err(Code::Unavailable)),
        ] {
            let index = Index::default();
            if let Some(uid) = before {
                apply(&index, uid, "Running");
            }
            let follow = async {
                sleep(LAG / 2).await;
                if let Some(uid) = after {
                    apply(&index, uid, "Running");
                }
            };
            let caller = caller();
            let (arrived, ()) = tokio::join!(arrived(&index, &caller), follow);
            assert_eq!(arrived.map(drop).map_err(|status| status.code()), want, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn has_left_when_it_is_gone_or_replaced() {
        for (name, change, want) in [
            ("nothing happens", None, false),
            ("it changes", Some(("new", "Unknown")), false),
            ("it ends", Some(("new", "Succeeded")), true),
            ("another has its name", Some(("newer", "Running")), true),
        ] {
            let index = Index::default();
            apply(&index, "new", "Running");
            let caller = caller();
            let follow = async {
                if let Some((uid, phase)) = change {
                    apply(&index, uid, phase);
                }
            };
            let (has_left, ()) = tokio::join!(timeout(LAG, left(&index, &caller)), follow);
            assert_eq!(has_left.is_ok(), want, "{name}");
        }
    }
}
