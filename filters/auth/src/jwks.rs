//! JSON Web Key Sets (RFC 7517), as an identity provider publishes them.

use crate::verification_key::{Algorithm, VerificationKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use portcullis_filter_settings::Problems;
use serde_json::{Map, Value};

/// Reads a key set: a mapping, or its JSON text. Keys for something else than the verification of signatures that are
/// known here are passed over, as RFC 7517 section 5 wants it; what is wrong with the others goes to `problems`.
#[must_use]
pub fn read(path: &str, set: Value, problems: &Problems) -> Vec<VerificationKey> {
    let set = match set {
        Value::String(text) => match serde_json::from_str(&text) {
            Ok(set) => set,
            Err(error) => {
                problems.add(path, format_args!("is not JSON: {error}"));
                return Vec::new();
            }
        },
        other => other,
    };
    let Some(Value::Array(items)) = set.get("keys") else {
        problems.add(path, "must be a JWK set: a mapping with a list named keys");
        return Vec::new();
    };
    let mut keys = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match item.as_object().map(read_key) {
            Some(Ok(Some(key))) => keys.push(key),
            Some(Ok(None)) => {}
            Some(Err(message)) => problems.add(&format!("{path}.keys[{index}]"), message),
            None => problems.add(&format!("{path}.keys[{index}]"), "must be a mapping"),
        }
    }
    if keys.is_empty() {
        problems.add(
            path,
            "has no key for HS256, RS256, ES256 or EdDSA signatures",
        );
    }
    keys
}

/// None for a key that is meant for something else.
fn read_key(jwk: &Map<String, Value>) -> Result<Option<VerificationKey>, String> {
    let Some(algorithm) = algorithm(jwk) else {
        return Ok(None);
    };
    if algorithm != Algorithm::Hs256 && jwk.contains_key("d") {
        return Err(
            "is a private key, which must not be here; give the public members only".to_owned(),
        );
    }
    let kid = match jwk.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid.clone()),
        Some(_) => return Err("has a kid that is not a string".to_owned()),
    };
    let key = match algorithm {
        Algorithm::Hs256 => VerificationKey::from_secret(kid, bytes(jwk, "k")?),
        Algorithm::Rs256 => {
            VerificationKey::from_rsa_numbers(kid, &bytes(jwk, "n")?, &bytes(jwk, "e")?)
        }
        Algorithm::Es256 => {
            VerificationKey::from_p256_point(kid, &bytes(jwk, "x")?, &bytes(jwk, "y")?)
        }
        Algorithm::EdDsa => VerificationKey::from_ed25519_bytes(kid, &bytes(jwk, "x")?),
    };
    key.map(Some)
}

/// The algorithm that a key is for: the one that goes with its type and curve, unless the key says that it is for
/// another algorithm, for encryption, or for signing only.
fn algorithm(jwk: &Map<String, Value>) -> Option<Algorithm> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    let algorithm = match (text("kty")?, text("crv")) {
        ("oct", _) => Algorithm::Hs256,
        ("RSA", _) => Algorithm::Rs256,
        ("EC", Some("P-256")) => Algorithm::Es256,
        ("OKP", Some("Ed25519")) => Algorithm::EdDsa,
        _ => return None,
    };
    let for_algorithm = match text("alg") {
        // RFC 9864 gave EdDSA on Ed25519 a name of its own.
        Some("Ed25519") => algorithm == Algorithm::EdDsa,
        Some(name) => Algorithm::named(name) == Some(algorithm),
        None => !jwk.contains_key("alg"),
    };
    let for_signatures = text("use").is_none_or(|usage| usage == "sig");
    let operations = jwk.get("key_ops").and_then(Value::as_array);
    let for_verifying =
        operations.is_none_or(|all| all.iter().any(|operation| operation == "verify"));
    (for_algorithm && for_signatures && for_verifying).then_some(algorithm)
}

fn bytes(jwk: &Map<String, Value>, name: &str) -> Result<Vec<u8>, String> {
    let text = jwk
        .get(name)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("lacks the member {name}"))?;
    BASE64_URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| format!("has a member {name} that is not base64url"))
}
