//! What a configuration may say, and what is said of a bad one.

use super::*;
use serde_json::{Value, json};

/// Public keys that RFC 7515 appendix A and RFC 8037 appendix A publish, in PEM.
const P256: &str = include_str!("../../tests/keys/p256.pem");
const ED25519: &str = include_str!("../../tests/keys/ed25519.pem");
const RSA: &str = include_str!("../../tests/keys/rsa.pem");
const RSA_PKCS1: &str = include_str!("../../tests/keys/rsa-pkcs1.pem");
const SECRET: &str = "an HMAC secret of 32 bytes or more";

fn parse(configuration: &Value) -> Result<Policy, Vec<String>> {
    Policy::parse(configuration.to_string().as_bytes())
}

fn good(configuration: &Value) -> Policy {
    parse(configuration).unwrap_or_else(|problems| panic!("{configuration}: {problems:?}"))
}

/// A policy with this one entry in `jwt.keys`.
fn key(entry: Value) -> Result<Policy, Vec<String>> {
    parse(&json!({"jwt": {"keys": [entry]}}))
}

/// A policy with this one key in `jwt.jwks`.
fn jwk(entry: Value) -> Result<Policy, Vec<String>> {
    parse(&json!({"jwt": {"jwks": {"keys": [entry]}}}))
}

#[test]
fn defaults() {
    let policy = good(
        &json!({"api_keys": {"keys": {"a": "k"}}, "jwt": {"keys": [{"alg": "HS256", "secret": SECRET}]}}),
    );
    assert_eq!((policy.optional, policy.allow), (false, Allow::Any));
    assert_eq!(
        (policy.consumer_header.as_str(), policy.realm.as_str()),
        ("x-consumer", "portcullis")
    );
    let api_keys = policy.api_keys.expect("a method");
    assert_eq!(api_keys.places.header.as_deref(), Some("x-api-key"));
    assert_eq!((api_keys.places.query, api_keys.hide), (None, true));
    let jwt = policy.jwt.expect("a method");
    assert_eq!(jwt.places.header.as_deref(), Some("authorization"));
    assert_eq!(jwt.places.scheme, Scheme::Bearer);
    assert_eq!((jwt.leeway, jwt.hide), (60, false));
    assert_eq!(jwt.require, ["exp"]);
    assert!(jwt.issuer.is_empty() && jwt.audience.is_empty() && jwt.claims_to_headers.is_empty());
}

#[test]
fn every_key_is_read() {
    let policy = good(&json!({
        "api_keys": {"header": "X-Key", "query": "key", "hide": false, "keys": {"a": "k", "b": ["l", "m"]}},
        "jwt": {"header": "X-Token", "cookie": "session", "query": "token", "keys": [{"kid": "1", "alg": "HS256", "secret": SECRET}],
            "issuer": ["i", "j"], "audience": "x", "leeway": "5s", "require": [], "claims_to_headers": {"sub": "X-User"}, "hide": true},
        "optional": true, "allow": "all", "consumer_header": "X-Who", "realm": "the api"}));
    assert_eq!((policy.optional, policy.allow), (true, Allow::All));
    assert_eq!(policy.headers().collect::<Vec<_>>(), ["x-who", "x-user"]);
    let api_keys = policy.api_keys.expect("a method");
    assert_eq!(
        (
            api_keys.places.header.as_deref(),
            api_keys.places.query.as_deref()
        ),
        (Some("x-key"), Some("key"))
    );
    assert_eq!(
        ["k", "l", "m"].map(|key| api_keys.consumers.identify(key.as_bytes())),
        [Some("a"), Some("b"), Some("b")]
    );
    let jwt = policy.jwt.expect("a method");
    assert_eq!(jwt.places.cookie.as_deref(), Some("session"));
    assert_eq!(
        (jwt.places.query.as_deref(), jwt.places.scheme),
        (Some("token"), Scheme::BearerOrNone)
    );
    assert_eq!(
        (jwt.issuer.len(), jwt.audience.len(), jwt.leeway, jwt.hide),
        (2, 1, 5, true)
    );
    assert!(jwt.require.is_empty());
}

