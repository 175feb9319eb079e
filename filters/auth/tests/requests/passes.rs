//! Who passes, what the origin then sees, and what a refused client is told.

use crate::ask;
use crate::signer::{Sign, jwks, token};
use portcullis_filter_auth::decide::{Decision, Pass, Refusal};
use portcullis_filter_auth::request::Edit;
use portcullis_filter_auth::token::Flaw;
use serde_json::{Value, json};

const HEADER: &str = r#"{"alg":"EdDSA","kid":"ed"}"#;

fn bearer(payload: &str) -> String {
    format!("Bearer {}", token(HEADER, payload, Sign::EdDsa))
}

fn alice() -> String {
    bearer(r#"{"sub":"alice","exp":1700000300}"#)
}

fn expired() -> String {
    bearer(r#"{"sub":"alice","exp":1600000000}"#)
}

fn keys() -> Value {
    json!({"keys": {"bob": "key-of-bob", "carol": ["old-key", "new-key"]}})
}

fn passed(configuration: &Value, fields: &[(&str, &str)]) -> Pass {
    match ask(configuration, fields) {
        Decision::Pass(pass) => pass,
        Decision::Deny(refusal, _) => panic!("{fields:?} refused: {refusal}"),
    }
}

fn refused(configuration: &Value, fields: &[(&str, &str)]) -> Refusal {
    match ask(configuration, fields) {
        Decision::Pass(_) => panic!("{fields:?} passed"),
        Decision::Deny(refusal, _) => refusal,
    }
}

fn set(name: &str, value: &str) -> Edit {
    Edit::Set(name.to_owned(), value.to_owned())
}

fn remove(name: &str) -> Edit {
    Edit::Remove(name.to_owned())
}

#[test]
fn a_key_names_the_consumer_and_is_hidden() {
    let configuration = json!({"api_keys": keys()});
    let pass = passed(&configuration, &[("x-api-key", "key-of-bob")]);
    assert!(pass.authenticated);
    assert_eq!(pass.edits, [remove("x-api-key"), set("x-consumer", "bob")]);
    assert_eq!(pass.claims, None);
    for key in ["old-key", "new-key"] {
        let edits = passed(&configuration, &[("x-api-key", key)]).edits;
        assert_eq!(edits[1], set("x-consumer", "carol"));
    }
    let shown = json!({"api_keys": {"header": "X-Key", "hide": false, "keys": {"bob": "k"}}, "consumer_header": "X-Who"});
    assert_eq!(
        passed(&shown, &[("x-key", "k")]).edits,
        [set("x-who", "bob")]
    );
}

#[test]
fn a_key_in_the_query_is_taken_out_of_it() {
    let configuration = json!({"api_keys": {"query": "api_key", "keys": {"bob": "a b/c"}}});
    let pass = passed(&configuration, &[(":path", "/p?x=1&api_key=a+b%2fc")]);
    assert_eq!(
        pass.edits,
        [set(":path", "/p?x=1"), set("x-consumer", "bob")]
    );
}

#[test]
fn a_token_brings_its_claims() {
    let configuration = json!({"jwt": {"jwks": jwks(), "claims_to_headers":
        {"sub": "x-user", "realm.roles": "X-Roles", "https://x.test/plan": "x-plan", "n": "x-n", "ok": "x-ok", "absent": "x-absent"}}});
    let payload = r#"{"sub":"Zoë","exp":1700000300,"realm":{"roles":["admin","ops"]},"https://x.test/plan":"gold","n":1.5,"ok":true}"#;
    let pass = passed(&configuration, &[("authorization", &bearer(payload))]);
    let expected = [
        ("x-user", "Zoë"),
        ("x-roles", "admin,ops"),
        ("x-plan", "gold"),
        ("x-n", "1.5"),
        ("x-ok", "true"),
    ];
    assert_eq!(pass.edits, expected.map(|(name, value)| set(name, value)));
    assert_eq!(pass.claims.as_deref(), Some(payload.as_bytes()));
    assert!(pass.unwritable.is_empty());
}

#[test]
fn what_no_header_can_carry_is_not_written() {
    let configuration = json!({"jwt": {"jwks": jwks(), "claims_to_headers": {"c": "x-c"}}});
    for value in [
        json!("a\r\nx-admin: 1"),
        json!("a\nb"),
        json!("a\u{0}"),
        json!("\u{7f}"),
        json!("\u{85}"),
        json!("tab\there"),
        json!({"a": 1}),
        json!(["a,b"]),
        json!(["a\r\n"]),
        json!([["a"]]),
        json!([null]),
    ] {
        let payload = json!({"exp": 1_700_000_300, "c": value}).to_string();
        let pass = passed(
            &configuration,
            &[("authorization", &bearer(&payload)), ("x-c", "forged")],
        );
        assert_eq!(pass.edits, [remove("x-c")], "{value}");
        assert_eq!(pass.unwritable, ["c"], "{value}");
    }
}

#[test]
fn a_client_cannot_write_the_filters_headers() {
    let configuration = json!({"api_keys": keys(), "jwt": {"jwks": jwks(), "claims_to_headers": {"sub": "x-user"}}, "optional": true});
    let forged = [
        ("X-Consumer", "root"),
        ("x_user", "root"),
        ("X-User", "root"),
        ("x-user", "root"),
        ("x-users", "1"),
    ];
    let pass = passed(&configuration, &forged);
    assert!(!pass.authenticated);
    assert_eq!(
        pass.edits,
        [
            remove("X-Consumer"),
            remove("x_user"),
            remove("X-User"),
            remove("x-user")
        ]
    );
    let with_key = [&forged[..1], &[("x-api-key", "key-of-bob")]].concat();
    let edits = passed(&configuration, &with_key).edits;
    assert_eq!(
        edits,
        [
            remove("X-Consumer"),
            remove("x-api-key"),
            set("x-consumer", "bob")
        ]
    );
}

#[test]
fn tokens_come_by_header_cookie_or_query() {
    let text = token(HEADER, r#"{"sub":"alice","exp":1700000300}"#, Sign::EdDsa);
    let of = |places: Value| {
        let mut jwt = json!({"jwks": jwks(), "hide": true});
        jwt.as_object_mut()
            .expect("a mapping")
            .extend(places.as_object().expect("a mapping").clone());
        json!({"jwt": jwt})
    };
    let pass = passed(
        &of(json!({})),
        &[("authorization", &format!("bearer {text}"))],
    );
    assert_eq!(pass.edits, [remove("authorization")]);
    let pass = passed(&of(json!({"header": "X-Token"})), &[("x-token", &text)]);
    assert_eq!(pass.edits, [remove("x-token")]);
    let pass = passed(
        &of(json!({"cookie": "session"})),
        &[("cookie", &format!("a=1; session={text}"))],
    );
    assert_eq!(pass.edits, [remove("cookie"), set("cookie", "a=1")]);
    let pass = passed(
        &of(json!({"query": "token"})),
        &[(":path", &format!("/?token={text}"))],
    );
    assert_eq!(pass.edits, [set(":path", "/")]);
    // A place that is not configured is not looked at.
    let cookie_only = of(json!({"cookie": "session"}));
    assert_eq!(
        refused(
            &cookie_only,
            &[("authorization", &format!("Bearer {text}"))]
        ),
        Refusal::NoCredentials
    );
}

#[test]
fn twice_is_refused() {
    let configuration = json!({"api_keys": {"header": "x-api-key", "query": "key", "keys": {"bob": "k"}}, "jwt": {"jwks": jwks()}});
    let token = alice();
    assert_eq!(
        refused(
            &configuration,
            &[("authorization", &token), ("Authorization", &token)]
        ),
        Refusal::SeveralTokens
    );
    assert_eq!(
        refused(&configuration, &[("x-api-key", "k"), ("x-api-key", "k")]),
        Refusal::SeveralKeys
    );
    assert_eq!(
        refused(&configuration, &[("x-api-key", "k"), (":path", "/?key=k")]),
        Refusal::SeveralKeys
    );
}

/// (`allow`, `optional`, the request's fields, whether it is authenticated or why it is refused)
type Row<'a> = (
    &'a str,
    bool,
    &'a [(&'a str, &'a str)],
    Result<bool, Refusal>,
);

#[test]
fn any_all_and_optional() {
    let (key, token, old) = (("x-api-key", "key-of-bob"), alice(), expired());
    let (token, old, bad) = (
        ("authorization", token.as_str()),
        ("authorization", old.as_str()),
        ("x-api-key", "x"),
    );
    let flaw = Refusal::Token(Flaw::Expired);
    let none: Result<bool, Refusal> = Err(Refusal::NoCredentials);
    let some = Err(Refusal::SomeCredentials);
    let rows: [Row<'_>; 20] = [
        ("any", false, &[], none),
        ("any", false, &[key], Ok(true)),
        ("any", false, &[token], Ok(true)),
        ("any", false, &[key, token], Ok(true)),
        ("any", false, &[bad], Err(Refusal::UnknownKey)),
        ("any", false, &[old], Err(flaw)),
        ("any", false, &[key, old], Err(flaw)),
        ("any", false, &[bad, token], Err(Refusal::UnknownKey)),
        ("any", true, &[], Ok(false)),
        ("any", true, &[key], Ok(true)),
        ("any", true, &[old], Err(flaw)),
        ("any", true, &[bad], Err(Refusal::UnknownKey)),
        ("all", false, &[], none),
        ("all", false, &[key], some),
        ("all", false, &[token], some),
        ("all", false, &[key, token], Ok(true)),
        ("all", false, &[key, old], Err(flaw)),
        ("all", true, &[], Ok(false)),
        ("all", true, &[key], some),
        ("all", true, &[key, token], Ok(true)),
    ];
    for (allow, optional, fields, expected) in rows {
        let configuration = json!({"api_keys": keys(), "jwt": {"jwks": jwks()}, "allow": allow, "optional": optional});
        let found = match ask(&configuration, fields) {
            Decision::Pass(pass) => Ok(pass.authenticated),
            Decision::Deny(refusal, _) => Err(refusal),
        };
        assert_eq!(
            found, expected,
            "allow {allow}, optional {optional}, {fields:?}"
        );
    }
}

#[test]
fn a_refusal_challenges_and_tells_no_more_than_it_should() {
    let both = json!({"api_keys": keys(), "jwt": {"jwks": jwks()}, "realm": "the api"});
    let challenges = |configuration: &Value, fields: &[(&str, &str)]| {
        let Decision::Deny(_, reply) = ask(configuration, fields) else {
            panic!("passed")
        };
        assert_eq!(reply.status, 401);
        assert!(
            reply
                .fields
                .contains(&("cache-control", "no-store".to_owned()))
        );
        assert!(
            reply
                .fields
                .contains(&("content-type", "application/problem+json".to_owned()))
        );
        let body: Value = serde_json::from_str(reply.body).expect("JSON");
        assert_eq!(body["status"], 401);
        let challenges = reply
            .fields
            .into_iter()
            .filter(|(name, _)| *name == "www-authenticate");
        challenges.map(|(_, value)| value).collect::<Vec<_>>()
    };
    let plain = [r#"Bearer realm="the api""#, r#"ApiKey realm="the api""#];
    assert_eq!(challenges(&both, &[]), plain);
    assert_eq!(challenges(&both, &[("x-api-key", "x")]), plain);
    let told = |description: &str, fields: &[(&str, &str)]| {
        let expected = format!(r#"Bearer realm="the api", {description}"#);
        assert_eq!(challenges(&both, fields)[0], expected);
    };
    let invalid = r#"error="invalid_token", error_description="The access token is invalid""#;
    told(
        r#"error="invalid_token", error_description="The access token expired""#,
        &[("authorization", &expired())],
    );
    told(invalid, &[("authorization", "Bearer x")]);
    // That a key of this kid exists, or that the signature is right but the audience is not, is not told.
    told(
        invalid,
        &[(
            "authorization",
            &bearer(r#"{"exp":1700000300,"nbf":1700009999}"#),
        )],
    );
    told(
        invalid,
        &[(
            "authorization",
            &format!(
                "Bearer {}",
                token(r#"{"alg":"HS256","kid":"no"}"#, "{}", Sign::Hs256)
            ),
        )],
    );
    let token = alice();
    let twice = r#"error="invalid_request", error_description="More than one access token""#;
    told(
        twice,
        &[("authorization", &token), ("authorization", &token)],
    );
    assert_eq!(
        challenges(&json!({"api_keys": keys()}), &[]),
        [r#"ApiKey realm="portcullis""#]
    );
    assert_eq!(
        challenges(&json!({"jwt": {"jwks": jwks()}}), &[]),
        [r#"Bearer realm="portcullis""#]
    );
}
