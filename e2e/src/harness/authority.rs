//! Authorities of the mesh as tests see them: the real one, whose key an administrator can read, and others that nobody trusts.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use data_encoding::HEXLOWER;
use k8s_openapi::{
    ByteString,
    api::{
        authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
        core::v1::{Pod, Secret, ServiceAccount},
    },
};
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams, PostParams},
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::json;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use weft_policy::identity::SpiffeId;

use super::{Cluster, TestNamespace, WEFT_NAMESPACE};
use crate::intrusion::Credentials;

/// Secret of the mesh's issuer, in cert-manager's layout.
const SECRET: &str = "weft-ca";
/// Trust domain that Weft is installed with.
const TRUST_DOMAIN: &str = "cluster.local";
/// How long what is signed here is valid, unless a test says otherwise.
const LIFE: Duration = Duration::from_secs(3600);

/// A certificate authority and the way to its root.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    key: String,
    /// What signed certificates are sent with: the issuer's own, and none when it is the root.
    chain: String,
    certificate: String,
    root: String,
}

/// What a leaf says, beside its key.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// SPIFFE IDs, of which a real one has one.
    pub uris: Vec<String>,
    /// Server names.
    pub names: Vec<String>,
    /// Relative to now.
    pub not_before: time::Duration,
    /// Relative to now.
    pub not_after: time::Duration,
}

impl Leaf {
    /// What the operator would sign for `identity`.
    #[must_use]
    pub fn of(identity: &SpiffeId) -> Self {
        Self {
            uris: vec![identity.to_string()],
            names: vec![identity.server_name()],
            not_before: time::Duration::minutes(-5),
            not_after: time::Duration::try_from(LIFE).unwrap_or(time::Duration::HOUR),
        }
    }

    /// With another SPIFFE ID, or several or none.
    #[must_use]
    pub fn uris(self, uris: &[&str]) -> Self {
        Self { uris: uris.iter().map(|uri| (*uri).to_owned()).collect(), ..self }
    }

    /// Valid from and until so many minutes from now.
    #[must_use]
    pub fn minutes(self, from: i64, until: i64) -> Self {
        Self { not_before: time::Duration::minutes(from), not_after: time::Duration::minutes(until), ..self }
    }
}

/// The identity of a service account.
///
/// # Errors
/// When the names are none.
pub fn identity(namespace: &str, service_account: &str) -> Result<SpiffeId> {
    let text = format!("spiffe://{TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}");
    text.parse().with_context(|| text.clone())
}

impl Authority {
    /// The issuer of this cluster's mesh.
    ///
    /// # Errors
    /// When its Secret cannot be read.
    pub async fn of(cluster: &Cluster) -> Result<Self> {
        let secret = Self::secrets(cluster).get(SECRET).await?;
        let data = secret.data.unwrap_or_default();
        let text = |entry: &str| -> Result<String> {
            let ByteString(bytes) = data.get(entry).with_context(|| format!("Secret {SECRET} has no {entry}"))?.clone();
            Ok(String::from_utf8(bytes)?)
        };
        let (certificate, key) = (text("tls.crt")?, text("tls.key")?);
        let root = text("ca.crt").unwrap_or_else(|_absent| certificate.clone());
        Self::from_parts(certificate, &key, root)
    }

