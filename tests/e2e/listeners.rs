//! Listeners: several at once, names of certificates, protocols.

use std::sync::Arc;

use portcullis_tests::{Authority, Client, Config, Origin, RawOrigin};
use rustls_pki_types::ServerName;
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

#[tokio::test]
async fn several_listeners_serve_the_same_routes() {
    let origin = Origin::echo().await;
    let listener = |name: &str| json!({ "name": name, "address": "127.0.0.1:0" });
    let config = Config::new().origin(origin.address());
    let proxy = config
        .set("/listeners", json!([listener("one"), listener("two")]))
        .start()
        .await;
    for name in ["one", "two"] {
        let answer = Client::h1(proxy.listener(name))
            .await
            .post("/", "a body")
            .await;
        assert_eq!(answer.text(), "a body", "{name}");
    }
}

/// Each client gets the certificate for the name it asks for; one that names none, the first.
#[tokio::test]
async fn certificates_are_chosen_by_name() {
    let authority = Authority::new();
    let names = ["one.test", "*.two.test"];
    let mut config = Config::new();
    let mut certificates = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let (certificate, key) = authority.issue(&[name]);
        let files = [format!("{index}.cert.pem"), format!("{index}.key.pem")];
        certificates.push(json!({ "cert": files[0], "key": files[1] }));
        config = config.file(&files[0], certificate).file(&files[1], key);
    }
    let origin = Origin::echo().await;
    let config = config.origin(origin.address());
    let proxy = config
        .set("/listeners/0/tls", json!({ "certificates": certificates }))
        .start()
        .await;
    for (name, good) in [
        ("one.test", true),
        ("a.two.test", true),
        ("b.two.test", true),
        ("other.test", false),
    ] {
        let stream = TcpStream::connect(proxy.address())
            .await
            .expect("something listens");
        let connector = TlsConnector::from(Arc::clone(&authority.client(&[b"h2"])));
        let name = ServerName::try_from(name).expect("a name");
        let outcome = connector.connect(name.clone(), stream).await;
        assert_eq!(outcome.is_ok(), good, "{name:?}: {:?}", outcome.err());
    }
}

/// Clear text to a TLS listener, TLS to a clear one: an end, and no harm.
#[tokio::test]
async fn the_wrong_protocol_ends() {
    let authority = Authority::new();
    let (certificate, key) = authority.issue(&["localhost"]);
    let origin = Origin::echo().await;
    let config = Config::new().origin(origin.address());
    let (clear, tls) = (
        config.clone().start().await,
        config.tls(&certificate, &key).start().await,
    );
    let mut wire = tls.raw().await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let answer = wire.rest().await;
    assert!(!answer.starts_with(b"HTTP/1.1 200"));
    assert_eq!(
        Client::tls(tls.address(), &authority, "h2")
            .await
            .get("/")
            .await
            .status,
        200
    );
    let mut wire = clear.raw().await;
    wire.send(b"\x16\x03\x01\x00\x05hello\r\n\r\n").await;
    let answer = wire.rest().await;
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 400"),
        "{answer:?}"
    );
    assert_eq!(clear.get("/").await.status, 200);
}

/// An offer to go on in HTTP/2 is not taken, and not passed to the origin, where it would open a second way in.
#[tokio::test]
async fn an_h2c_upgrade_is_dropped() {
    let origin = RawOrigin::recording().await;
    let proxy = Config::new().origin(origin.address()).start().await;
    let mut wire = proxy.raw().await;
    wire.send("GET / HTTP/1.1\r\nhost: a\r\nconnection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n").await;
    assert_eq!(wire.answer().await.status, 200);
    let seen = String::from_utf8_lossy(&origin.bytes()).to_lowercase();
    assert!(
        !seen.contains("h2c") && !seen.contains("http2-settings"),
        "{seen}"
    );
}

/// A listener that changes by a reload is served or refused with its line; the old one is never lost.
#[tokio::test]
async fn a_changed_listener_is_taken_up_or_refused() {
    let origin = Origin::echo().await;
    let config = Config::new().origin(origin.address());
    let proxy = config.clone().start().await;
    let two = json!([
        { "name": "http", "address": "127.0.0.1:0" },
        { "name": "more", "address": "127.0.0.1:0" },
    ]);
    let (status, answer) = proxy.reload(&config.set("/listeners", two)).await;
    if status != 200 {
        assert_eq!(status, 422, "{answer}");
        let problem = &answer["problems"][0];
        assert!(
            problem["line"].as_u64().is_some_and(|line| line > 1),
            "{answer}"
        );
        assert!(
            problem["path"]
                .as_str()
                .is_some_and(|path| path.starts_with("listeners")),
            "{answer}"
        );
    }
    assert_eq!(proxy.get("/").await.status, 200);
}
