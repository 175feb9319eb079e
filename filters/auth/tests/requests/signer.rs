//! Signs tokens with the keys that RFC 7515 appendix A and RFC 8037 appendix A publish for the purpose.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ed25519_dalek::Signer;
use hmac::{Hmac, Mac};
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// RFC 7515 A.1.1.
pub(crate) const HMAC_SECRET: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
/// RFC 7515 A.2.1, modulus.
pub(crate) const RSA_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
const RSA_D: &str = "Eq5xpGnNCivDflJsRQBXHx1hdR1k6Ulwe2JZD50LpXyWPEAeP88vLNO97IjlA7_GQ5sLKMgvfTeXZx9SE-7YwVol2NXOoAJe46sui395IW_GO-pWJ1O0BkTGoVEn2bKVRUCgu-GjBVaYLU6f3l9kJfFNS3E0QbVdxzubSu3Mkqzjkn439X0M_V51gfpRLI9JYanrC4D4qAdGcopV_0ZHHzQlBjudU2QvXt4ehNYTCBr6XCLQUShb1juUO1ZdiYoFaFQT5Tw8bGUl_x_jTj3ccPDVZFD9pIuhLhBOneufuBiB4cS98l2SR_RQyGWSeWjnczT0QU91p1DhOVRuOopznQ";
const RSA_P: &str = "4BzEEOtIpmVdVEZNCqS7baC4crd0pqnRH_5IB3jw3bcxGn6QLvnEtfdUdiYrqBdss1l58BQ3KhooKeQTa9AB0Hw_Py5PJdTJNPY8cQn7ouZ2KKDcmnPGBY5t7yLc1QlQ5xHdwW1VhvKn-nXqhJTBgIPgtldC-KDV5z-y2XDwGUc";
const RSA_Q: &str = "uQPEfgmVtjL0Uyyx88GZFF1fOunH3-7cepKmtH4pxhtCoHqpWmT8YAmZxaewHgHAjLYsp1ZSe7zFYHj7C6ul7TjeLQeZD_YwD66t62wDmpe_HlB-TnBA-njbglfIsRLtXlnDzQkv5dTltRJ11BKBBypeeF6689rjcJIDEz9RWdc";
/// RFC 7515 A.3.1.
pub(crate) const EC_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
/// RFC 7515 A.3.1.
pub(crate) const EC_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const EC_D: &str = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI";
/// RFC 8037 A.2.
pub(crate) const ED_X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
const ED_D: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";

/// How a token is signed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Sign {
    Hs256,
    Rs256,
    Es256,
    EdDsa,
    /// With another secret than [`HMAC_SECRET`].
    OtherSecret,
    /// With the public RSA modulus as an HMAC secret.
    HmacOfRsaModulus,
    /// Not at all.
    Nothing,
}

/// The public halves of all keys, as a JWK set.
pub(crate) fn jwks() -> Value {
    json!({"keys": [
        {"kty": "oct", "kid": "hs", "k": HMAC_SECRET},
        {"kty": "RSA", "kid": "rs", "n": RSA_N, "e": "AQAB", "use": "sig", "alg": "RS256"},
        {"kty": "EC", "kid": "es", "crv": "P-256", "x": EC_X, "y": EC_Y},
        {"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": ED_X, "alg": "EdDSA"},
        {"kty": "RSA", "kid": "for encryption", "use": "enc", "n": "AQ", "e": "AQ"},
        {"kty": "EC", "crv": "P-384", "x": "AQ", "y": "AQ"},
        {"kty": "of a later RFC"},
    ]})
}

pub(crate) fn encode(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub(crate) fn decode(text: &str) -> Vec<u8> {
    BASE64_URL_SAFE_NO_PAD.decode(text).expect("base64url")
}

/// A token of this header and payload, given as they are to stand in it.
pub(crate) fn token(header: &str, payload: &str, sign: Sign) -> String {
    let signed = format!("{}.{}", encode(header), encode(payload));
    let signature = encode(signature(signed.as_bytes(), sign));
    format!("{signed}.{signature}")
}

/// The signature of a message.
pub(crate) fn signature(message: &[u8], sign: Sign) -> Vec<u8> {
    match sign {
        Sign::Hs256 => hmac(&decode(HMAC_SECRET), message),
        Sign::OtherSecret => hmac(&[7; 64], message),
        Sign::HmacOfRsaModulus => hmac(&decode(RSA_N), message),
        Sign::Nothing => Vec::new(),
        Sign::Rs256 => {
            let number = |text| BigUint::from_bytes_be(&decode(text));
            let primes = vec![number(RSA_P), number(RSA_Q)];
            let key = RsaPrivateKey::from_components(
                number(RSA_N),
                number("AQAB"),
                number(RSA_D),
                primes,
            );
            let digest = Sha256::digest(message);
            key.expect("a key")
                .sign(Pkcs1v15Sign::new::<Sha256>(), &digest)
                .expect("a signature")
        }
        Sign::Es256 => {
            let key = p256::ecdsa::SigningKey::from_slice(&decode(EC_D)).expect("a key");
            let signature: p256::ecdsa::Signature = key.sign(message);
            signature.to_bytes().to_vec()
        }
        Sign::EdDsa => {
            let seed: [u8; 32] = decode(ED_D).try_into().expect("32 bytes");
            ed25519_dalek::SigningKey::from_bytes(&seed)
                .sign(message)
                .to_vec()
        }
    }
}

fn hmac(secret: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("any length will do");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}
