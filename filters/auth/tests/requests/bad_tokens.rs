//! Tokens with one flaw each. A row is what the token says, how it is signed and why it is refused; every row differs
//! from [`GOOD`] in what its name says and in nothing else.

use crate::signer::{self, Sign, jwks, token};
use crate::{NOW, ask};
use portcullis_filter_auth::decide::{Decision, Refusal};
use portcullis_filter_auth::token::{Flaw, TOKEN_BYTES_MAX};
use serde_json::{Value, json};

const HS: &str = r#"{"alg":"HS256","kid":"hs"}"#;
const RS: &str = r#"{"alg":"RS256","kid":"rs"}"#;
const ES: &str = r#"{"alg":"ES256","kid":"es"}"#;
const ED: &str = r#"{"alg":"EdDSA","kid":"ed"}"#;
const GOOD: &str = r#"{"iss":"https://id.test","aud":"api","sub":"alice","exp":1700000300}"#;

fn configuration() -> Value {
    json!({"jwt": {"jwks": jwks(), "issuer": "https://id.test", "audience": ["api", "app"], "leeway": "60s",
        "require": ["exp", "sub"]}})
}

fn verdict(token: &str) -> Decision {
    ask(
        &configuration(),
        &[("authorization", &format!("Bearer {token}"))],
    )
}

