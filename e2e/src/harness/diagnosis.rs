//! What a failed test prints about its namespace.

use anyhow::Result;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Event, Pod, Service},
    discovery::v1::EndpointSlice,
};
use kube::{
    ResourceExt,
    api::{ListParams, LogParams},
};
use serde::Serialize;

use super::TestNamespace;

/// Lines of each container's log.
const LOG_LINES: i64 = 60;

/// Prints everything about a namespace that may tell why its test failed.
pub(crate) async fn print(namespace: &TestNamespace) {
    let name = &namespace.name;
    section(&format!("objects of namespace {name}"));
    let everything = ListParams::default();
    let pods = namespace.api::<Pod>().list(&everything).await;
    objects("TrafficSplit", namespace.splits().list(&everything).await);
    objects("Deployment", namespace.api::<Deployment>().list(&everything).await);
    objects("Service", namespace.api::<Service>().list(&everything).await);
    objects("EndpointSlice", namespace.api::<EndpointSlice>().list(&everything).await);

    section(&format!("Events of namespace {name}"));
    match namespace.api::<Event>().list(&everything).await {
        Ok(events) => events.iter().for_each(print_event),
        Err(error) => println!("{error}"),
    }
    let pods = match pods {
        Ok(pods) => pods,
        Err(error) => return println!("pods: {error}"),
    };
    for pod in &pods {
        section(&format!("pod {}", pod.name_any()));
        object(pod);
        if let Err(error) = print_logs(namespace, pod).await {
            println!("logs: {error:#}");
        }
        match namespace.proxy_config(pod).await {
            Ok(config) => println!("--- configuration of its proxy\n{config:#}"),
            Err(error) => println!("--- no configuration of its proxy: {error:#}"),
        }
    }
}

fn section(title: &str) {
    println!("\n===== {title}");
}

fn objects<K: ResourceExt + Clone + Serialize>(kind: &str, list: kube::Result<kube::api::ObjectList<K>>) {
    match list {
        Ok(list) => {
            for item in &list {
                println!("--- {kind} {}", item.name_any());
                object(item);
            }
        }
        Err(error) => println!("--- {kind}: {error}"),
    }
}

fn object<K: ResourceExt + Clone + Serialize>(item: &K) {
    let mut item = item.clone();
    item.managed_fields_mut().clear();
    match serde_norway::to_string(&item) {
        Ok(yaml) => println!("{yaml}"),
        Err(error) => println!("{error}"),
    }
}

fn print_event(event: &Event) {
    let object = &event.involved_object;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    println!("{} {} {}: {}", text(&object.kind), text(&object.name), text(&event.reason), text(&event.message));
}

async fn print_logs(namespace: &TestNamespace, pod: &Pod) -> Result<()> {
    let spec = pod.spec.clone().unwrap_or_default();
    for container in spec.init_containers.unwrap_or_default().into_iter().chain(spec.containers) {
        for previous in [true, false] {
            let parameters = LogParams {
                container: Some(container.name.clone()),
                tail_lines: Some(LOG_LINES),
                previous,
                ..LogParams::default()
            };
            match namespace.api::<Pod>().logs(&pod.name_any(), &parameters).await {
                Ok(log) => println!(
                    "--- log of {}{}\n{log}",
                    container.name,
                    if previous { ", before its restart" } else { "" }
                ),
                // Most containers were never restarted.
                Err(_) if previous => {}
                Err(error) => println!("--- log of {}: {error}", container.name),
            }
        }
    }
    Ok(())
}
