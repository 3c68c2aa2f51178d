//! Finds what in a pod cannot live beside a sidecar.

use k8s_openapi::api::core::v1::{Container, Pod};

use super::{IDENTITY_VOLUME, INIT_CONTAINER, PROXY_CONTAINER, PROXY_UID, Refusal, wish::Wishes};

/// Refuses a pod that uses a name, port or user of the sidecar; `pod_name` is its name in messages.
pub(super) fn check(pod_name: &str, pod: &Pod, wishes: &Wishes) -> Result<(), Refusal> {
    let Some(spec) = &pod.spec else { return Ok(()) };
    let reserved_user = |field: String| Refusal::ReservedUser { pod: pod_name.to_owned(), field };
    if spec.security_context.as_ref().is_some_and(|context| context.run_as_user == Some(PROXY_UID)) {
        return Err(reserved_user("spec.securityContext.runAsUser".to_owned()));
    }
    let init = spec
        .init_containers
        .iter()
        .flatten()
        .enumerate()
        .map(|(index, container)| ("initContainers", index, container));
    let containers = spec.containers.iter().enumerate().map(|(index, container)| ("containers", index, container));
    for (list, index, container) in init.chain(containers) {
        let path = format!("spec.{list}[{index}]");
        if [INIT_CONTAINER, PROXY_CONTAINER].contains(&container.name.as_str()) {
            return Err(Refusal::ReservedName {
                pod: pod_name.to_owned(),
                field: format!("{path}.name"),
                name: container.name.clone(),
            });
        }
        if container.security_context.as_ref().is_some_and(|context| context.run_as_user == Some(PROXY_UID)) {
            return Err(reserved_user(format!("{path}.securityContext.runAsUser")));
        }
        check_ports(pod_name, &path, container, wishes)?;
    }
    for (index, volume) in spec.volumes.iter().flatten().enumerate() {
        if volume.name == IDENTITY_VOLUME {
            return Err(Refusal::ReservedName {
                pod: pod_name.to_owned(),
                field: format!("spec.volumes[{index}].name"),
                name: volume.name.clone(),
            });
        }
    }
    Ok(())
}

fn check_ports(pod_name: &str, path: &str, container: &Container, wishes: &Wishes) -> Result<(), Refusal> {
    for (index, port) in container.ports.iter().flatten().enumerate() {
        // An absent protocol is TCP; the sidecar listens on nothing else.
        if port.protocol.as_deref().is_some_and(|protocol| protocol != "TCP") {
            continue;
        }
        for (annotation, taken) in wishes.listeners() {
            if port.container_port == i32::from(taken) {
                return Err(Refusal::ReservedPort {
                    pod: pod_name.to_owned(),
                    field: format!("{path}.ports[{index}].containerPort"),
                    port: taken,
                    annotation,
                });
            }
        }
    }
    Ok(())
}
