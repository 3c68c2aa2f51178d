//! Writes every object of a kind anew, and then says so where the API server keeps count of stored versions.

use std::fmt;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::connection::cause;
use crate::outcome::Outcome;

/// Objects that are read at a time: a page has to be read within the client's time limit, and holds whole objects.
const PAGE: u32 = 200;

/// What became of the objects.
pub(super) struct Rewrite {
    /// How many were written.
    pub(super) objects: usize,
    /// Why not all of them.
    pub(super) failure: Option<Failure>,
}

/// Why the migration stopped.
#[derive(Debug)]
pub(super) struct Failure {
    what: Step,
    /// What the API server said.
    cause: String,
    /// The status of HTTP, if there was an answer.
    code: Option<u16>,
}

#[derive(Debug)]
enum Step {
    List,
    Write(String),
    Trim,
    Changed,
}

impl Failure {
    fn new(what: Step, error: &kube::Error) -> Self {
        let code = match error {
            kube::Error::Api(status) => Some(status.code),
            _ => None,
        };
        Self { what, cause: cause(error), code }
    }

    fn is_forbidden(&self) -> bool {
        matches!(self.code, Some(401 | 403))
    }

    /// An object that the API server does not take is not migrated; anything else is not known to be.
    pub(super) fn state(&self) -> Outcome {
        match (&self.what, self.code) {
            (Step::Write(_), Some(400..=499)) if !self.is_forbidden() => Outcome::No,
            _ => Outcome::Unknown,
        }
    }

    pub(super) fn advice(&self, kind: &ApiResource) -> String {
        let ApiResource { plural, group, .. } = kind;
        match (&self.what, self.is_forbidden()) {
            (Step::List, true) => format!("use an account that may list {plural}.{group} in all namespaces"),
            (Step::Write(_), true) => format!("use an account that may patch {plural}.{group}"),
            (Step::Trim, true) => {
                "use an account that may patch customresourcedefinitions/status of apiextensions.k8s.io".to_owned()
            }
            (Step::List, false) => {
                "older objects are converted by the operator: weft check says whether it works; then run this again"
                    .to_owned()
            }
            (Step::Write(_), false) => "change or delete that object, then run this again".to_owned(),
            (Step::Trim | Step::Changed, _) => "run this again".to_owned(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.what {
            Step::List => write!(f, "the objects cannot be listed: {}", self.cause),
            Step::Write(name) => write!(f, "{name} cannot be written: {}", self.cause),
            Step::Trim => write!(f, "the stored versions cannot be noted: {}", self.cause),
            Step::Changed => write!(f, "the definition was changed meanwhile: {}", self.cause),
        }
    }
}

/// Writes every object of `kind` as it is. The API server stores it in the storage version, and does not count that as a change:
/// neither its generation nor its fields change, and nobody who watches it at that version sees anything new in it.
pub(super) async fn rewrite(client: &Client, kind: &ApiResource) -> Rewrite {
    let all: Api<DynamicObject> = Api::all_with(client.clone(), kind);
    let mut page = ListParams::default().limit(PAGE);
    let mut objects = 0;
    loop {
        let list = match all.list_metadata(&page).await {
            Ok(list) => list,
            Err(error) => return Rewrite { objects, failure: Some(Failure::new(Step::List, &error)) },
        };
        for object in &list.items {
            let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
            let of_namespace: Api<DynamicObject> = Api::namespaced_with(client.clone(), &namespace, kind);
            // An empty patch can conflict with nobody: the API server reads, and writes what it has read.
            match of_namespace.patch_metadata(&name, &PatchParams::default(), &Patch::Merge(json!({}))).await {
                Ok(_) => objects += 1,
                // Deleted meanwhile.
                Err(kube::Error::Api(status)) if status.code == 404 => {}
                Err(error) => {
                    let what = Step::Write(format!("{} {namespace}/{name}", kind.kind));
                    return Rewrite { objects, failure: Some(Failure::new(what, &error)) };
                }
            }
        }
        match list.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => page = page.continue_token(&token),
            None => return Rewrite { objects, failure: None },
        }
    }
}

/// Takes the versions `older` out of what the API server believes to be stored, if nobody changed the storage version meanwhile.
pub(super) async fn trim(
    definitions: &Api<CustomResourceDefinition>,
    name: &str,
    kind: &ApiResource,
    older: &[String],
) -> Result<(), Failure> {
    let definition = definitions.get(name).await.map_err(|error| Failure::new(Step::Trim, &error))?;
    let changed = |cause: String| Failure { what: Step::Changed, cause, code: None };
    if !definition.spec.versions.iter().any(|version| version.storage && version.name == kind.version) {
        return Err(changed(format!("objects are not stored in {} any more", kind.version)));
    }
    let stored = definition.status.and_then(|status| status.stored_versions).unwrap_or_default();
    let new: Vec<String> = stored.iter().filter(|version| !older.contains(version)).cloned().collect();
    let patch = json!({
        // Whoever changed it since it was read may have changed the storage version.
        "metadata": {"resourceVersion": definition.metadata.resource_version},
        "status": {"storedVersions": new},
    });
    match definitions.patch_status(name, &PatchParams::default(), &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Err(changed(status.message.clone())),
        Err(error) => Err(Failure::new(Step::Trim, &error)),
    }
}
