//! Who the proxy is and whom it believes: its key and certificate, the mesh's roots, and the TLS that follows from them.
//!
//! The key is made here and never leaves the process. All of it changes under way: whoever makes a connection takes what is in
//! force then, and connections that exist live on.

mod certificate;
mod credentials;
mod handshake;
mod material;
mod membership;
mod renew;
mod trust;
mod verifier;

pub(crate) use self::{
    certificate::InvalidCertificate,
    credentials::{Credentials, Renewals},
    handshake::{Accepted, Failed, HANDSHAKE_LIMIT, MeshProtocol, Reason, accept, connect, is_mesh_hello, linger},
    material::Material,
    membership::{Lapse, Membership, lapse_of_bytes},
    renew::renew,
    trust::{Fingerprint, InvalidTrust, Trust},
};
