//! `weft explain`: what happens to a request, and why.
//!
//! What the cluster has, with manifests laid over it where some are given, becomes the operator's snapshot; the operator's
//! compiler says what a sidecar would be told, and the sidecar's own comparisons say what it would do. Nothing is sent.

mod answer;
mod caller;
mod compare;
mod decide;
mod list;
mod manifest;
mod overlay;
mod question;
mod rollout;
mod splits;
#[cfg(test)]
mod tests;
mod text;
mod world;

use anyhow::{Result, anyhow};
use http::HeaderMap;
use jiff::Timestamp;
use kube::Client;
use weft_operator::compile::Mesh;
use weft_operator::model::{ServiceRef, WorkloadRef};
use weft_policy::root;

use crate::arguments::{Cluster, Request};
use crate::connection::connect;
use crate::outcome::Outcome;
use crate::output::Format;

use answer::Answer;
use compare::Written;
use decide::Question;
use manifest::Manifest;
use overlay::{Addresses, Creation};
use world::World;

pub(crate) use question::{Header, Place, Root, method, path};

/// DNS domain of a cluster whose operator was told no other; the operator's own default.
const CLUSTER_DOMAIN: &str = "cluster.local";

/// Namespace of a kubeconfig's context that names none; kubectl's own default.
const DEFAULT_NAMESPACE: &str = "default";

/// What to print of a request, and whether anybody serves it.
///
/// Fails when that cannot be told: the cluster does not answer, a manifest cannot be read, or the question is incomplete.
pub(crate) async fn request(cluster: &Cluster, request: &Request, format: Format) -> Result<(String, Outcome)> {
    let client = if request.offline { None } else { Some(connect(cluster).await?.0) };
    let default = client.as_ref().map_or(DEFAULT_NAMESPACE, Client::default_namespace);
    let namespace = request.namespace.clone().unwrap_or_else(|| default.to_owned());
    let cluster_domain = match (&request.cluster_domain, &client) {
        (Some(domain), _) => domain.clone(),
        (None, Some(client)) => list::cluster_domain(client).await.unwrap_or_else(|| CLUSTER_DOMAIN.to_owned()),
        (None, None) => CLUSTER_DOMAIN.to_owned(),
    };
    // Only endpoints' identities depend on the trust domain, and nobody asks for those.
    let mesh = Mesh { trust_domain: cluster_domain.clone(), cluster_domain };
    let question = question(request, &namespace, &mesh)?;
    let world = match &client {
        Some(client) => list::world(client, &question.root.namespace, &question.namespace).await?,
        None => World::default(),
    };
    let manifests = manifest::read(&request.files, &namespace)?;
    let creation = Creation { now: client.is_some().then(Timestamp::now) };
    let answer = answer(world, manifests, &creation, &mesh, question)?;
    let outcome = answer.outcome.into();
    let printed = match format {
        Format::Table => text::text(&answer),
        Format::Json => serde_json::to_string_pretty(&answer)? + "\n",
    };
    Ok((printed, outcome))
}

/// The answer, once everything is read.
fn answer(
    mut world: World,
    manifests: Vec<Manifest>,
    creation: &Creation,
    mesh: &Mesh,
    question: Question,
) -> Result<Answer> {
    let mut addresses = Addresses::default();
    let laid = overlay::lay(&mut world, manifests, creation, &mut addresses)?;
    rollout::roll_out(&mut world, &laid, &mesh.cluster_domain, &mut addresses)?;
    let mut answer = decide::answer(&world, mesh, question)?;
    if !laid.passed_over.is_empty() {
        answer.notes.push(format!("without a part in this, and not looked at: {}", laid.passed_over.join(", ")));
    }
    Ok(answer)
}

/// The question with all names complete.
fn question(request: &Request, namespace: &str, mesh: &Mesh) -> Result<Question> {
    let caller = request.from.as_ref().map(|place| WorkloadRef {
        namespace: place.namespace.clone().unwrap_or_else(|| namespace.to_owned()),
        kind: place.kind,
        name: place.name.clone(),
    });
    let root = root::resolve(&request.to.host, namespace, &mesh.cluster_domain);
    let (root_namespace, name) = root.ok_or_else(|| {
        let (host, domain) = (&request.to.host, &mesh.cluster_domain);
        anyhow!("{host:?} is not the name of a service; write NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc.{domain}")
    })?;
    let (mut headers, mut authority) = (HeaderMap::new(), request.authority.clone());
    for Header { name, value } in &request.headers {
        if *name == http::header::HOST {
            authority = authority.or_else(|| Some(String::from_utf8_lossy(value.as_bytes()).into_owned()));
        } else {
            headers.append(name, value.clone());
        }
    }
    Ok(Question {
        namespace: caller.as_ref().map_or_else(|| namespace.to_owned(), |caller| caller.namespace.clone()),
        caller,
        root: ServiceRef { namespace: root_namespace, name },
        port: request.to.port.clone(),
        authority,
        request: Written {
            method: request.method.clone(),
            path: request.path.clone(),
            authority: String::new(),
            headers,
        },
    })
}
