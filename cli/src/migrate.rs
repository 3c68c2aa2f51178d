//! `weft migrate-storage`: every stored object of the SMI kinds written anew, in the version that is stored now.

mod plan;
mod rewrite;
#[cfg(test)]
mod tests;

use anyhow::Result;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, WebhookClientConfig,
};
use kube::{Api, Client};
use serde::Serialize;

use crate::arguments::Cluster;
use crate::connection::connect;
use crate::outcome::Outcome;
use crate::output::{Format, Row, render};
use plan::{Plan, plan};
use rewrite::{Rewrite, rewrite, trim};

/// What became of one kind.
#[derive(Debug, PartialEq, Serialize)]
struct Migration {
    /// Name of the CustomResourceDefinition.
    definition: String,
    /// Whether every object is stored in the storage version now.
    state: Outcome,
    /// The version that objects are stored in; `None` where it could not be told.
    storage_version: Option<String>,
    /// The other versions that objects may be stored in, by the API server's word.
    older_versions: Vec<String>,
    /// How many objects were written anew.
    rewritten: usize,
    /// What was found, or went wrong.
    found: String,
    /// What to do about it; empty when there is nothing to do.
    advice: String,
}

impl Row for Migration {
    const HEADINGS: &'static [&'static str] = &["KIND", "STATE", "REWRITTEN", "FOUND", "WHAT TO DO"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.definition.clone(),
            self.state.to_string(),
            self.rewritten.to_string(),
            self.found.clone(),
            self.advice.clone(),
        ]
    }
}

/// What to print, and whether no object is stored in an older version any more. With `check_only` nothing is written.
///
/// Fails when there is no cluster to look at.
pub(crate) async fn migrate(cluster: &Cluster, check_only: bool, format: Format) -> Result<(String, Outcome)> {
    let (client, _) = connect(cluster).await?;
    let mut migrations = Vec::new();
    // One after the other: each reads and writes a whole kind.
    for definition in smi_crds::definitions(&WebhookClientConfig::default()) {
        migrations.push(migrate_kind(&client, definition.metadata.name.unwrap_or_default(), check_only).await);
    }
    let outcome = Outcome::all(migrations.iter().map(|migration| migration.state));
    Ok((render(&migrations, format)?, outcome))
}

async fn migrate_kind(client: &Client, name: String, check_only: bool) -> Migration {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let read = definitions.get_opt(&name).await;
    let (kind, older) = match plan(&read) {
        Plan::Tell { state, found, advice } => return told(name, state, found, advice),
        Plan::Done { kind } => {
            let found = format!("every object is stored in {}", kind.version);
            return Migration { storage_version: Some(kind.version), ..told(name, Outcome::Yes, found, "") };
        }
        Plan::Migrate { kind, older } => (kind, older),
    };
    let also = older.join(", ");
    let unfinished = |state, found, advice: String| Migration {
        storage_version: Some(kind.version.clone()),
        older_versions: older.clone(),
        ..told(name.clone(), state, found, advice)
    };
    if check_only {
        let found = format!("objects may be stored in {also}");
        return unfinished(Outcome::No, found, "run: weft migrate-storage".to_owned());
    }
    let rewritten = match rewrite(client, &kind).await {
        Rewrite { objects, failure: None } => objects,
        Rewrite { objects, failure: Some(failure) } => {
            let found = format!("{failure}; objects may still be stored in {also}");
            return Migration { rewritten: objects, ..unfinished(failure.state(), found, failure.advice(&kind)) };
        }
    };
    match trim(&definitions, &name, &kind, &older).await {
        Ok(()) => Migration {
            definition: name,
            state: Outcome::Yes,
            found: format!("every object is stored in {}, none in {also} any more", kind.version),
            storage_version: Some(kind.version),
            older_versions: Vec::new(),
            rewritten,
            advice: String::new(),
        },
        Err(failure) => {
            let found = format!("every object was written in {}, but {failure}", kind.version);
            Migration { rewritten, ..unfinished(failure.state(), found, failure.advice(&kind)) }
        }
    }
}

/// A kind of which nothing was written.
fn told(definition: String, state: Outcome, found: impl Into<String>, advice: impl Into<String>) -> Migration {
    Migration {
        definition,
        state,
        storage_version: None,
        older_versions: Vec::new(),
        rewritten: 0,
        found: found.into(),
        advice: advice.into(),
    }
}