/// (name, header, payload, signature, flaw)
#[rustfmt::skip]
const ROWS: [(&str, &str, &str, Sign, Flaw); 63] = [
    // The algorithm is the key's.
    ("alg none, unsigned", r#"{"alg":"none"}"#, GOOD, Sign::Nothing, Flaw::NoSuchKey),
    ("alg none, with a kid", r#"{"alg":"none","kid":"hs"}"#, GOOD, Sign::Nothing, Flaw::NoSuchKey),
    ("alg None", r#"{"alg":"None"}"#, GOOD, Sign::Nothing, Flaw::NoSuchKey),
    ("alg NONE", r#"{"alg":"NONE"}"#, GOOD, Sign::Nothing, Flaw::NoSuchKey),
    ("alg none, signed all the same", r#"{"alg":"none","kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("alg empty", r#"{"alg":""}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("alg in lower case", r#"{"alg":"hs256","kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("alg with a blank", r#"{"alg":"HS256 ","kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("alg not known here", r#"{"alg":"HS512","kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("alg absent", r#"{"kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::Malformed),
    ("alg null", r#"{"alg":null,"kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::Malformed),
    ("alg a list", r#"{"alg":["HS256"],"kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::Malformed),
    ("alg twice", r#"{"alg":"none","alg":"HS256","kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::Malformed),
    ("public RSA key as HMAC secret", r#"{"alg":"HS256","kid":"rs"}"#, GOOD, Sign::HmacOfRsaModulus, Flaw::NoSuchKey),
    ("the same, unnamed", r#"{"alg":"HS256"}"#, GOOD, Sign::HmacOfRsaModulus, Flaw::Signature),
    ("HMAC key for RS256", r#"{"alg":"RS256","kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("EdDSA key for ES256", r#"{"alg":"ES256","kid":"ed"}"#, GOOD, Sign::EdDsa, Flaw::NoSuchKey),
    // The key is ours.
    ("kid of nobody", r#"{"alg":"HS256","kid":"other"}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("kid a path", r#"{"alg":"HS256","kid":"../../dev/null"}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("kid with SQL", r#"{"alg":"HS256","kid":"x' UNION SELECT 'key"}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("kid empty", r#"{"alg":"HS256","kid":""}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("kid in upper case", r#"{"alg":"HS256","kid":"HS"}"#, GOOD, Sign::Hs256, Flaw::NoSuchKey),
    ("kid a number", r#"{"alg":"HS256","kid":1}"#, GOOD, Sign::Hs256, Flaw::Malformed),
    ("kid twice", r#"{"alg":"HS256","kid":"x","kid":"hs"}"#, GOOD, Sign::Hs256, Flaw::Malformed),
    ("key for encryption", r#"{"alg":"RS256","kid":"for encryption"}"#, GOOD, Sign::Rs256, Flaw::NoSuchKey),
    ("key brought along", r#"{"alg":"HS256","jwk":{"kty":"oct","k":"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc"}}"#, GOOD, Sign::OtherSecret, Flaw::Signature),
    ("key to be fetched", r#"{"alg":"HS256","jku":"https://evil.test/jwks.json"}"#, GOOD, Sign::OtherSecret, Flaw::Signature),
    ("certificate to be fetched", r#"{"alg":"HS256","x5u":"https://evil.test/cert.pem"}"#, GOOD, Sign::OtherSecret, Flaw::Signature),
    ("certificate brought along", r#"{"alg":"HS256","x5c":["MIIB"]}"#, GOOD, Sign::OtherSecret, Flaw::Signature),
    // The signature is the key's.
    ("HS256 by another secret", HS, GOOD, Sign::OtherSecret, Flaw::Signature),
    ("HS256 unsigned", HS, GOOD, Sign::Nothing, Flaw::Signature),
    ("RS256 unsigned", RS, GOOD, Sign::Nothing, Flaw::Signature),
    ("ES256 unsigned", ES, GOOD, Sign::Nothing, Flaw::Signature),
    ("EdDSA unsigned", ED, GOOD, Sign::Nothing, Flaw::Signature),
    ("RS256 by HMAC", RS, GOOD, Sign::Hs256, Flaw::Signature),
    ("ES256 by EdDSA", ES, GOOD, Sign::EdDsa, Flaw::Signature),
    // Extensions.
    ("crit unknown", r#"{"alg":"HS256","kid":"hs","crit":["x"],"x":1}"#, GOOD, Sign::Hs256, Flaw::CriticalExtension),
    ("crit b64", r#"{"alg":"HS256","kid":"hs","crit":["b64"],"b64":false}"#, GOOD, Sign::Hs256, Flaw::CriticalExtension),
    ("crit empty", r#"{"alg":"HS256","kid":"hs","crit":[]}"#, GOOD, Sign::Hs256, Flaw::CriticalExtension),
    // Form.
    ("header a list", r#"["HS256"]"#, GOOD, Sign::Hs256, Flaw::Malformed),
    ("header with a tail", r#"{"alg":"HS256","kid":"hs"}{}"#, GOOD, Sign::Hs256, Flaw::Malformed),
    ("payload not JSON", HS, "alice", Sign::Hs256, Flaw::Malformed),
    ("payload a list", HS, "[]", Sign::Hs256, Flaw::Malformed),
    ("payload empty", HS, "", Sign::Hs256, Flaw::Malformed),
    ("payload with a byte order mark", HS, "\u{feff}{}", Sign::Hs256, Flaw::Malformed),
    ("claim twice", HS, r#"{"sub":"alice","sub":"root","exp":1700000300}"#, Sign::Hs256, Flaw::Malformed),
    // Time: now is 1700000000, the leeway 60.
    ("expired", HS, r#"{"iss":"https://id.test","aud":"api","sub":"a","exp":1699999940}"#, Sign::Hs256, Flaw::Expired),
    ("expired a fraction ago", HS, r#"{"iss":"https://id.test","aud":"api","sub":"a","exp":1699999940.9}"#, Sign::Hs256, Flaw::Expired),
    ("expired long before the epoch", HS, r#"{"iss":"https://id.test","aud":"api","sub":"a","exp":-1e300}"#, Sign::Hs256, Flaw::Expired),
    ("exp a text", HS, r#"{"iss":"https://id.test","aud":"api","sub":"a","exp":"1700000300"}"#, Sign::Hs256, Flaw::ClaimType),
    ("exp absent", HS, r#"{"iss":"https://id.test","aud":"api","sub":"a"}"#, Sign::Hs256, Flaw::ClaimMissing),
    ("exp null", HS, r#"{"iss":"https://id.test","aud":"api","sub":"a","exp":null}"#, Sign::Hs256, Flaw::ClaimMissing),
    ("not yet valid", HS, r#"{"iss":"https://id.test","aud":"api","sub":"a","exp":1700000300,"nbf":1700000061}"#, Sign::Hs256, Flaw::NotYetValid),
    ("nbf a truth value", HS, r#"{"iss":"https://id.test","aud":"api","sub":"a","exp":1700000300,"nbf":true}"#, Sign::Hs256, Flaw::ClaimType),
    ("issued in the future", HS, r#"{"iss":"https://id.test","aud":"api","sub":"a","exp":1700000300,"iat":1700000061}"#, Sign::Hs256, Flaw::IssuedInFuture),
    // Parties.
    ("another issuer", HS, r#"{"iss":"https://id.test/","aud":"api","sub":"a","exp":1700000300}"#, Sign::Hs256, Flaw::Issuer),
    ("issuers", HS, r#"{"iss":["https://id.test"],"aud":"api","sub":"a","exp":1700000300}"#, Sign::Hs256, Flaw::ClaimType),
    ("issuer absent", HS, r#"{"aud":"api","sub":"a","exp":1700000300}"#, Sign::Hs256, Flaw::ClaimMissing),
    ("another audience", HS, r#"{"iss":"https://id.test","aud":"apis","sub":"a","exp":1700000300}"#, Sign::Hs256, Flaw::Audience),
    ("other audiences", HS, r#"{"iss":"https://id.test","aud":["x","y"],"sub":"a","exp":1700000300}"#, Sign::Hs256, Flaw::Audience),
    ("audience a number among texts", HS, r#"{"iss":"https://id.test","aud":["api",1],"sub":"a","exp":1700000300}"#, Sign::Hs256, Flaw::ClaimType),
    ("audience absent", HS, r#"{"iss":"https://id.test","sub":"a","exp":1700000300}"#, Sign::Hs256, Flaw::ClaimMissing),
    ("required claim absent", HS, r#"{"iss":"https://id.test","aud":"api","exp":1700000300}"#, Sign::Hs256, Flaw::ClaimMissing),
];

#[test]
fn without_a_flaw_it_passes() {
    for (header, sign) in [
        (HS, Sign::Hs256),
        (RS, Sign::Rs256),
        (ES, Sign::Es256),
        (ED, Sign::EdDsa),
    ] {
        let decision = verdict(&token(header, GOOD, sign));
        assert!(
            matches!(decision, Decision::Pass(_)),
            "{header}: {decision:?}"
        );
    }
}

#[test]
fn with_a_flaw_it_does_not() {
    for (name, header, payload, sign, flaw) in ROWS {
        match verdict(&token(header, payload, sign)) {
            Decision::Deny(refusal, reply) => {
                assert_eq!(refusal, Refusal::Token(flaw), "{name}");
                assert_eq!(reply.status, 401, "{name}");
            }
            Decision::Pass(_) => panic!("{name}: passed"),
        }
    }
}

/// What only the text of a token can have: made from a good one.
#[test]
fn mangled_tokens_are_refused() {
    let good = token(HS, GOOD, Sign::Hs256);
    let [header, payload, signature] = good.split('.').collect::<Vec<_>>()[..] else {
        panic!("three parts")
    };
    let es = token(ES, GOOD, Sign::Es256);
    let (es_signed, es_signature) = es.rsplit_once('.').expect("a signature");
    let es_bytes = signer::decode(es_signature);
    let rs = token(RS, GOOD, Sign::Rs256);
    let (rs_signed, rs_signature) = rs.rsplit_once('.').expect("a signature");
    let long_rs = [&[0][..], &signer::decode(rs_signature)].concat();
    let der = p256::ecdsa::Signature::from_slice(&es_bytes)
        .expect("a signature")
        .to_der();
    let cases = [
        ("nothing", String::new(), Flaw::Malformed),
        ("dots", "..".to_owned(), Flaw::Malformed),
        ("one part", header.to_owned(), Flaw::Malformed),
        ("two parts", format!("{header}.{payload}"), Flaw::Malformed),
        ("four parts", format!("{good}.{signature}"), Flaw::Malformed),
        (
            "five parts, as if encrypted",
            format!("{good}.{payload}.{signature}"),
            Flaw::Malformed,
        ),
        (
            "padded",
            format!("{header}=.{payload}.{signature}"),
            Flaw::Malformed,
        ),
        (
            "padded signature",
            format!("{header}.{payload}.{signature}="),
            Flaw::Malformed,
        ),
        (
            "a line break",
            format!("{header}.{payload}\n.{signature}"),
            Flaw::Malformed,
        ),
        ("two tokens", format!("{good}, {good}"), Flaw::Malformed),
        (
            "other alphabet",
            format!(
                "{header}.{payload}.{}",
                signature.replacen(|_: char| true, "+", 1)
            ),
            Flaw::Malformed,
        ),
        (
            "half a signature",
            format!("{header}.{payload}.{}", &signature[..20]),
            Flaw::Signature,
        ),
        (
            "a longer signature",
            format!("{header}.{payload}.{signature}AAAA"),
            Flaw::Signature,
        ),
        (
            "another payload",
            format!(
                "{header}.{}.{signature}",
                signer::encode(GOOD.replace("alice", "root"))
            ),
            Flaw::Signature,
        ),
        (
            "another header",
            format!(
                "{}.{payload}.{signature}",
                signer::encode(HS.replace("\"kid\"", " \"kid\""))
            ),
            Flaw::Signature,
        ),
        (
            "ES256 of zeros",
            format!("{es_signed}.{}", signer::encode([0; 64])),
            Flaw::Signature,
        ),
        (
            "ES256 in DER",
            format!("{es_signed}.{}", signer::encode(der.as_bytes())),
            Flaw::Signature,
        ),
        (
            "RS256 of zeros",
            format!("{rs_signed}.{}", signer::encode([0; 256])),
            Flaw::Signature,
        ),
        (
            "RS256 of ones",
            format!("{rs_signed}.{}", signer::encode([0xff; 256])),
            Flaw::Signature,
        ),
        (
            "RS256 with a zero in front",
            format!("{rs_signed}.{}", signer::encode(long_rs)),
            Flaw::Signature,
        ),
        (
            "oversized",
            format!("{header}.{payload}.{}", "A".repeat(TOKEN_BYTES_MAX)),
            Flaw::Oversized,
        ),
    ];
    for (name, text, flaw) in cases {
        match verdict(&text) {
            Decision::Deny(refusal, _) => assert_eq!(refusal, Refusal::Token(flaw), "{name}"),
            Decision::Pass(_) => panic!("{name}: passed"),
        }
    }
}

#[test]
fn times_hold_to_the_second() {
    let claims = |name: &str, value: Value| {
        let mut claims =
            json!({"iss": "https://id.test", "aud": "api", "sub": "a", "exp": NOW + 300});
        claims[name] = value;
        claims.to_string()
    };
    for (name, good, bad) in [
        ("exp", json!(NOW - 59), json!(NOW - 60)),
        ("exp", json!(f64::MAX), json!(i64::MIN)),
        ("nbf", json!(NOW + 60), json!(NOW + 61)),
        ("nbf", json!(i64::MIN), json!(u64::MAX)),
        ("iat", json!(NOW + 60), json!(1_700_000_060.5)),
        ("iat", json!(0), json!(f64::MAX)),
    ] {
        let passes = |value: Value| {
            let token = token(HS, &claims(name, value), Sign::Hs256);
            matches!(verdict(&token), Decision::Pass(_))
        };
        assert!(passes(good.clone()), "{name} {good}");
        assert!(!passes(bad.clone()), "{name} {bad}");
    }
}

/// A forger must not choose how much work a token is.
#[test]
fn a_token_without_a_kid_is_tried_on_few_keys() {
    let keys = |count: u32| -> Value {
        let key = |index: u32| json!({"kty": "oct", "kid": index.to_string(), "k": signer::encode([index as u8 + 1; 32])});
        json!({"jwt": {"jwks": {"keys": (0..count).map(key).collect::<Vec<_>>()}}})
    };
    let forged = format!("Bearer {}", token(r#"{"alg":"HS256"}"#, GOOD, Sign::Hs256));
    for (count, flaw) in [
        (1, Flaw::Signature),
        (4, Flaw::Signature),
        (5, Flaw::TooManyKeys),
    ] {
        let Decision::Deny(refusal, _) = ask(&keys(count), &[("authorization", &forged)]) else {
            panic!("passed")
        };
        assert_eq!(refusal, Refusal::Token(flaw), "{count} keys");
    }
}
