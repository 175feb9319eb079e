//! Keys that verify signatures (RFC 7518), each for exactly one algorithm.
//!
//! The algorithm belongs to the key, not to the token: a token whose header names another one finds no key. That alone
//! rules out `alg: none` and the confusion of a public RSA key with an HMAC secret (RFC 8725 section 3.1).

use ed25519_dalek::pkcs8::DecodePublicKey;
use hmac::{Hmac, Mac};
use p256::ecdsa::signature::Verifier;
use rsa::pkcs1::DecodeRsaPublicKey;
use rsa::traits::PublicKeyParts;
use rsa::{BigUint, Pkcs1v15Sign, RsaPublicKey};
use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes an HMAC secret needs: as many as the hash has (RFC 7518 section 3.2).
pub const SECRET_BYTES_MIN: usize = 32;
/// Bits an RSA modulus needs (RFC 7518 section 3.3).
pub const RSA_BITS_MIN: usize = 2048;
/// Bits an RSA modulus may have: beyond it one forged token costs a worker milliseconds.
pub const RSA_BITS_MAX: usize = 4096;

/// A signature algorithm (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// HMAC with SHA-256.
    Hs256,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// EdDSA; of its curves Ed25519.
    EdDsa,
}

impl Algorithm {
    /// Every algorithm, by the name it has in a token's header.
    pub const NAMES: [(&str, Self); 4] = [
        ("HS256", Self::Hs256),
        ("RS256", Self::Rs256),
        ("ES256", Self::Es256),
        ("EdDSA", Self::EdDsa),
    ];

    /// The algorithm of this name; names are case-sensitive.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, algorithm)| *algorithm)
    }
}

/// A key and the name it goes by.
#[derive(Clone, Debug)]
pub struct VerificationKey {
    /// What a token's header may call it.
    pub kid: Option<String>,
    material: Material,
}

#[derive(Clone)]
enum Material {
    Secret(Vec<u8>),
    Rsa(Box<RsaPublicKey>),
    P256(Box<p256::ecdsa::VerifyingKey>),
    Ed25519(Box<ed25519_dalek::VerifyingKey>),
}

impl VerificationKey {
    /// An HMAC secret.
    ///
    /// # Errors
    /// It has less than [`SECRET_BYTES_MIN`].
    pub fn from_secret(kid: Option<String>, secret: Vec<u8>) -> Result<Self, String> {
        if secret.len() < SECRET_BYTES_MIN {
            let length = secret.len();
            return Err(format!(
                "a secret for HS256 needs {SECRET_BYTES_MIN} bytes or more, this one has {length}"
            ));
        }
        Ok(Self {
            kid,
            material: Material::Secret(secret),
        })
    }

    /// A public key in PEM: `PUBLIC KEY` (RFC 7468 section 13), for RSA also `RSA PUBLIC KEY` (RFC 8017 A.1.1).
    ///
    /// # Errors
    /// It is not a public key of that algorithm, or a weak one.
    pub fn from_pem(kid: Option<String>, algorithm: Algorithm, pem: &str) -> Result<Self, String> {
        let pem = pem.trim();
        if pem.contains("PRIVATE KEY-----") {
            return Err("is a private key, which must not be here; give the public key: openssl pkey -pubout".into());
        }
        if pem.contains("BEGIN CERTIFICATE-----") {
            return Err(
                "is a certificate; give its public key: openssl x509 -pubkey -noout".into(),
            );
        }
        match algorithm {
            Algorithm::Hs256 => Err("HS256 takes a secret, not a pem".into()),
            Algorithm::Rs256 => {
                let key = RsaPublicKey::from_public_key_pem(pem)
                    .or_else(|_| RsaPublicKey::from_pkcs1_pem(pem));
                let key = key.map_err(|_| {
                    format!("is not a public RSA key of at most {RSA_BITS_MAX} bits in PEM")
                })?;
                Self::from_rsa(kid, key)
            }
            Algorithm::Es256 => {
                let key = p256::ecdsa::VerifyingKey::from_public_key_pem(pem);
                let key = key.map_err(|_| "is not a public key of curve P-256 in PEM")?;
                Ok(Self {
                    kid,
                    material: Material::P256(Box::new(key)),
                })
            }
            Algorithm::EdDsa => {
                let key = ed25519_dalek::VerifyingKey::from_public_key_pem(pem);
                Self::from_ed25519(kid, key.map_err(|_| "is not a public Ed25519 key in PEM")?)
            }
        }
    }

