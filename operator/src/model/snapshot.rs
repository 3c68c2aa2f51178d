//! What is known of the cluster at one moment, reduced to what is compiled.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    net::IpAddr,
    num::NonZeroU16,
};

use super::{GroupRef, PodRef, RouteGroup, ServiceRef, SplitRef, WorkloadRef};

/// The observed cluster. The two indexes by address follow the maps they belong to.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// Every Service.
    pub services: BTreeMap<ServiceRef, Service>,
    /// The slices of each Service, by the slice's name.
    pub slices: BTreeMap<ServiceRef, BTreeMap<String, Slice>>,
    /// Every pod that has not ended.
    pub pods: BTreeMap<PodRef, Pod>,
    /// Every `TrafficSplit`.
    pub splits: BTreeMap<SplitRef, Split>,
    /// Every HTTPRouteGroup.
    pub route_groups: BTreeMap<GroupRef, RouteGroup>,
    /// Which Service has a cluster address.
    pub cluster_ips: HashMap<IpAddr, ServiceRef>,
    /// Which pod has an address of its own; pods on the host's network are not among them.
    pub pod_ips: HashMap<IpAddr, PodRef>,
}

/// A Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Cluster addresses; none for a headless service.
    pub cluster_ips: Vec<IpAddr>,
    /// It is the name of a host elsewhere, and has no endpoints of its own.
    pub external: bool,
    /// TCP ports.
    pub ports: Vec<Port>,
    /// Ports that the annotation `weft.dev/opaque-ports` declares opaque; `None` where the defaults hold.
    pub opaque_ports: Option<Vec<u16>>,
}

/// A TCP port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// Name, empty for the only port of a Service.
    pub name: String,
    /// The Service's own port.
    pub port: NonZeroU16,
}

/// A slice of a Service's endpoints.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slice {
    /// Target port by the name of the Service's port.
    pub ports: BTreeMap<String, NonZeroU16>,
    /// Endpoints that are ready.
    pub ready: Vec<SliceEndpoint>,
}

/// A ready endpoint of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceEndpoint {
    /// Address without a port.
    pub address: IpAddr,
    /// The pod behind it; `None` for an address that somebody wrote by hand.
    pub pod: Option<PodRef>,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.uid`: a pod made anew under the same name has another.
    pub uid: String,
    /// Addresses; none on the host's network, none before it has one.
    pub ips: Vec<IpAddr>,
    /// What owns it.
    pub workload: WorkloadRef,
    /// Its service account.
    pub service_account: String,
    /// It has a sidecar.
    pub meshed: bool,
    /// Ports at which connections go past the sidecar.
    pub skipped_ports: BTreeSet<u16>,
}

/// A `TrafficSplit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// `metadata.uid`, which Events refer to.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// `metadata.creationTimestamp` in seconds since 1970: the older of two splits of one root wins.
    pub created: i64,
    /// `spec.service` as written.
    pub service: String,
    /// Names of the route groups in `spec.matches`, as written. None: every request is split.
    pub matches: Vec<String>,
    /// `spec.backends` as written.
    pub backends: Vec<SplitBackend>,
}

/// A backend of a `TrafficSplit`, as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SplitBackend {
    /// Name of the Service.
    pub service: String,
    /// Relative share.
    pub weight: u64,
}

impl Snapshot {
    /// Adds or replaces a Service.
    pub fn apply_service(&mut self, name: ServiceRef, service: Service) {
        self.remove_service(&name);
        for ip in &service.cluster_ips {
            self.cluster_ips.insert(*ip, name.clone());
        }
        self.services.insert(name, service);
    }

    /// Forgets a Service.
    pub fn remove_service(&mut self, name: &ServiceRef) {
        if let Some(old) = self.services.remove(name) {
            for ip in old.cluster_ips {
                // An address may have gone to another Service already.
                if self.cluster_ips.get(&ip) == Some(name) {
                    self.cluster_ips.remove(&ip);
                }
            }
        }
    }

    /// Adds or replaces a pod.
    pub fn apply_pod(&mut self, name: PodRef, pod: Pod) {
        self.remove_pod(&name);
        for ip in &pod.ips {
            self.pod_ips.insert(*ip, name.clone());
        }
        self.pods.insert(name, pod);
    }

    /// Forgets a pod.
    pub fn remove_pod(&mut self, name: &PodRef) {
        if let Some(old) = self.pods.remove(name) {
            for ip in old.ips {
                if self.pod_ips.get(&ip) == Some(name) {
                    self.pod_ips.remove(&ip);
                }
            }
        }
    }

    /// Adds or replaces one slice of a Service.
    pub fn apply_slice(&mut self, service: ServiceRef, slice: String, content: Slice) {
        self.slices.entry(service).or_default().insert(slice, content);
    }

    /// Forgets one slice of a Service.
    pub fn remove_slice(&mut self, service: &ServiceRef, slice: &str) {
        if let Some(slices) = self.slices.get_mut(service) {
            slices.remove(slice);
            if slices.is_empty() {
                self.slices.remove(service);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::WorkloadKind;

    fn service(ips: &[&str]) -> Service {
        let cluster_ips = ips.iter().map(|ip| ip.parse().unwrap()).collect();
        Service { cluster_ips, external: false, ports: Vec::new(), opaque_ports: None }
    }

    fn name(name: &str) -> ServiceRef {
        ServiceRef { namespace: "shop".to_owned(), name: name.to_owned() }
    }

    #[test]
    fn an_address_that_moved_on_stays_with_its_new_service() {
        let mut snapshot = Snapshot::default();
        let ip: IpAddr = "10.0.0.1".parse().unwrap();
        snapshot.apply_service(name("old"), service(&["10.0.0.1"]));
        snapshot.apply_service(name("new"), service(&["10.0.0.1"]));
        snapshot.remove_service(&name("old"));
        assert_eq!(snapshot.cluster_ips.get(&ip), Some(&name("new")));
        snapshot.remove_service(&name("new"));
        assert_eq!(snapshot.cluster_ips.get(&ip), None);
    }

    #[test]
    fn a_pod_leaves_with_its_addresses() {
        let mut snapshot = Snapshot::default();
        let pod_name = PodRef { namespace: "shop".to_owned(), name: "a".to_owned() };
        let workload = WorkloadRef { namespace: "shop".to_owned(), kind: WorkloadKind::Pod, name: "a".to_owned() };
        let pod = |ip: &str| Pod {
            uid: "1".to_owned(),
            ips: vec![ip.parse().unwrap()],
            workload: workload.clone(),
            service_account: "default".to_owned(),
            meshed: false,
            skipped_ports: BTreeSet::new(),
        };
        snapshot.apply_pod(pod_name.clone(), pod("10.1.0.1"));
        snapshot.apply_pod(pod_name.clone(), pod("10.1.0.2"));
        assert_eq!(snapshot.pod_ips.len(), 1);
        snapshot.remove_pod(&pod_name);
        assert!(snapshot.pod_ips.is_empty());
    }
}