    /// A root of its own.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn root(name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let text = key.serialize_pem();
        let root = CertifiedIssuer::self_signed(authority(name), key)?.pem();
        Self::from_parts(root.clone(), &text, root)
    }

    /// An intermediate authority below this one.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn intermediate(&self, name: &str) -> Result<Self> {
        let key = KeyPair::generate()?;
        let certificate = authority(name).signed_by(&key, &self.issuer)?.pem();
        Self::from_parts(format!("{certificate}{}", self.chain), &key.serialize_pem(), self.root.clone())
    }

    /// A certificate that the owner of another has signed, who is no authority.
    ///
    /// # Errors
    /// When the other is no certificate or no key can be made.
    pub fn below(other: &Credentials, leaf: &Leaf) -> Result<Credentials> {
        let root = String::new();
        Self::from_parts(other.chain.clone(), &other.key, root)?.sign(leaf)
    }

    fn from_parts(certificate: String, key: &str, root: String) -> Result<Self> {
        let issuer = Issuer::from_ca_cert_pem(&certificate, KeyPair::from_pem(key)?)?;
        let chain = if certificate.trim() == root.trim() { String::new() } else { certificate.clone() };
        Ok(Self { issuer, key: key.to_owned(), chain, certificate, root })
    }

    /// SHA-256 of its certificate, as sidecars name their issuer.
    ///
    /// # Errors
    /// When it is no PEM.
    pub fn fingerprint(&self) -> Result<String> {
        fingerprint(&self.certificate)
    }

    /// The same of its root.
    ///
    /// # Errors
    /// When it is no PEM.
    pub fn root_fingerprint(&self) -> Result<String> {
        fingerprint(&self.root)
    }

    /// Its root as PEM text.
    #[must_use]
    pub fn trust_root(&self) -> &str {
        &self.root
    }

    /// A certificate and its key.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn sign(&self, leaf: &Leaf) -> Result<Credentials> {
        let key = KeyPair::generate()?;
        let mut parameters = CertificateParams::new(leaf.names.clone())?;
        for uri in &leaf.uris {
            parameters.subject_alt_names.push(SanType::URI(uri.as_str().try_into()?));
        }
        let now = OffsetDateTime::now_utc();
        parameters.not_before = now + leaf.not_before;
        parameters.not_after = now + leaf.not_after;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        parameters.use_authority_key_identifier_extension = true;
        let certificate = parameters.signed_by(&key, &self.issuer)?.pem();
        Ok(Credentials { chain: format!("{certificate}{}", self.chain), key: key.serialize_pem() })
    }

    /// Makes this the issuer of the mesh, as a user would who brings one.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn install(&self, cluster: &Cluster) -> Result<()> {
        let secret = json!({
            "stringData": {"tls.crt": self.certificate, "tls.key": self.key, "ca.crt": self.root},
        });
        Self::secrets(cluster).patch(SECRET, &PatchParams::default(), &Patch::Merge(&secret)).await?;
        Ok(())
    }

    fn secrets(cluster: &Cluster) -> Api<Secret> {
        Api::namespaced(cluster.client.clone(), WEFT_NAMESPACE)
    }
}

fn fingerprint(certificate: &str) -> Result<String> {
    let certificate = CertificateDer::from_pem_slice(certificate.as_bytes())?;
    Ok(HEXLOWER.encode(&Sha256::digest(&certificate)))
}

fn authority(name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    parameters.not_before = OffsetDateTime::now_utc() - time::Duration::minutes(5);
    parameters.not_after = OffsetDateTime::now_utc() + time::Duration::days(365);
    parameters.use_authority_key_identifier_extension = true;
    parameters
}

impl TestNamespace {
    /// A token of a service account for `audience`, bound to a pod or to nothing.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn token(&self, service_account: &str, audience: &str, pod: Option<&Pod>) -> Result<String> {
        let bound = pod.map(|pod| BoundObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Pod".to_owned()),
            name: Some(pod.name_any()),
            uid: pod.uid(),
        });
        let spec = TokenRequestSpec {
            audiences: vec![audience.to_owned()],
            bound_object_ref: bound,
            expiration_seconds: Some(600),
        };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let accounts = self.api::<ServiceAccount>();
        let request = accounts.create_token_request(service_account, &PostParams::default(), &request).await?;
        Ok(request.status.ok_or_else(|| anyhow!("a token request without an answer"))?.token)
    }

    /// Creates a service account.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn service_account(&self, name: &str) -> Result<ServiceAccount> {
        self.apply(name, json!({})).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificates(chain: &str) -> usize {
        CertificateDer::pem_slice_iter(chain.as_bytes()).count()
    }

    #[test]
    fn what_is_signed_leads_to_its_root() {
        let root = Authority::root("root").unwrap();
        let issuer = root.intermediate("issuer").unwrap();
        let leaf = Leaf::of(&identity("shop", "web").unwrap());
        for (name, authority, want) in [
            ("by the root", &root, 1),
            ("by an intermediate", &issuer, 2),
            ("two below", &issuer.intermediate("another").unwrap(), 3),
        ] {
            assert_eq!(certificates(&authority.sign(&leaf).unwrap().chain), want, "{name}");
            assert_eq!(authority.trust_root(), root.trust_root(), "{name}");
        }
    }
}