#[test]
fn keys_of_every_kind_are_read() {
    let policy = good(&json!({"jwt": {
        "keys": [
            {"kid": "1", "alg": "HS256", "secret": SECRET},
            {"kid": "2", "alg": "HS256", "secret_base64": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="},
            {"kid": "3", "alg": "RS256", "pem": RSA},
            {"kid": "4", "alg": "RS256", "pem": RSA_PKCS1},
            {"alg": "ES256", "pem": format!("\n  {P256}\n")},
            {"alg": "EdDSA", "pem": ED25519}],
        "jwks": r#"{"keys":[{"kty":"OKP","crv":"Ed25519","alg":"Ed25519","kid":"5","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#}}));
    let algorithms: Vec<Algorithm> = policy
        .jwt
        .iter()
        .flat_map(|jwt| &jwt.keys)
        .map(VerificationKey::algorithm)
        .collect();
    let [hs, rs, es, ed] = [
        Algorithm::Hs256,
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ];
    assert_eq!(algorithms, [hs, hs, rs, rs, es, ed, ed]);
}

#[test]
fn every_problem_is_reported_at_once() {
    let problems = parse(&json!({
        "api_keys": {"header": "a b", "keys": {"a": "", "b": "same", "c": "same"}, "hidden": true},
        "jwt": {"keys": [{"alg": "none"}, {"secret": SECRET}, 7], "leeway": "2h", "require": ["exp", 1], "audiance": "api",
            "claims_to_headers": {"sub": "x y"}},
        "optional": "no", "allow": "one", "realm": "a\"b", "consumer": "x"}))
    .expect_err("a bad configuration");
    for start in [
        "api_keys.header: \"a b\" is not a header name",
        "api_keys.keys.a: must be",
        "api_keys.keys.c: is the key of b too",
        "api_keys.hidden: unknown key",
        "jwt.keys[0].alg: \"none\" is not one of: HS256",
        "jwt.keys[1].alg: is missing",
        "jwt.keys[2]: must be a mapping",
        "jwt.leeway: must be at most 1h",
        "jwt.require[1]: must be the name",
        "jwt.audiance: unknown key",
        "jwt.claims_to_headers.sub: \"x y\" is not",
        "optional: must be",
        "allow: \"one\"",
        "realm: must be",
        "consumer: unknown key",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(start)),
            "{start} in {problems:#?}"
        );
    }
}

#[test]
fn a_method_is_needed() {
    for configuration in [json!({}), json!({"optional": true})] {
        assert_eq!(
            parse(&configuration).expect_err("no method"),
            ["config: needs a method: api_keys, jwt or both"]
        );
    }
    assert!(
        parse(&json!({"api_keys": {"keys": {}}})).expect_err("no keys")[0]
            .starts_with("api_keys.keys: has no usable")
    );
    assert!(
        parse(&json!({"api_keys": {}})).expect_err("no keys")[0]
            .starts_with("api_keys.keys: is missing")
    );
    assert!(
        parse(&json!({"jwt": {}})).expect_err("no keys")[0].starts_with("jwt.keys: is missing")
    );
    assert!(
        parse(&json!({"jwt": null, "api_keys": {"keys": {"a": "k"}}})).is_err(),
        "null is not a method left out"
    );
}

#[test]
fn weak_wrong_and_private_keys_are_refused() {
    let small = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp";
    let number = |bytes: &[u8]| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let (odd, excessive) = (number(&[0xff; 256]), number(&[0xff; 625]));
    let even = number(&[&[0xff; 255][..], &[0xfe]].concat());
    for (start, result) in [
        (
            "jwt.keys[0]: a secret for HS256 needs 32",
            key(json!({"alg": "HS256", "secret": "too short"})),
        ),
        (
            "jwt.keys[0]: secret_base64 is not",
            key(json!({"alg": "HS256", "secret_base64": "a-b_"})),
        ),
        (
            "jwt.keys[0]: needs secret or",
            key(json!({"alg": "HS256", "pem": RSA})),
        ),
        (
            "jwt.keys[0]: needs secret or",
            key(json!({"alg": "HS256", "secret": SECRET, "secret_base64": "AA=="})),
        ),
        ("jwt.keys[0]: needs secret or", key(json!({"alg": "HS256"}))),
        (
            "jwt.keys[0]: needs pem",
            key(json!({"alg": "RS256", "secret": SECRET})),
        ),
        ("jwt.keys[0]: needs pem", key(json!({"alg": "RS256"}))),
        (
            "jwt.keys[0]: is not a public RSA",
            key(json!({"alg": "RS256", "pem": P256})),
        ),
        (
            "jwt.keys[0]: is not a public key of curve",
            key(json!({"alg": "ES256", "pem": RSA})),
        ),
        (
            "jwt.keys[0]: is not a public Ed25519",
            key(json!({"alg": "EdDSA", "pem": P256})),
        ),
        (
            "jwt.keys[0]: is not a public Ed25519",
            key(json!({"alg": "EdDSA", "pem": "nonsense"})),
        ),
        (
            "jwt.keys[0]: is a private key",
            key(
                json!({"alg": "RS256", "pem": "-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----"}),
            ),
        ),
        (
            "jwt.keys[0]: is a certificate",
            key(
                json!({"alg": "RS256", "pem": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----"}),
            ),
        ),
        (
            "jwt.jwks.keys[0]: a secret for HS256",
            jwk(json!({"kty": "oct", "k": "AA"})),
        ),
        (
            "jwt.jwks.keys[0]: an RSA key needs 2048 bits or more, this one has 384",
            jwk(json!({"kty": "RSA", "n": small, "e": "AQAB"})),
        ),
        (
            "jwt.jwks.keys[0]: is not an RSA key",
            jwk(json!({"kty": "RSA", "n": excessive, "e": "AQAB"})),
        ),
        (
            "jwt.jwks.keys[0]: is not an RSA key",
            jwk(json!({"kty": "RSA", "n": even, "e": "AQAB"})),
        ),
        (
            "jwt.jwks.keys[0]: is not an RSA key",
            jwk(json!({"kty": "RSA", "n": odd, "e": "AQ"})),
        ),
        (
            "jwt.jwks.keys[0]: is not an RSA key",
            jwk(json!({"kty": "RSA", "n": odd, "e": "Ag"})),
        ),
        (
            "jwt.jwks.keys[0]: lacks the member e",
            jwk(json!({"kty": "RSA", "n": "AQAB"})),
        ),
        (
            "jwt.jwks.keys[0]: has a member n",
            jwk(json!({"kty": "RSA", "n": "A+/=", "e": "AQAB"})),
        ),
        (
            "jwt.jwks.keys[0]: is a private key",
            jwk(json!({"kty": "RSA", "n": small, "e": "AQAB", "d": "AQ"})),
        ),
        (
            "jwt.jwks.keys[0]: is not a point of P-256",
            jwk(json!({"kty": "EC", "crv": "P-256", "x": "AQ", "y": "AQ"})),
        ),
        (
            "jwt.jwks.keys[0]: is not a point of P-256",
            jwk(
                json!({"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"}),
            ),
        ),
        (
            "jwt.jwks.keys[0]: is not an Ed25519 key of 32",
            jwk(json!({"kty": "OKP", "crv": "Ed25519", "x": "AQ"})),
        ),
        (
            "jwt.jwks.keys[0]: is an Ed25519 key of small order",
            jwk(
                json!({"kty": "OKP", "crv": "Ed25519", "x": "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}),
            ),
        ),
        (
            "jwt.jwks.keys[0]: has a kid",
            jwk(json!({"kty": "oct", "k": "AA", "kid": 7})),
        ),
        ("jwt.jwks.keys[0]: must be a mapping", jwk(json!("key"))),
        (
            "jwt.jwks: has no key for",
            jwk(json!({"kty": "EC", "crv": "P-521"})),
        ),
        (
            "jwt.jwks: has no key for",
            jwk(json!({"kty": "RSA", "use": "enc", "n": small, "e": "AQAB"})),
        ),
        (
            "jwt.jwks: has no key for",
            jwk(json!({"kty": "RSA", "alg": "PS256", "n": small, "e": "AQAB"})),
        ),
        (
            "jwt.jwks: has no key for",
            jwk(json!({"kty": "oct", "key_ops": ["sign"], "k": "AA"})),
        ),
        (
            "jwt.jwks: must be a JWK set",
            parse(&json!({"jwt": {"jwks": []}})),
        ),
        (
            "jwt.jwks: is not JSON",
            parse(&json!({"jwt": {"jwks": "{"}})),
        ),
    ] {
        let problems = result.expect_err(start);
        assert!(problems[0].starts_with(start), "{start}: {problems:?}");
    }
}

#[test]
fn secrets_are_never_shown() {
    let problems = key(json!({"alg": "HS256", "secret": "hunter2"})).expect_err("too short");
    assert!(!format!("{problems:?}").contains("hunter2"));
    let policy = good(
        &json!({"api_keys": {"keys": {"a": "hunter2"}}, "jwt": {"keys": [{"alg": "HS256", "secret": SECRET}]}}),
    );
    let shown = format!("{policy:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains(SECRET) && !shown.contains("104, 117, 110"),
        "{shown}"
    );
}

#[test]
fn names_of_keys_tell_them_apart() {
    let entry =
        |kid: Option<&str>| json!({"kid": kid.unwrap_or("x"), "alg": "HS256", "secret": SECRET});
    let problems = parse(&json!({"jwt": {"keys": [entry(Some("a")), entry(Some("a"))]}}))
        .expect_err("a kid twice");
    assert!(problems[0].contains("have the kid \"a\""), "{problems:?}");
    let nameless = json!({"alg": "HS256", "secret": SECRET});
    assert!(parse(&json!({"jwt": {"keys": vec![nameless.clone(); 4]}})).is_ok());
    let problems =
        parse(&json!({"jwt": {"keys": vec![nameless; 5]}})).expect_err("too many without a kid");
    assert!(problems[0].contains("more than 4 keys"), "{problems:?}");
    // The same name for another algorithm is another key.
    assert!(parse(&json!({"jwt": {"keys": [entry(Some("a")), {"kid": "a", "alg": "EdDSA", "pem": ED25519}]}})).is_ok());
}

#[test]
fn a_header_has_one_meaning() {
    let with = |extra: Value| {
        let mut configuration = json!({"api_keys": {"keys": {"a": "k"}}, "jwt": {"keys": [{"alg": "EdDSA", "pem": ED25519}]}});
        for (name, value) in extra.as_object().expect("a mapping") {
            match value {
                Value::Object(inner) => configuration[name]
                    .as_object_mut()
                    .expect("a mapping")
                    .extend(inner.clone()),
                other => configuration[name] = other.clone(),
            }
        }
        parse(&configuration)
    };
    for (text, result) in [
        (
            "x-api-key is used twice",
            with(json!({"consumer_header": "X-API-Key"})),
        ),
        (
            "authorization is used twice",
            with(json!({"consumer_header": "Authorization"})),
        ),
        (
            "x-consumer is used twice",
            with(json!({"jwt": {"claims_to_headers": {"sub": "x-consumer"}}})),
        ),
        (
            "x-u is used twice",
            with(json!({"jwt": {"claims_to_headers": {"sub": "x-u", "name": "X-U"}}})),
        ),
        (
            "host frames or routes",
            with(json!({"consumer_header": "Host"})),
        ),
        (
            "content-length frames or routes",
            with(json!({"jwt": {"claims_to_headers": {"sub": "Content-Length"}}})),
        ),
        (
            "is the header of api_keys too",
            with(json!({"jwt": {"header": "x-api-key"}})),
        ),
    ] {
        let problems = result.expect_err(text);
        assert!(problems[0].contains(text), "{text}: {problems:?}");
    }
    assert!(with(json!({})).is_ok());
}
