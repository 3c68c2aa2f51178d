//! Private keys in the three forms that authorities write: PKCS #8, and the older ones of EC and RSA keys, which cert-manager
//! writes unless told otherwise.

use rcgen::KeyPair;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use thiserror::Error;

/// Why a key cannot be used.
#[derive(Debug, Error)]
pub enum KeyError {
    /// It is of a kind that nothing here can sign with.
    #[error("it must be ECDSA on P-256 or P-384, RSA or Ed25519")]
    Kind,
    /// It is broken or too weak.
    #[error(transparent)]
    Invalid(#[from] rcgen::Error),
}

/// The AlgorithmIdentifiers that PKCS #8 puts before a key, in DER. Sources: RFC 5480 section 2.1.1, RFC 8017 appendix A.1.
const P256: &[u8] = &[
    0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03,
    0x01, 0x07,
];
const P384: &[u8] =
    &[0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
const RSA: &[u8] = &[0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];

const SEQUENCE: u8 = 0x30;
const OCTET_STRING: u8 = 0x04;
/// Version 0.
const VERSION: [u8; 3] = [0x02, 0x01, 0x00];

/// The pair that a private key makes.
pub(in crate::identity) fn pair(key: &PrivateKeyDer<'_>) -> Result<KeyPair, KeyError> {
    let of = |pkcs8: &[u8]| KeyPair::try_from(&PrivatePkcs8KeyDer::from(pkcs8));
    Ok(match key {
        PrivateKeyDer::Pkcs8(key) => of(key.secret_pkcs8_der())?,
        PrivateKeyDer::Sec1(key) => {
            let key = key.secret_sec1_der();
            of(&wrap(P256, key)).or_else(|_not_on_this_curve| of(&wrap(P384, key)))?
        }
        PrivateKeyDer::Pkcs1(key) => of(&wrap(RSA, key.secret_pkcs1_der()))?,
        _ => return Err(KeyError::Kind),
    })
}

/// PKCS #8 around a key. Source: RFC 5958 section 2.
fn wrap(algorithm: &[u8], key: &[u8]) -> Vec<u8> {
    let content = [&VERSION, algorithm, &element(OCTET_STRING, key)].concat();
    element(SEQUENCE, &content)
}

fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = &length[length.iter().take_while(|byte| **byte == 0).count()..];
    let mut element = vec![tag];
    // A length below 128 is one byte; a longer one is the number of its bytes, marked, and then these.
    if content.len() >= 0x80 {
        element.extend(u8::try_from(digits.len()).map(|count| 0x80 | count));
    }
    element.extend(digits);
    element.extend(content);
    element
}
