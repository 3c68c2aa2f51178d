//! The authority that signs the operator's certificates, kept in a Secret so that every replica and every restart has the same.

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use thiserror::Error;
use time::{Duration, OffsetDateTime};

/// Name of the Secret, in the operator's namespace and in cert-manager's layout: `tls.crt`, `tls.key`, `ca.crt`.
const SECRET: &str = "weft-ca";
/// Life of an authority that the operator makes.
const LIFE: Duration = Duration::days(3650);
/// How far a reader's clock may be behind.
pub(super) const CLOCK_SKEW: Duration = Duration::minutes(5);

/// Why there is no authority.
#[derive(Debug, Error)]
pub enum AuthorityError {
    /// The API server refused to read or create the Secret.
    #[error("Secret {SECRET}")]
    Api(#[from] kube::Error),
    /// The Secret lacks an entry.
    #[error(
        "Secret {SECRET} has no entry {0:?}; delete the Secret to have a new authority made, and restart the operator and every meshed pod"
    )]
    Missing(&'static str),
    /// An entry of the Secret is not text.
    #[error("entry {entry:?} of Secret {SECRET} is not PEM")]
    NotText {
        /// Which entry.
        entry: &'static str,
        /// Where the text ends.
        source: std::string::FromUtf8Error,
    },
    /// Certificate and key cannot be used.
    #[error("Secret {SECRET} does not hold an authority")]
    Invalid(#[from] rcgen::Error),
}

/// An authority and its key.
pub struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority of the Secret in `namespace`, made when there is none. Of several replicas that make one at the same time
    /// the first wins and the others take its.
    ///
    /// # Errors
    /// When the Secret can be neither read nor created, or does not hold an authority.
    pub async fn load_or_create(client: Client, namespace: &str) -> Result<Self, AuthorityError> {
        let secrets: Api<Secret> = Api::namespaced(client, namespace);
        if let Some(secret) = secrets.get_opt(SECRET).await? {
            return Self::read(secret);
        }
        let (certificate, key) = make(OffsetDateTime::now_utc())?;
        match secrets.create(&PostParams::default(), &secret(&certificate, &key)).await {
            Ok(secret) => {
                tracing::info!(secret = SECRET, "Made an authority");
                Self::read(secret)
            }
            Err(kube::Error::Api(status)) if status.is_already_exists() => Self::read(secrets.get(SECRET).await?),
            Err(error) => Err(error.into()),
        }
    }

    /// The authority's certificate as PEM: what trusts it is given this.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Signs with the authority's key.
    #[must_use]
    pub fn issuer(&self) -> &Issuer<'static, KeyPair> {
        &self.issuer
    }

    fn read(secret: Secret) -> Result<Self, AuthorityError> {
        let mut data = secret.data.unwrap_or_default();
        let mut text = |entry| {
            let bytes = data.remove(entry).ok_or(AuthorityError::Missing(entry))?;
            String::from_utf8(bytes.0).map_err(|source| AuthorityError::NotText { entry, source })
        };
        let certificate = text("tls.crt")?;
        let key = KeyPair::from_pem(&text("tls.key")?)?;
        let issuer = Issuer::from_ca_cert_pem(&certificate, key)?;
        Ok(Self { certificate, issuer })
    }
}

fn make(now: OffsetDateTime) -> Result<(String, String), rcgen::Error> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "Weft operator authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.not_before = now - CLOCK_SKEW;
    params.not_after = now + LIFE;
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn secret(certificate: &str, key: &str) -> Secret {
    let entry = |name: &str, text: &str| (name.to_owned(), ByteString(text.as_bytes().to_vec()));
    Secret {
        metadata: ObjectMeta { name: Some(SECRET.to_owned()), ..ObjectMeta::default() },
        type_: Some("kubernetes.io/tls".to_owned()),
        data: Some([entry("tls.crt", certificate), entry("tls.key", key), entry("ca.crt", certificate)].into()),
        ..Secret::default()
    }
}

#[cfg(test)]
impl Authority {
    pub(super) fn for_test() -> Self {
        let (certificate, key) = make(OffsetDateTime::now_utc()).unwrap();
        Self::read(secret(&certificate, &key)).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_made_can_be_read() {
        let (certificate, key) = make(OffsetDateTime::now_utc()).unwrap();
        let authority = Authority::read(secret(&certificate, &key)).unwrap();
        assert_eq!(authority.certificate(), certificate);
    }

    #[test]
    fn says_what_is_wrong_with_a_secret() {
        let (certificate, key) = make(OffsetDateTime::now_utc()).unwrap();
        for (name, secret, want) in [
            (
                "empty",
                Secret::default(),
                r#"Secret weft-ca has no entry "tls.crt"; delete the Secret to have a new authority made, and restart the operator and every meshed pod"#,
            ),
            ("key is no key", secret(&certificate, &certificate), "Secret weft-ca does not hold an authority"),
            ("certificate is none", secret(&key, &key), "Secret weft-ca does not hold an authority"),
        ] {
            let error = Authority::read(secret).err().map(|error| error.to_string());
            assert_eq!(error.as_deref(), Some(want), "{name}");
        }
    }
}
