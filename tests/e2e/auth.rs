//! The built-in filter `auth`, end to end.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac};
use http::Request;
use portcullis_tests::origin::full;
use portcullis_tests::{Client, Config, Filter, Origin, Proxy};
use rcgen::{KeyPair, PKCS_ED25519, SigningKey};
use serde_json::{Value, json};
use sha2::Sha256;

const SECRET: &str = "a secret of the tests that has enough bytes";

async fn start(origin: &Origin, config: Value) -> Proxy {
    Config::new()
        .origin(origin.address())
        .filter("keys", Filter::builtin("auth", config))
        .start()
        .await
}

async fn ask(client: &mut Client, headers: &[(&str, &str)]) -> portcullis_tests::Answer {
    let request = headers
        .iter()
        .fold(Request::get("/"), |request, (name, value)| {
            request.header(*name, *value)
        });
    client.send(request.body(full("")).expect("request")).await
}

#[tokio::test]
async fn api_keys() {
    let origin = Origin::echo().await;
    let config = json!({ "api_keys": { "header": "x-api-key", "keys": { "alice": "key-of-alice", "bob": "key-of-bob" } } });
    let proxy = start(&origin, config).await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        for (key, consumer) in [("key-of-alice", "alice"), ("key-of-bob", "bob")] {
            assert_eq!(
                ask(&mut client, &[("x-api-key", key), ("x-consumer", "root")])
                    .await
                    .status,
                200
            );
            let seen = origin.next().await;
            assert_eq!(
                seen.values("x-consumer"),
                [consumer],
                "what the client claims is dropped"
            );
            assert_eq!(seen.header("x-api-key"), None, "the key stays here");
        }
        let heads = origin.heads();
        for headers in [
            &[][..],
            &[("x-api-key", "")][..],
            &[("x-api-key", "key-of-mallory")][..],
            &[("x-api-key", "key-of-alic")][..],
            &[("x-api-key", "key-of-alice"), ("x-api-key", "key-of-bob")][..],
            &[("x-consumer", "alice")][..],
        ] {
            let answer = ask(&mut client, headers).await;
            assert_eq!(answer.status, 401, "{headers:?}");
            assert!(answer.header("www-authenticate").is_some());
        }
        assert_eq!(origin.heads(), heads);
    }
}

#[tokio::test]
async fn keys_from_the_environment_and_files() {
    let origin = Origin::echo().await;
    let config =
        json!({ "api_keys": { "header": "x-api-key", "keys": { "alice": "${file:alice.key}" } } });
    let config = Config::new()
        .origin(origin.address())
        .file("alice.key", "key-in-a-file\n")
        .filter("keys", Filter::builtin("auth", config));
    let proxy = config.start().await;
    let status = ask(&mut proxy.client().await, &[("x-api-key", "key-in-a-file")])
        .await
        .status;
    assert_eq!(status, 200);
    let shown = proxy.admin("GET", "/config").await.text();
    assert!(!shown.contains("key-in-a-file"), "{shown}");
    assert!(!proxy.log().contains("key-in-a-file"));
}

fn now() -> i64 {
    let elapsed = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(elapsed.as_secs()).expect("a time")
}

fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let encode = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", encode(header), encode(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(sign(text.as_bytes()));
    format!("{text}.{signature}")
}

fn hs256(claims: &Value, secret: &str) -> String {
    signed(&json!({ "alg": "HS256", "typ": "JWT" }), claims, |text| {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
        mac.update(text);
        mac.finalize().into_bytes().to_vec()
    })
}

fn claims() -> Value {
    json!({ "sub": "alice", "iss": "https://issuer.example", "aud": "api", "exp": now() + 600, "role": "admin" })
}

