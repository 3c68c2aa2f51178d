//! Certificates as the operator signs them: P-256 throughout, the identity as a URI, and beside it the name that stands for it in TLS.

use std::sync::Arc;

use anyhow::Result;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    SanType,
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
};

/// The server name of every member: as long as that of a real one.
pub(crate) const NAME: &str = "f2ca1bb6c7e907d06dafe4687e579fce76b37e4e93b7605022da.id.weft";

/// What a member shows, and whom it trusts.
pub(crate) struct Member {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    pub(crate) roots: Arc<RootCertStore>,
}

impl Member {
    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

fn authority(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A member under a root that the operator made itself, or under a brought issuer below its root.
pub(crate) fn member(is_brought: bool) -> Result<Member> {
    let (root_key, issuer_key, key) = (KeyPair::generate()?, KeyPair::generate()?, KeyPair::generate()?);
    let root_params = authority("Weft root");
    let root = root_params.self_signed(&root_key)?;
    let root_issuer = Issuer::from_params(&root_params, &root_key);

    let mut leaf = CertificateParams::new([NAME.to_owned()])?;
    leaf.subject_alt_names.push(SanType::URI("spiffe://cluster.local/ns/shop/sa/web".try_into()?));
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.is_ca = IsCa::ExplicitNoCa;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    leaf.use_authority_key_identifier_extension = true;

    let chain = if is_brought {
        let params = authority("Weft issuer");
        let issuer = params.signed_by(&issuer_key, &root_issuer)?;
        vec![leaf.signed_by(&key, &Issuer::from_params(&params, &issuer_key))?.into(), issuer.into()]
    } else {
        vec![leaf.signed_by(&key, &root_issuer)?.into()]
    };
    let mut roots = RootCertStore::empty();
    roots.add(root.into())?;
    Ok(Member { chain, key: key.serialize_der(), roots: Arc::new(roots) })
}