    /// An RSA key by modulus and exponent, both big-endian.
    ///
    /// # Errors
    /// The numbers are no RSA key, or a weak or excessive one.
    pub fn from_rsa_numbers(
        kid: Option<String>,
        modulus: &[u8],
        exponent: &[u8],
    ) -> Result<Self, String> {
        let (modulus, exponent) = (
            BigUint::from_bytes_be(modulus),
            BigUint::from_bytes_be(exponent),
        );
        let key = RsaPublicKey::new_with_max_size(modulus, exponent, RSA_BITS_MAX);
        Self::from_rsa(
            kid,
            key.map_err(|_| format!("is not an RSA key of at most {RSA_BITS_MAX} bits"))?,
        )
    }

    /// A point of P-256 by its coordinates, big-endian.
    ///
    /// # Errors
    /// A coordinate has not 32 bytes, or the point is not on the curve.
    pub fn from_p256_point(kid: Option<String>, x: &[u8], y: &[u8]) -> Result<Self, String> {
        let coordinates = <&[u8; 32]>::try_from(x)
            .ok()
            .zip(<&[u8; 32]>::try_from(y).ok());
        let point = coordinates
            .map(|(x, y)| p256::EncodedPoint::from_affine_coordinates(x.into(), y.into(), false));
        let key =
            point.and_then(|point| p256::ecdsa::VerifyingKey::from_encoded_point(&point).ok());
        let key = key.ok_or("is not a point of P-256 with two coordinates of 32 bytes")?;
        Ok(Self {
            kid,
            material: Material::P256(Box::new(key)),
        })
    }

    /// An Ed25519 key by its 32 bytes.
    ///
    /// # Errors
    /// The bytes are no key, or one of the few under which a signature proves nothing.
    pub fn from_ed25519_bytes(kid: Option<String>, bytes: &[u8]) -> Result<Self, String> {
        let bytes =
            <&[u8; 32]>::try_from(bytes).map_err(|_| "is not an Ed25519 key of 32 bytes")?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(bytes)
            .map_err(|_| "is not a point of Ed25519")?;
        Self::from_ed25519(kid, key)
    }

    /// The only algorithm this key verifies.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.material {
            Material::Secret(_) => Algorithm::Hs256,
            Material::Rsa(_) => Algorithm::Rs256,
            Material::P256(_) => Algorithm::Es256,
            Material::Ed25519(_) => Algorithm::EdDsa,
        }
    }

    /// Whether `signature` is this key's for `message`. For a secret, in time that does not depend on the signature.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.material {
            Material::Secret(secret) => {
                let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
                    return false;
                };
                mac.update(message);
                mac.verify_slice(signature).is_ok()
            }
            Material::Rsa(key) => {
                let digest = Sha256::digest(message);
                key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, signature)
                    .is_ok()
            }
            Material::P256(key) => {
                let signature = p256::ecdsa::Signature::from_slice(signature);
                signature.is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            Material::Ed25519(key) => {
                // Strict: without it, some signatures verify for more than one message or key.
                let signature = ed25519_dalek::Signature::from_slice(signature);
                signature.is_ok_and(|signature| key.verify_strict(message, &signature).is_ok())
            }
        }
    }

    fn from_rsa(kid: Option<String>, key: RsaPublicKey) -> Result<Self, String> {
        let bits = key.n().bits();
        if bits < RSA_BITS_MIN {
            return Err(format!(
                "an RSA key needs {RSA_BITS_MIN} bits or more, this one has {bits}"
            ));
        }
        let even = |number: &BigUint| {
            number
                .to_bytes_le()
                .first()
                .is_none_or(|byte| byte % 2 == 0)
        };
        if even(key.n()) || even(key.e()) {
            return Err("is not an RSA key: its modulus or its exponent is even".into());
        }
        Ok(Self {
            kid,
            material: Material::Rsa(Box::new(key)),
        })
    }

    fn from_ed25519(kid: Option<String>, key: ed25519_dalek::VerifyingKey) -> Result<Self, String> {
        if key.is_weak() {
            return Err("is an Ed25519 key of small order, under which anybody can sign".into());
        }
        Ok(Self {
            kid,
            material: Material::Ed25519(Box::new(key)),
        })
    }
}

/// Shows what kind of key it is: a secret must not come into a log by way of a derived `Debug`.
impl fmt::Debug for Material {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Secret(_) => "Secret",
            Self::Rsa(_) => "Rsa",
            Self::P256(_) => "P256",
            Self::Ed25519(_) => "Ed25519",
        })
    }
}
