//! Who sends a request, and whether that goes through a sidecar.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use k8s_openapi::api::core::v1::{Container, Pod};
use serde::Serialize;
use weft_operator::index::{Kind, Pods};
use weft_operator::model::{WorkloadKind, WorkloadRef};
use weft_policy::port::DEFAULT_OPAQUE;

use super::world::World;

/// Container that is the sidecar, and its variable with the ports whose protocol it does not look at.
const SIDECAR: &str = "weft-proxy";
const OPAQUE_PORTS: &str = "WEFT_OPAQUE_PORTS";

/// Container that writes the redirect rules, and its arguments with what the rules leave out.
const INIT: &str = "weft-init";
const SKIP_PORTS: &str = "--skip-outbound-ports=";
const SKIP_NETWORKS: &str = "--skip-outbound-cidrs=";

/// Who sends a request.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Caller {
    /// Its namespace.
    pub(super) namespace: String,
    /// What owns its pods; `None` for any client with a sidecar.
    pub(super) workload: Option<Owner>,
    /// How many pods it has.
    pub(super) pods: Option<usize>,
    /// How many of them have a sidecar.
    pub(super) meshed: Option<usize>,
    /// What becomes of what it sends.
    pub(super) way: Way,
}

/// Kind and name of a workload.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Owner {
    pub(super) kind: &'static str,
    pub(super) name: String,
}

/// What becomes of what a pod sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Way {
    /// Its sidecar takes it, and looks at its protocol.
    Sidecar,
    /// Its sidecar takes it, and passes it on as bytes.
    Bytes,
    /// It has a sidecar, whose rules leave the destination out.
    PastTheSidecar,
    /// It has no sidecar.
    NoSidecar,
}

impl Caller {
    /// Any client with a sidecar, as it is when nobody says otherwise.
    pub(super) fn any(namespace: &str, port: u16) -> Self {
        let way = if DEFAULT_OPAQUE.contains(&port) { Way::Bytes } else { Way::Sidecar };
        Self { namespace: namespace.to_owned(), workload: None, pods: None, meshed: None, way }
    }

    /// A workload or pod of `world`. `None` when it has no pods. The pods of a workload that is being rolled out may differ; then
    /// those with the most mesh count, and `notes` says so.
    pub(super) fn of(
        world: &World,
        workload: &WorkloadRef,
        addresses: &[IpAddr],
        port: u16,
        notes: &mut Vec<String>,
    ) -> Option<Self> {
        let is_sender = |pod: &&Pod| {
            let Some(known) = Pods::observe(pod) else { return false };
            match workload.kind {
                WorkloadKind::Pod => {
                    Pods::key(pod).is_some_and(|key| key.namespace == workload.namespace && key.name == workload.name)
                }
                _ => known.workload == *workload,
            }
        };
        let pods: Vec<&Pod> = world.pods.values().filter(is_sender).collect();
        let ways: Vec<Way> = pods.iter().map(|pod| way(pod, addresses, port)).collect();
        let way = [Way::Sidecar, Way::Bytes, Way::PastTheSidecar, Way::NoSidecar]
            .into_iter()
            .find(|way| ways.contains(way))?;
        let meshed = ways.iter().filter(|way| **way != Way::NoSidecar).count();
        let others = ways.iter().filter(|other| **other != way).count();
        if others > 0 {
            notes.push(format!(
                "{others} of the {} pods of the caller are set up differently; they may reach other endpoints",
                pods.len()
            ));
        }
        Some(Self {
            namespace: workload.namespace.clone(),
            workload: Some(Owner { kind: workload.kind.as_str(), name: workload.name.clone() }),
            pods: Some(pods.len()),
            meshed: Some(meshed),
            way,
        })
    }
}

/// What becomes of what `pod` sends to a port at `addresses`.
fn way(pod: &Pod, addresses: &[IpAddr], port: u16) -> Way {
    let injected = pod.spec.iter().flat_map(|spec| spec.init_containers.iter().flatten());
    let container = |name: &str| injected.clone().find(|container| container.name == name);
    let Some(sidecar) = container(SIDECAR) else { return Way::NoSidecar };
    let init = container(INIT);
    let skips_port = || list::<u16>(argument(init, SKIP_PORTS)).contains(&port);
    let skips_network = || {
        let networks: BTreeSet<IpNet> = list(argument(init, SKIP_NETWORKS));
        addresses.iter().any(|address| networks.iter().any(|network| network.contains(address)))
    };
    if skips_port() || skips_network() {
        return Way::PastTheSidecar;
    }
    let variables = sidecar.env.iter().flatten();
    let opaque =
        variables.into_iter().find(|variable| variable.name == OPAQUE_PORTS).and_then(|found| found.value.as_deref());
    let opaque = opaque.map_or_else(|| DEFAULT_OPAQUE.into(), |text| list::<u16>(Some(text)));
    if opaque.contains(&port) { Way::Bytes } else { Way::Sidecar }
}

fn argument<'a>(container: Option<&'a Container>, prefix: &str) -> Option<&'a str> {
    container?.args.iter().flatten().find_map(|argument| argument.strip_prefix(prefix))
}

/// What the injector wrote, separated by commas. It writes nothing that cannot be read.
fn list<T: std::str::FromStr + Ord>(text: Option<&str>) -> BTreeSet<T> {
    text.into_iter().flat_map(|text| text.split(',')).filter_map(|item| item.trim().parse().ok()).collect()
}
