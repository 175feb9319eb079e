//! JSON Web Tokens (RFC 7519) in the compact form of a signed object (RFC 7515 section 3.1).
//!
//! Nothing in a token is believed before its signature is verified, and of its header only `alg` and `kid` are looked
//! at even then: keys that a token brings along or points to (`jwk`, `jku`, `x5c`, `x5u`) are never used.

use crate::verification_key::{Algorithm, VerificationKey};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// Bytes of a token: proxies bound a request's header fields at 64 KiB or less, and tokens seldom have 2 KiB.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Keys that one token may make us try. A token names its key by `kid`; one that does not costs a signature check a
/// candidate, which a forger must not multiply.
pub const KEYS_TRIED_MAX: usize = 4;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Longer than [`TOKEN_BYTES_MAX`].
    Oversized,
    /// Not three parts of base64url, the first two of them JSON objects.
    Malformed,
    /// Its header demands an extension (`crit`), and none is known here.
    CriticalExtension,
    /// Its algorithm is unknown here, or no key of that name is for it.
    NoSuchKey,
    /// It names no key, and more than [`KEYS_TRIED_MAX`] keys could have signed it.
    TooManyKeys,
    /// No key verifies its signature.
    Signature,
    /// A claim that is needed is not there.
    ClaimMissing,
    /// A registered claim has a type that it cannot have.
    ClaimType,
    /// `exp` has passed.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// `iat` has not come.
    IssuedInFuture,
    /// `iss` is somebody else.
    Issuer,
    /// `aud` is somebody else.
    Audience,
}

impl fmt::Display for Flaw {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Oversized => "token too long",
            Self::Malformed => "token malformed",
            Self::CriticalExtension => "token demands an extension that is not known here",
            Self::NoSuchKey => "no key for the token's algorithm and key id",
            Self::TooManyKeys => "token names no key, and too many could have signed it",
            Self::Signature => "token's signature does not verify",
            Self::ClaimMissing => "token lacks a required claim",
            Self::ClaimType => "token has a registered claim of a wrong type",
            Self::Expired => "token expired",
            Self::NotYetValid => "token not valid yet",
            Self::IssuedInFuture => "token issued in the future",
            Self::Issuer => "token of another issuer",
            Self::Audience => "token for another audience",
        })
    }
}

/// The payload of a token whose signature one of `keys` verifies.
///
/// # Errors
/// The first flaw found.
pub fn verified_payload(token: &[u8], keys: &[VerificationKey]) -> Result<Vec<u8>, Flaw> {
    if token.len() > TOKEN_BYTES_MAX {
        return Err(Flaw::Oversized);
    }
    let mut parts = token.split(|byte| *byte == b'.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Flaw::Malformed);
    };
    let signed = &token[..header.len() + 1 + payload.len()];
    let header = object(&decode(header)?).ok_or(Flaw::Malformed)?;
    let (payload, signature) = (decode(payload)?, decode(signature)?);
    let candidates = candidates(&header, keys)?;
    if candidates
        .iter()
        .any(|key| key.verifies(signed, &signature))
    {
        Ok(payload)
    } else {
        Err(Flaw::Signature)
    }
}

/// A JSON object whose members have different names, or none. RFC 7515 section 4 and RFC 7519 section 4 leave a
/// choice between refusing a repeated name and taking the last; two readers that choose differently read two tokens.
#[must_use]
pub fn object(json: &[u8]) -> Option<Map<String, Value>> {
    let mut reader = serde_json::Deserializer::from_slice(json);
    let map = reader.deserialize_map(Unrepeated).ok()?;
    reader.end().ok()?;
    Some(map)
}

/// The keys that may have signed a token with this header: of its algorithm, and of its `kid` if both have one.
fn candidates<'a>(
    header: &Map<String, Value>,
    keys: &'a [VerificationKey],
) -> Result<Vec<&'a VerificationKey>, Flaw> {
    if header.contains_key("crit") {
        return Err(Flaw::CriticalExtension);
    }
    let name = header
        .get("alg")
        .and_then(Value::as_str)
        .ok_or(Flaw::Malformed)?;
    let kid = match header.get("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid),
        Some(_) => return Err(Flaw::Malformed),
    };
    let algorithm = Algorithm::named(name).ok_or(Flaw::NoSuchKey)?;
    let may_have_signed = |key: &&VerificationKey| {
        let named = kid.zip(key.kid.as_ref());
        key.algorithm() == algorithm && named.is_none_or(|(wanted, kid)| wanted == kid)
    };
    let candidates: Vec<_> = keys.iter().filter(may_have_signed).collect();
    match candidates.len() {
        0 => Err(Flaw::NoSuchKey),
        count if count > KEYS_TRIED_MAX => Err(Flaw::TooManyKeys),
        _ => Ok(candidates),
    }
}

fn decode(part: &[u8]) -> Result<Vec<u8>, Flaw> {
    BASE64_URL_SAFE_NO_PAD
        .decode(part)
        .map_err(|_| Flaw::Malformed)
}

struct Unrepeated;

impl<'de> Visitor<'de> for Unrepeated {
    type Value = Map<String, Value>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object whose members have different names")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, value)) = members.next_entry::<String, Value>()? {
            if map.insert(name, value).is_some() {
                return Err(A::Error::custom("a member's name is repeated"));
            }
        }
        Ok(map)
    }
}