#[tokio::test]
async fn tokens() {
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).expect("a key");
    let origin = Origin::echo().await;
    let config = json!({ "jwt": {
        "keys": [{ "alg": "HS256", "secret": SECRET }, { "alg": "EdDSA", "pem": ed25519.public_key_pem() }],
        "issuer": "https://issuer.example",
        "audience": "api",
        "leeway": "0s",
        "claims_to_headers": { "sub": "x-user", "role": "x-role" },
    } });
    let proxy = start(&origin, config).await;
    let by_ed25519 = signed(&json!({ "alg": "EdDSA" }), &claims(), |text| {
        ed25519.sign(text).expect("a signature")
    });
    let mut client = proxy.client().await;
    for token in [hs256(&claims(), SECRET), by_ed25519] {
        let authorization = format!("Bearer {token}");
        let answer = ask(
            &mut client,
            &[
                ("authorization", &authorization),
                ("x-user", "root"),
                ("x-role", "root"),
            ],
        )
        .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = origin.next().await;
        assert_eq!(
            (seen.values("x-user"), seen.values("x-role")),
            (vec!["alice"], vec!["admin"])
        );
    }
    let with = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        hs256(&claims, SECRET)
    };
    let good = hs256(&claims(), SECRET);
    let (unsigned, _) = good.rsplit_once('.').expect("a signature");
    let heads = origin.heads();
    for (why, token) in [
        (
            "wrong secret",
            hs256(&claims(), "another secret that has enough bytes"),
        ),
        ("expired", with("exp", json!(now() - 60))),
        ("without an end", with("exp", Value::Null)),
        ("not yet", with("nbf", json!(now() + 600))),
        ("another issuer", with("iss", json!("https://evil.example"))),
        ("another audience", with("aud", json!("web"))),
        (
            "alg none",
            signed(&json!({ "alg": "none" }), &claims(), |_| Vec::new()),
        ),
        ("signature cut off", format!("{unsigned}.")),
        (
            "public key as secret",
            signed(&json!({ "alg": "HS256" }), &claims(), |text| {
                let mut mac = Hmac::<Sha256>::new_from_slice(ed25519.public_key_pem().as_bytes())
                    .expect("a key");
                mac.update(text);
                mac.finalize().into_bytes().to_vec()
            }),
        ),
        ("no token", "nonsense".to_owned()),
    ] {
        let answer = ask(
            &mut client,
            &[("authorization", &format!("Bearer {token}"))],
        )
        .await;
        assert_eq!(answer.status, 401, "{why}");
        assert!(
            answer
                .header("www-authenticate")
                .is_some_and(|challenge| challenge.starts_with("Bearer ")),
            "{why}"
        );
    }
    assert_eq!(ask(&mut client, &[]).await.status, 401);
    assert_eq!(origin.heads(), heads);
}

/// A route may have its own consumers.
#[tokio::test]
async fn an_override_for_a_route() {
    let origin = Origin::echo().await;
    let base =
        json!({ "api_keys": { "header": "x-api-key", "keys": { "alice": "key-of-alice" } } });
    let route = json!({
        "name": "open", "match": { "path": { "prefix": "/open" } }, "chain": ["keys"], "upstream": "origin",
        "overrides": { "keys": { "optional": true } },
    });
    let proxy = Config::new()
        .origin(origin.address())
        .filter("keys", Filter::builtin("auth", base))
        .route_value(route)
        .route("rest", json!({}), &["keys"])
        .start()
        .await;
    let mut client = proxy.client().await;
    assert_eq!(client.get("/open").await.status, 200);
    assert_eq!(client.get("/closed").await.status, 401);
    assert_eq!(
        ask(&mut client, &[("x-api-key", "key-of-alice")])
            .await
            .status,
        200
    );
}

#[tokio::test]
async fn a_bad_configuration_does_not_start() {
    let origin = Origin::echo().await;
    let config = Config::new()
        .origin(origin.address())
        .filter("keys", Filter::builtin("auth", json!({ "api_kyes": {} })));
    let refused = Proxy::try_start(&config)
        .await
        .err()
        .expect("it does not start");
    assert_eq!(refused.code, Some(1), "{}", refused.log);
    assert!(
        refused.log.contains("api_kyes"),
        "names the key: {}",
        refused.log
    );
}
