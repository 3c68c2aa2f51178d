//! Who asks: the API server's word, believed only from the API server.
//!
//! An aggregated API is asked by the API server in the name of a user whom it has authenticated. Its client certificate shows
//! that it is the API server; headers say who the user is. Both the roots of the certificate and the names of the headers
//! stand in a `ConfigMap` that the API server writes.

use std::{collections::BTreeMap, sync::Arc};

use arc_swap::ArcSwapOption;
use http::{HeaderMap, HeaderName};
use rustls::pki_types::{CertificateDer, UnixTime, pem, pem::PemObject};
use thiserror::Error;
use x509_parser::{error::X509Error, nom, parse_x509_certificate};

use crate::https::{ClientRoots, InvalidChain, InvalidRoots, Peer};

/// A user, as the API server says.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct User {
    /// Name of the user.
    pub name: String,
    /// Unchanging identifier, if there is one.
    pub uid: Option<String>,
    /// Groups that the user is in.
    pub groups: Vec<String>,
    /// What else the authenticator told.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// Why a request is not from a user.
#[derive(Debug, Error)]
pub enum Unauthenticated {
    /// Nobody can be believed yet.
    #[error("the configuration of request headers is not known yet")]
    NoConfiguration,
    /// The client shows no valid certificate.
    #[error(transparent)]
    Certificate(#[from] InvalidChain),
    /// The certificate cannot be read.
    #[error("the certificate cannot be read")]
    Unreadable(#[from] nom::Err<X509Error>),
    /// The certificate is of somebody else.
    #[error("common name {0:?} is not that of the API server")]
    CommonName(String),
    /// No header names a user.
    #[error("no header names a user")]
    NoUser,
    /// A header is not text.
    #[error("header {0} is not UTF-8")]
    Header(HeaderName),
}

/// Why a `ConfigMap` is not a configuration of request headers.
#[derive(Debug, Error)]
pub enum InvalidConfiguration {
    /// A key is missing.
    #[error("key {0} is missing")]
    Missing(&'static str),
    /// A key is not a list of texts in JSON.
    #[error("key {key} is not a list")]
    List {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// Not the name of a header.
    #[error("key {key}: {name:?} is not the name of a header")]
    HeaderName {
        /// The key.
        key: &'static str,
        /// The name.
        name: String,
    },
    /// The certificates are not PEM.
    #[error("the certificates are not PEM")]
    Pem(#[from] pem::Error),
    /// The certificates cannot be roots.
    #[error(transparent)]
    Roots(#[from] InvalidRoots),
}

const CA: &str = "requestheader-client-ca-file";
const ALLOWED_NAMES: &str = "requestheader-allowed-names";
const USERNAME: &str = "requestheader-username-headers";
const UID: &str = "requestheader-uid-headers";
const GROUPS: &str = "requestheader-group-headers";
const EXTRA: &str = "requestheader-extra-headers-prefix";

/// Names of the headers and of those who may send them.
#[derive(Debug)]
struct Configuration {
    /// Common names of the API server's certificate; empty: any.
    allowed_names: Vec<String>,
    username: Vec<HeaderName>,
    uid: Vec<HeaderName>,
    groups: Vec<HeaderName>,
    extra_prefixes: Vec<String>,
}

/// Decides who asks, by a configuration that may change at any time.
#[derive(Debug)]
pub struct Authenticator {
    configuration: ArcSwapOption<Configuration>,
    roots: Arc<ClientRoots>,
}

impl Authenticator {
    /// Believes nobody until it is configured.
    #[must_use]
    pub fn new() -> Self {
        Self { configuration: ArcSwapOption::empty(), roots: ClientRoots::new() }
    }

    /// Roots of the API server's certificate, for the handshake.
    #[must_use]
    pub fn roots(&self) -> Arc<ClientRoots> {
        Arc::clone(&self.roots)
    }

    /// Whether somebody can be believed.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        self.configuration.load().is_some()
    }

    /// Takes the data of the `ConfigMap` `kube-system/extension-apiserver-authentication`.
    ///
    /// # Errors
    /// [`InvalidConfiguration`], and everything stays as it was.
    pub fn configure(&self, data: &BTreeMap<String, String>) -> Result<(), InvalidConfiguration> {
        let configuration = Configuration {
            allowed_names: list(data, ALLOWED_NAMES)?,
            username: headers(data, USERNAME)?,
            uid: headers(data, UID)?,
            groups: headers(data, GROUPS)?,
            extra_prefixes: list(data, EXTRA)?.into_iter().map(|prefix| prefix.to_ascii_lowercase()).collect(),
        };
        let bundle = data.get(CA).ok_or(InvalidConfiguration::Missing(CA))?;
        let roots = CertificateDer::pem_slice_iter(bundle.as_bytes()).collect::<Result<Vec<_>, _>>()?;
        self.roots.replace(roots)?;
        self.configuration.store(Some(Arc::new(configuration)));
        Ok(())
    }

    /// Believes nobody any more.
    pub fn clear(&self) {
        self.configuration.store(None);
        self.roots.clear();
    }

    /// Says who asks. The certificate is checked again for each request, since a connection may outlive it and its roots.
    ///
    /// # Errors
    /// [`Unauthenticated`]; nothing in the headers is believed then.
    pub fn authenticate(&self, peer: Option<&Peer>, headers: &HeaderMap) -> Result<User, Unauthenticated> {
        let configuration = self.configuration.load_full().ok_or(Unauthenticated::NoConfiguration)?;
        let certificates = peer.map(|peer| &*peer.certificates).unwrap_or_default();
        self.roots.verify(certificates, UnixTime::now())?;
        let own = certificates.first().ok_or(InvalidChain::Absent)?;
        let name = common_name(own)?;
        if !configuration.allowed_names.is_empty() && !configuration.allowed_names.contains(&name) {
            return Err(Unauthenticated::CommonName(name));
        }
        configuration.user(headers)
    }
}

impl Default for Authenticator {
    fn default() -> Self {
        Self::new()
    }
}

impl Configuration {
    fn user(&self, headers: &HeaderMap) -> Result<User, Unauthenticated> {
        let values = |names: &[HeaderName]| -> Result<Vec<String>, Unauthenticated> {
            let mut values = Vec::new();
            for name in names {
                for value in headers.get_all(name).iter().filter(|value| !value.is_empty()) {
                    values.push(text(name, value)?);
                }
            }
            Ok(values)
        };
        let mut extra: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for prefix in &self.extra_prefixes {
            for (name, value) in headers {
                if let Some(key) = name.as_str().strip_prefix(prefix.as_str()) {
                    extra.entry(percent_decoded(key)).or_default().push(text(name, value)?);
                }
            }
        }
        Ok(User {
            name: values(&self.username)?.into_iter().next().ok_or(Unauthenticated::NoUser)?,
            uid: values(&self.uid)?.into_iter().next(),
            groups: values(&self.groups)?,
            extra,
        })
    }
}

fn text(name: &HeaderName, value: &http::HeaderValue) -> Result<String, Unauthenticated> {
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_not_utf8| Unauthenticated::Header(name.clone()))?;
    Ok(text.to_owned())
}

fn common_name(certificate: &CertificateDer<'_>) -> Result<String, Unauthenticated> {
    let (_, certificate) = parse_x509_certificate(certificate)?;
    let name = certificate.subject().iter_common_name().next().and_then(|name| name.as_str().ok());
    Ok(name.unwrap_or_default().to_owned())
}

fn list(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, InvalidConfiguration> {
    let Some(value) = data.get(key) else {
        return Ok(Vec::new());
    };
    // An empty list may be written as null.
    let list: Option<Vec<String>> =
        serde_json::from_str(value).map_err(|source| InvalidConfiguration::List { key, source })?;
    Ok(list.unwrap_or_default())
}

fn headers(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<HeaderName>, InvalidConfiguration> {
    let names = list(data, key)?.into_iter();
    names
        .map(|name| {
            HeaderName::from_bytes(name.trim().as_bytes())
                .map_err(|_invalid| InvalidConfiguration::HeaderName { key, name })
        })
        .collect()
}

/// Keys of extra values are escaped, because not every key can be a header. What is not well escaped is left as it is.
fn percent_decoded(key: &str) -> String {
    let mut decoded = Vec::with_capacity(key.len());
    let mut rest = key.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let escaped = (*byte == b'%').then(|| after.get(..2)).flatten();
        let hex = escaped.and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.map(|hex| u8::from_str_radix(hex, 16)) {
            Some(Ok(byte)) => {
                decoded.push(byte);
                rest = &after[2..];
            }
            Some(Err(_)) => return key.to_owned(),
            None if *byte == b'%' => return key.to_owned(),
            None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_not_utf8| key.to_owned())
}
