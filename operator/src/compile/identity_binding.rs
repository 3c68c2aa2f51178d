//! `IdentityBinding`: whom it names, and what is wrong with it.

use std::collections::BTreeSet;

use thiserror::Error;
use weft_policy::identity::SpiffeId;

use super::{
    Mesh,
    object_name::{self, InvalidObjectName},
};
use crate::model::{IdentityBinding, ObjectRef, Pod, PodRef, Requirement, Selector, Snapshot};

/// What a SPIFFE ID may be written without.
const SCHEME: &str = "spiffe://";

/// Something about an `IdentityBinding` that its author has to know.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Finding {
    /// A requirement of the selector means nothing.
    #[error(
        "spec.schemes.podLabelSelector: the requirement on label {key} is not one: write In or NotIn with values, or Exists or \
         DoesNotExist without"
    )]
    InvalidSelector {
        /// Name of the label.
        key: String,
    },
    /// There is no scheme.
    #[error(
        "spec.schemes is empty, so the binding names nobody; give it a serviceAccount, spiffeIdentities or a podLabelSelector"
    )]
    NamesNobody,
    /// The identity is of another namespace.
    #[error(
        "spec.schemes.spiffeIdentities: {id} is of namespace {found}, and a binding names only identities of its own namespace \
         {namespace}; put a binding for it there"
    )]
    OtherNamespace {
        /// As written.
        id: String,
        /// Its namespace.
        found: String,
        /// The binding's namespace.
        namespace: String,
    },
    /// The identity is of another trust domain.
    #[error(
        "spec.schemes.spiffeIdentities: {id} is not of the mesh's trust domain {trust_domain}, so nobody here can prove it"
    )]
    OtherTrustDomain {
        /// As written.
        id: String,
        /// The mesh's own.
        trust_domain: String,
    },
    /// The identity is none that the mesh gives to anybody.
    #[error(
        "spec.schemes.spiffeIdentities: {id} is nobody's: identities are {trust_domain}/ns/NAMESPACE/sa/SERVICE-ACCOUNT"
    )]
    UnknownIdentity {
        /// As written.
        id: String,
        /// The mesh's own.
        trust_domain: String,
    },
    /// The selected pods cannot be told from others.
    #[error(
        "spec.schemes.podLabelSelector: service account {account} is the identity of the selected pods and of others that are not \
         selected, which are named as well; give the selected pods a service account of their own"
    )]
    SharedAccount {
        /// Its name.
        account: String,
    },
    /// No service account can have the name.
    #[error("spec.schemes.serviceAccount: {0}")]
    InvalidName(#[source] InvalidObjectName),
    /// Nobody runs as the service account, which therefore may or may not exist.
    #[error("spec.schemes.serviceAccount: no pod of namespace {namespace} runs as service account {account} now")]
    NoPods {
        /// Its name.
        account: String,
        /// The binding's namespace.
        namespace: String,
    },
}

impl Finding {
    /// The reason of a condition and of an Event.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::InvalidSelector { .. } => "InvalidSelector",
            Self::NamesNobody => "NamesNobody",
            Self::OtherNamespace { .. } => "OtherNamespace",
            Self::OtherTrustDomain { .. } => "OtherTrustDomain",
            Self::UnknownIdentity { .. } => "UnknownIdentity",
            Self::SharedAccount { .. } => "SharedServiceAccount",
            Self::InvalidName(_) => "InvalidName",
            Self::NoPods { .. } => "NoPods",
        }
    }

    /// The binding names nobody, because it cannot be told whom.
    #[must_use]
    pub fn rejects(&self) -> bool {
        matches!(self, Self::InvalidSelector { .. })
    }

    /// The binding names an identity that nobody can have.
    #[must_use]
    pub fn is_unresolved(&self) -> bool {
        matches!(
            self,
            Self::OtherNamespace { .. }
                | Self::OtherTrustDomain { .. }
                | Self::UnknownIdentity { .. }
                | Self::InvalidName(_)
        )
    }
}

/// Whom a binding names now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Named {
    /// Service accounts of the binding's namespace.
    pub accounts: BTreeSet<String>,
    /// How many pods run as them.
    pub pods: usize,
}

