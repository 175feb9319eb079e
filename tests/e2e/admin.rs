//! The administration address.

use http::Request;
use portcullis_tests::origin::full;
use portcullis_tests::{Client, Config, Origin, Proxy};
use serde_json::{Value, json};

#[tokio::test]
async fn health_readiness_generation_and_configuration() {
    let origin = Origin::echo().await;
    let config = Config::new().origin(origin.address());
    let proxy = config.clone().start().await;
    assert_eq!(proxy.admin("GET", "/healthz").await.status, 200);
    assert_eq!(proxy.admin("GET", "/readyz").await.status, 200);
    let generation = async || {
        let answer = proxy.admin("GET", "/generation").await;
        let value: Value = serde_json::from_slice(&answer.body).expect("JSON");
        value["generation"].as_u64().expect("a number")
    };
    let before = generation().await;
    let (status, answer) = proxy
        .reload(&config.set("/reload/drain", json!("20s")))
        .await;
    assert_eq!(
        (status, answer["generation"].as_u64()),
        (200, Some(before + 1))
    );
    assert_eq!(generation().await, before + 1);
    let shown: Value =
        serde_json::from_slice(&proxy.admin("GET", "/config").await.body).expect("JSON");
    assert!(shown.to_string().contains("20s"), "{shown}");
    assert_eq!(proxy.admin("GET", "/nothing").await.status, 404);
    for (method, path) in [
        ("POST", "/healthz"),
        ("GET", "/reload"),
        ("DELETE", "/config"),
    ] {
        assert_eq!(
            proxy.admin(method, path).await.status,
            405,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn secrets_are_redacted() {
    let origin = Origin::echo().await;
    let auth = json!({ "api_keys": { "header": "x-api-key", "keys": { "alice": "plain-canary-in-the-file" } } });
    let config = Config::new()
        .origin(origin.address())
        .file("secret", "file-canary")
        .filter("keys", portcullis_tests::Filter::builtin("auth", auth))
        .set("/filters/keys/env", json!({ "PASSWORD": "${file:secret}" }));
    let proxy = config.start().await;
    for path in ["/config", "/generation", "/readyz"] {
        let text = proxy.admin("GET", path).await.text();
        assert!(!text.contains("canary"), "{path}: {text}");
    }
    assert!(!proxy.log().contains("canary"));
}

async fn with_host(proxy: &Proxy, method: &str, path: &str, host: &str) -> u16 {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", host)
        .body(full(""))
        .expect("request");
    Client::h1(proxy.admin_address())
        .await
        .send(request)
        .await
        .status
}

/// A page in a browser cannot reach it through a name of its own (DNS rebinding).
#[tokio::test]
async fn only_known_hosts_are_served() {
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .set("/admin/hosts", json!(["admin.internal"]))
        .start()
        .await;
    let port = proxy.admin_address().port();
    for host in [
        format!("127.0.0.1:{port}"),
        format!("localhost:{port}"),
        format!("[::1]:{port}"),
        "admin.internal".to_owned(),
    ] {
        assert_eq!(
            with_host(&proxy, "GET", "/healthz", &host).await,
            200,
            "{host}"
        );
    }
    let generation = proxy.metrics().await.sum("portcullis_generation", &[]);
    for host in [
        "evil.example".to_owned(),
        format!("evil.example:{port}"),
        "127.0.0.1.evil.example".to_owned(),
        String::new(),
    ] {
        for (method, path) in [
            ("GET", "/config"),
            ("POST", "/reload"),
            ("GET", "/generation"),
        ] {
            let status = with_host(&proxy, method, path, &host).await;
            assert!([400, 403, 421].contains(&status), "{host} {path}: {status}");
        }
    }
    let after = proxy.metrics().await.sum("portcullis_generation", &[]);
    assert!(
        (generation - after).abs() < f64::EPSILON,
        "nothing was reloaded"
    );
}

#[tokio::test]
async fn a_token_is_demanded_where_there_is_one() {
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .set("/admin/token", json!("a-token-of-the-admin"))
        .start()
        .await;
    let address = proxy.admin_address();
    for (authorization, status) in [
        (None, 401),
        (Some("Bearer wrong"), 401),
        (Some("a-token-of-the-admin"), 401),
        (Some("Bearer a-token-of-the-admin"), 200),
    ] {
        let request = Request::get("/config").header("host", address.to_string());
        let request = match authorization {
            Some(value) => request.header("authorization", value),
            None => request,
        };
        let answer = Client::h1(address)
            .await
            .send(request.body(full("")).expect("request"))
            .await;
        assert_eq!(answer.status, status, "{authorization:?}");
        assert!(!answer.text().contains("a-token-of-the-admin"));
    }
}

/// Its paths mean nothing on a listener.
#[tokio::test]
async fn it_is_not_reachable_through_a_listener() {
    let proxy = Config::new()
        .route_value(json!({ "name": "one", "match": { "path": { "exact": "/one" } }, "respond": { "status": 200 } }))
        .start()
        .await;
    let mut client = proxy.client().await;
    for path in ["/config", "/healthz", "/readyz", "/generation", "/metrics"] {
        assert_eq!(client.get(path).await.status, 404, "{path}");
    }
    assert_eq!(client.post("/reload", "").await.status, 404);
}
