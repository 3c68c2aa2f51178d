//! Who asks, for the application to read.

use pingora::{Error, ErrorType, Result, http::RequestHeader};
use weft_policy::identity::SpiffeId;

/// Header with the identity of the sidecar that sent the request. Whoever reads it may believe it: what clients say by it, or by
/// a name that applications with CGI's way of naming take for it, never arrives.
const CLIENT_ID_HEADER: &str = "weft-client-id";

/// Whether an application may read a header of this `name` (lower case) as [`CLIENT_ID_HEADER`]: to CGI `-` and `_` are one.
fn is_read_as_client_id(name: &str) -> bool {
    name.len() == CLIENT_ID_HEADER.len()
        && name.bytes().zip(CLIENT_ID_HEADER.bytes()).all(|(byte, want)| byte == want || (byte, want) == (b'_', b'-'))
}

/// Says who sent `request`, and nobody when it is not known.
pub(crate) fn name_client(request: &mut RequestHeader, client: Option<&SpiffeId>) -> Result<()> {
    let claims: Vec<_> = request.headers.keys().filter(|name| is_read_as_client_id(name.as_str())).cloned().collect();
    for claim in &claims {
        request.remove_header(claim);
    }
    if let Some(client) = client {
        let named = request.insert_header(CLIENT_ID_HEADER, client.to_string());
        named.map_err(|error| Error::because(ErrorType::InternalError, "an identity is no header", error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_known_and_nothing_that_was_claimed() {
        let web = SpiffeId::new("cluster.local", "shop", "web").unwrap();
        for (name, claimed, client, want) in [
            ("nobody", &[][..], None, None),
            ("claimed", &[("weft-client-id", "spiffe://cluster.local/ns/shop/sa/admin")], None, None),
            ("claimed twice", &[("weft-client-id", "x"), ("Weft-Client-Id", "y")], None, None),
            ("claimed in CGI's way", &[("Weft_Client_Id", "x")], None, None),
            ("claimed in two ways at once", &[("weft_client-id", "x"), ("weft-client_id", "y")], None, None),
            ("known", &[], Some(&web), Some("spiffe://cluster.local/ns/shop/sa/web")),
            (
                "known and claimed",
                &[("weft-client-id", "x"), ("weft_client_id", "y")],
                Some(&web),
                Some("spiffe://cluster.local/ns/shop/sa/web"),
            ),
        ] {
            let mut request = RequestHeader::build("GET", b"/", None).unwrap();
            for (header, value) in claimed {
                request.append_header(*header, *value).unwrap();
            }
            name_client(&mut request, client).unwrap();
            let said: Vec<_> = request.headers.values().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(said, want.into_iter().collect::<Vec<_>>(), "{name}");
        }
    }
}
