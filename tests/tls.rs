//! Encryption by the server itself: it works, cookies say `Secure`, and a renewed certificate is taken into use while the
//! server runs; a bad one is not.

#![allow(clippy::disallowed_methods, clippy::unwrap_used, reason = "tests look at the files themselves")]

mod support;

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use serde_json::json;
use support::{Guest, OWNER, Program, TestHouse, client, eventually};

/// Writes a new certificate for `localhost` with its key, and gives the former.
fn certificate(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// A browser that trusts this certificate and no other.
fn trusting(certificate: &CertificateDer<'static>) -> rustls::ClientConfig {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    builder.with_root_certificates(roots).with_no_client_auth()
}

fn encrypted_house() -> (TestHouse, CertificateDer<'static>) {
    let folder = tempfile::tempdir().unwrap();
    let first = certificate(folder.path());
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let house = TestHouse::in_folder(folder, None, |config| {
        config.ssl.enabled = true;
        config.ssl.cert_path = cert;
        config.ssl.key_path = key;
    });
    (house, first)
}

fn reaches(house: &TestHouse, certificate: &CertificateDer<'static>) -> bool {
    let guest = Guest::over_tls(house.address(), trusting(certificate));
    guest.try_send(support::Request::new("GET", "/api/v1/house")).is_ok_and(|answer| answer.status == 200)
}

#[test]
fn it_encrypts_and_its_cookies_stay_encrypted() {
    let (house, certificate) = encrypted_house();
    let guest = Guest::over_tls(house.address(), trusting(&certificate));
    let answer = guest.signs_in(OWNER, "").expect(200);
    assert!(answer.set_cookies().iter().all(|cookie| cookie.contains("; Secure")), "{:?}", answer.set_cookies());
    // It would bind every other service under the host's name as well; that is for the host to say.
    assert!(answer.header("strict-transport-security").is_none());
    guest.saves(&json!({ "words": "encrypted" })).expect(200);
    assert_eq!(house.settings_of(OWNER), json!({ "words": "encrypted" }));
    // Who speaks plainly gets nothing.
    let mut socket = client::connect(house.address()).unwrap();
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let answer = client::talk(socket, b"").unwrap_or_default();
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_renewed_certificate_is_taken_and_a_bad_one_is_not() {
    let (house, first) = encrypted_house();
    assert!(reaches(&house, &first));
    let second = certificate(house.beside());
    assert!(reaches(&house, &first) && !reaches(&house, &second));
    house.tls().renew().unwrap();
    assert!(reaches(&house, &second) && !reaches(&house, &first));

    std::fs::write(house.beside().join("cert.pem"), "nonsense").unwrap();
    let error = house.tls().renew().unwrap_err();
    assert_eq!(error.code(), "bad_tls");
    assert!(reaches(&house, &second));
    // A certificate with another one's key.
    certificate(house.beside());
    let stray = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(house.beside().join("key.pem"), stray.signing_key.serialize_pem()).unwrap();
    assert!(house.tls().renew().is_err());
    assert!(reaches(&house, &second));
}

#[test]
fn a_signal_renews_the_certificate() {
    let folder = tempfile::tempdir().unwrap();
    let first = certificate(folder.path());
    let env = [
        ("TAVERNKEEP_SSL_ENABLED", "true"),
        ("TAVERNKEEP_SSL_CERT_PATH", "cert.pem"),
        ("TAVERNKEEP_SSL_KEY_PATH", "key.pem"),
    ];
    let server = Program::start_with(folder.path(), &[], &env);
    assert!(server.console().contains("https://"));
    let reaches = |certificate: &CertificateDer<'static>| {
        let guest = Guest::over_tls(server.address(), trusting(certificate));
        guest.try_send(support::Request::new("GET", "/api/v1/house")).is_ok()
    };
    assert!(reaches(&first));
    let second = certificate(folder.path());
    server.signal(rustix::process::Signal::HUP);
    eventually("the new certificate is in use", || reaches(&second));
    assert!(!reaches(&first));
    assert_eq!(server.stop().code(), Some(0));
}
