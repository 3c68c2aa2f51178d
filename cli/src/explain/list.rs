//! Reading from the cluster what an answer follows from: of the namespaces concerned, nothing else.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, anyhow};
use futures::future::try_join_all;
use futures::try_join;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use weft_operator::index::{EndpointSlices, Kind, Pods, Services};

use super::world::{HttpRouteGroups, Objects, TrafficSplits, World};
use crate::check::{NAMESPACE, OPERATOR};
use crate::connection::cause;

/// Objects asked for at a time; the page size of kubectl.
const PAGE: u32 = 500;

/// Variable by which the operator is told the cluster's DNS domain.
const CLUSTER_DOMAIN: &str = "WEFT_CLUSTER_DOMAIN";

/// What there is in the root's namespace, and the pods of the caller's.
pub(super) async fn world(client: &Client, root: &str, caller: &str) -> Result<World> {
    let namespaces = BTreeSet::from([root, caller]);
    let pods = try_join_all(namespaces.iter().map(|namespace| list::<Pods>(client, namespace)));
    let labels = try_join_all(namespaces.iter().map(|namespace| labels(client, namespace)));
    let (pods, labels, services, slices, splits, route_groups) = try_join!(
        pods,
        labels,
        list::<Services>(client, root),
        list::<EndpointSlices>(client, root),
        list::<TrafficSplits>(client, root),
        list::<HttpRouteGroups>(client, root),
    )?;
    let namespaces = namespaces.into_iter().map(str::to_owned).zip(labels).collect();
    Ok(World { services, slices, pods: pods.into_iter().flatten().collect(), splits, route_groups, namespaces })
}

/// The cluster's DNS domain as the operator was told it. `None` when there is no operator, or one may not ask.
pub(super) async fn cluster_domain(client: &Client) -> Option<String> {
    let operator = Api::<Deployment>::namespaced(client.clone(), NAMESPACE).get_opt(OPERATOR).await.ok()??;
    let containers = operator.spec?.template.spec?.containers;
    let variables = containers.into_iter().flat_map(|container| container.env.into_iter().flatten());
    variables.filter(|variable| variable.name == CLUSTER_DOMAIN).find_map(|variable| variable.value)
}

async fn list<K: Kind>(client: &Client, namespace: &str) -> Result<Objects<K>>
where
    K::Object: Resource<Scope = NamespaceResourceScope>,
{
    let api = Api::<K::Object>::namespaced(client.clone(), namespace);
    let mut objects = Objects::<K>::new();
    let mut page = ListParams::default().limit(PAGE);
    loop {
        let list = api.list(&page).await.map_err(|error| {
            let plural = K::Object::plural(&());
            anyhow!("{plural} of namespace {namespace} cannot be listed: {}", cause(&error))
        })?;
        objects.extend(list.items.into_iter().filter_map(|object| Some((K::key(&object)?, object))));
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Ok(objects),
        }
    }
}

/// Labels of a namespace. None when one may not ask: they say only what a manifest's pods would become.
async fn labels(client: &Client, namespace: &str) -> Result<BTreeMap<String, String>> {
    match Api::<Namespace>::all(client.clone()).get_opt(namespace).await {
        Ok(found) => Ok(found.and_then(|found| found.metadata.labels).unwrap_or_default()),
        Err(kube::Error::Api(status)) if status.is_forbidden() => Ok(BTreeMap::new()),
        Err(error) => Err(anyhow!("namespace {namespace} cannot be read: {}", cause(&error))),
    }
}
