//! TLS of the application's own: nobody but nginx and curl ends it, whatever else comes to the same port.

use anyhow::{Result, ensure};
use e2e::run;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

use super::{IDLE, SHORT, Way, ways};

/// Bytes that curl fetches at once.
const LARGE: usize = 5_000_000;

const NGINX: &str = "
daemon off;
pid /tmp/nginx.pid;
error_log /dev/stderr;
events {}
http {
  access_log off;
  client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
  uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
  ssl_certificate /files/server.crt; ssl_certificate_key /files/server.key;
  ssl_client_certificate /files/ca.crt; ssl_verify_client optional;
  ssl_protocols TLSv1.2 TLSv1.3;
  server {
    listen 443 ssl http2; listen [::]:443 ssl http2;
    listen 8443 ssl http2; listen [::]:8443 ssl http2;
    location / { default_type text/plain; return 200 \"$server_protocol $ssl_protocol $ssl_client_verify $ssl_client_s_dn\\n\"; }
    location /large { root /tmp; }
  }
}";

/// Certificates that have nothing to do with the mesh's.
struct Files {
    authority: String,
    server: [String; 3],
    client: [String; 2],
    stranger: String,
}

fn authority(name: &str) -> Result<CertifiedIssuer<'static, KeyPair>> {
    let mut parameters = CertificateParams::default();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.distinguished_name.push(DnType::CommonName, name);
    Ok(CertifiedIssuer::self_signed(parameters, KeyPair::generate()?)?)
}

fn files() -> Result<Files> {
    let root = authority("the application's own")?;
    let key = KeyPair::generate()?;
    let names = ["server-plain".to_owned(), "server-meshed".to_owned()];
    let leaf = CertificateParams::new(names)?.signed_by(&key, &root)?;
    let server = [leaf.pem(), key.serialize_pem(), key.public_key_pem()];
    let key = KeyPair::generate()?;
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "curl");
    let client = [parameters.signed_by(&key, &root)?.pem(), key.serialize_pem()];
    Ok(Files { authority: root.pem(), server, client, stranger: authority("a stranger")?.pem() })
}

#[test]
fn tls_of_the_application_reaches_it_untouched() {
    run("application-tls", async |ns| {
        let Files { authority, server: [certificate, key, public], client: [shown, shown_key], stranger } = files()?;
        let start = format!(
            "mkdir /tmp/large && head -c {LARGE} /dev/zero >/tmp/large/file && exec nginx -c /files/nginx.conf"
        );
        let server = ns
            .program("debian", &["/bin/bash", "-c", &start])
            .file("nginx.conf", NGINX)
            .file("ca.crt", &authority)
            .file("server.crt", &certificate)
            .file("server.key", &key)
            .port(443)
            .port(8443)
            .ready(&["curl", "-sk", "-o", "/dev/null", "https://127.0.0.1:8443/"]);
        let client = ns
            .program("debian", &IDLE)
            .file("ca.crt", &authority)
            .file("stranger.crt", &stranger)
            .file("server.pub", &public)
            .file("client.crt", &shown)
            .file("client.key", &shown_key);
        let ways = ways(&server, &client).await?;
        for way in &ways {
            for port in ["443", "8443"] {
                let url = format!("https://{{server}}:{port}/");
                way.reaches(ns, &["curl", "-sk", "-o", "/dev/null", "--max-time", "10", &url]).await?;
                every_kind_of_tls(ns, way, &url).await?;
            }
            // The same port, without TLS of the application: nginx itself says what it thinks of it.
            let plain = ["curl", "-s", "--max-time", "10", "-w", "%{http_code}", "http://{server}:8443/"];
            let said = way.run(ns, SHORT, &plain).await?;
            ensure!(said.contains("sent to HTTPS port") && said.ends_with("400"), "{said} by way of {}", way.name);
        }
        Ok(())
    });
}

async fn every_kind_of_tls(ns: &e2e::TestNamespace, way: &Way, url: &str) -> Result<()> {
    let end_to_end = ["--cacert", "/files/ca.crt", "--pinnedpubkey", "/files/server.pub"];
    let certificate = ["--cert", "/files/client.crt", "--key", "/files/client.key"];
    for (name, options, want) in [
        ("HTTP/2 over TLS 1.3", vec!["--http2"], "HTTP/2.0 TLSv1.3 NONE"),
        ("HTTP/1.1 over TLS 1.3", vec!["--http1.1"], "HTTP/1.1 TLSv1.3 NONE"),
        ("TLS 1.2", vec!["--http1.1", "--tls-max", "1.2"], "HTTP/1.1 TLSv1.2 NONE"),
        ("without ALPN", vec!["--http1.1", "--no-alpn"], "HTTP/1.1 TLSv1.3 NONE"),
        (
            "with the client's certificate",
            [&["--http2"], &certificate[..]].concat(),
            "HTTP/2.0 TLSv1.3 SUCCESS CN=curl",
        ),
    ] {
        let command = [&["curl", "-sS", "--max-time", "10"], &end_to_end[..], &options, &[url]].concat();
        let said = way.run(ns, SHORT, &command).await?;
        ensure!(said.trim() == want, "{name}, {url} by way of {}: {said:?}", way.name);
    }
    let large = format!("{url}large/file");
    let command = [&["curl", "-sS", "-o", "/dev/null", "-w", "%{size_download}"], &end_to_end[..], &[&large]].concat();
    let size = way.run(ns, SHORT, &command).await?;
    ensure!(size == LARGE.to_string(), "{size} of {LARGE} bytes of {large} by way of {}", way.name);

    let command = ["curl", "-sS", "--max-time", "10", "--cacert", "/files/stranger.crt", url];
    let refused = way.run(ns, SHORT, &command).await;
    let Err(refused) = refused else { anyhow::bail!("{url} shows somebody else's certificate by way of {}", way.name) };
    // Source: curl(1), "The remote peer's SSL certificate was deemed not OK".
    ensure!(format!("{refused:#}").contains("exit status 60"), "{refused:#}");
    Ok(())
}