/// Whom a binding names, and everything its author has to know about it, in the order of the schemes.
#[must_use]
pub fn judge(snapshot: &Snapshot, mesh: &Mesh, name: &ObjectRef, binding: &IdentityBinding) -> (Named, Vec<Finding>) {
    let mut findings = Vec::new();
    let mut accounts = BTreeSet::new();
    let pods = || pods(snapshot, &name.namespace);
    if let Some(selector) = &binding.selector {
        let wrong = selector.requirements.iter().filter(|requirement| !is_requirement(requirement));
        findings.extend(wrong.map(|requirement| Finding::InvalidSelector { key: requirement.key.clone() }));
        if !findings.is_empty() {
            return (Named::default(), findings);
        }
        let (selected, others): (Vec<&Pod>, Vec<&Pod>) = pods().partition(|pod| selects(selector, pod));
        let of = |pods: Vec<&Pod>| pods.iter().map(|pod| pod.service_account.clone()).collect::<BTreeSet<_>>();
        let (selected, others) = (of(selected), of(others));
        let shared = selected.intersection(&others);
        findings.extend(shared.map(|account| Finding::SharedAccount { account: account.clone() }));
        accounts.extend(selected);
    }
    for id in &binding.spiffe_ids {
        match account(mesh, &name.namespace, id) {
            Ok(account) => {
                accounts.insert(account);
            }
            Err(finding) => findings.push(finding),
        }
    }
    if let Some(account) = &binding.service_account {
        if let Err(problem) = object_name::check("ServiceAccount", account) {
            findings.push(Finding::InvalidName(problem));
        } else if !pods().any(|pod| pod.service_account == *account) {
            findings.push(Finding::NoPods { account: account.clone(), namespace: name.namespace.clone() });
        }
        accounts.insert(account.clone());
    }
    if binding.selector.is_none() && binding.spiffe_ids.is_empty() && binding.service_account.is_none() {
        findings.push(Finding::NamesNobody);
    }
    let count = pods().filter(|pod| accounts.contains(&pod.service_account)).count();
    (Named { accounts, pods: count }, findings)
}

/// Whether a binding can be referred to.
pub(super) fn is_accepted(binding: &IdentityBinding) -> bool {
    binding.selector.iter().flat_map(|selector| &selector.requirements).all(is_requirement)
}

/// The service account of `namespace` that an identity stands for.
fn account(mesh: &Mesh, namespace: &str, id: &str) -> Result<String, Finding> {
    let text = id.strip_prefix(SCHEME).unwrap_or(id);
    let trust_domain = mesh.trust_domain.clone();
    if text.split('/').next() != Some(trust_domain.as_str()) {
        return Err(Finding::OtherTrustDomain { id: id.to_owned(), trust_domain });
    }
    match format!("{SCHEME}{text}").parse::<SpiffeId>() {
        Ok(identity) if identity.namespace() == namespace => Ok(identity.service_account().to_owned()),
        Ok(identity) => Err(Finding::OtherNamespace {
            id: id.to_owned(),
            found: identity.namespace().to_owned(),
            namespace: namespace.to_owned(),
        }),
        Err(_no_identity_of_the_mesh) => Err(Finding::UnknownIdentity { id: id.to_owned(), trust_domain }),
    }
}

fn pods<'a>(snapshot: &'a Snapshot, namespace: &'a str) -> impl Iterator<Item = &'a Pod> {
    let first = PodRef { namespace: namespace.to_owned(), name: String::new() };
    snapshot.pods.range(first..).take_while(move |(name, _)| name.namespace == namespace).map(|(_, pod)| pod)
}

fn is_requirement(requirement: &Requirement) -> bool {
    match requirement.operator.as_str() {
        "In" | "NotIn" => !requirement.values.is_empty(),
        "Exists" | "DoesNotExist" => requirement.values.is_empty(),
        _ => false,
    }
}

/// As Kubernetes selects. Source: `meta/v1`, `LabelSelectorAsSelector`: `NotIn` selects pods without the label, too.
fn selects(selector: &Selector, pod: &Pod) -> bool {
    let has_labels = selector.labels.iter().all(|(key, value)| pod.labels.get(key) == Some(value));
    has_labels
        && selector.requirements.iter().all(|requirement| {
            let value = pod.labels.get(&requirement.key);
            let listed = value.is_some_and(|value| requirement.values.contains(value));
            match requirement.operator.as_str() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

#[cfg(test)]
mod tests;
