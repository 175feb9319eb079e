//! `verify_signature` and `sign`: RSA (PKCS #1 v1.5) and ECDSA (P-256, P-384, P-521; ASN.1), by Envoy's messages.
//!
//! | message | fields |
//! |---|---|
//! | to verify | 1 hash, 2 public key (DER), 3 signature, 4 text, 5 public key (PEM) |
//! | verified | 1 whether it is valid, 2 why not |
//! | to sign | 1 hash, 2 private key (DER), 3 text, 4 private key (PEM) |
//! | signed | 1 whether it worked, 2 signature, 3 why not |
//!
//! A key that cannot be read, none, or two are BadArgument.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{self as algorithms, EcdsaKeyPair, ParsedPublicKey};
use rustls_pki_types::pem::{PemObject, SectionKind};

use crate::hostcalls::call::Call;
use crate::wire::protobuf::{Malformed, fields, put_bytes, put_number};
use crate::wire::types::Status;

impl From<Malformed> for Status {
    fn from(_: Malformed) -> Self {
        Self::BadArgument
    }
}

pub(super) fn verify(_: &mut Call<'_>, argument: &[u8]) -> Result<Vec<u8>, Status> {
    let (mut hash, mut der, mut signature, mut text, mut pem) = ("", &[][..], &[][..], &[][..], "");
    for field in fields(argument) {
        match field? {
            (1, value) => hash = value.text()?,
            (2, value) => der = value.bytes()?,
            (3, value) => signature = value.bytes()?,
            (4, value) => text = value.bytes()?,
            (5, value) => pem = value.text()?,
            _ => {}
        }
    }
    let key = key(der, pem, &[SectionKind::PublicKey])?;
    let kind = Kind::of(&key).ok_or(Status::BadArgument)?;
    let verified = match verifier(kind, hash) {
        Some(algorithm) => ParsedPublicKey::new(algorithm, &key)
            .map_err(|_| Status::BadArgument)?
            .verify_sig(text, signature)
            .map_err(|_| "the signature is not valid".to_owned()),
        None => Err(unsupported(hash)),
    };
    let mut result = Vec::new();
    put_number(1, u64::from(verified.is_ok()), &mut result);
    put_bytes(
        2,
        verified.err().unwrap_or_default().as_bytes(),
        &mut result,
    );
    Ok(result)
}

pub(super) fn sign(_: &mut Call<'_>, argument: &[u8]) -> Result<Vec<u8>, Status> {
    let (mut hash, mut der, mut text, mut pem) = ("", &[][..], &[][..], "");
    for field in fields(argument) {
        match field? {
            (1, value) => hash = value.text()?,
            (2, value) => der = value.bytes()?,
            (3, value) => text = value.bytes()?,
            (4, value) => pem = value.text()?,
            _ => {}
        }
    }
    let sections = [
        SectionKind::PrivateKey,
        SectionKind::RsaPrivateKey,
        SectionKind::EcPrivateKey,
    ];
    let key = key(der, pem, &sections)?;
    let signed = signature(&key, hash, text)?;
    let mut result = Vec::new();
    put_number(1, u64::from(signed.is_ok()), &mut result);
    match signed {
        Ok(signature) => put_bytes(2, &signature, &mut result),
        Err(why) => put_bytes(3, why.as_bytes(), &mut result),
    }
    Ok(result)
}

/// The one key that was given, as DER.
fn key(der: &[u8], pem: &str, sections: &[SectionKind]) -> Result<Vec<u8>, Status> {
    match (der, pem) {
        ([], "") => Err(Status::BadArgument),
        (der, "") => Ok(der.to_vec()),
        ([], pem) => match <(SectionKind, Vec<u8>)>::from_pem_slice(pem.as_bytes()) {
            Ok((section, der)) if sections.contains(&section) => Ok(der),
            Ok(_) | Err(_) => Err(Status::BadArgument),
        },
        _ => Err(Status::BadArgument),
    }
}

/// Kinds of keys, told by the identifiers in their DER (RFC 3279, RFC 5480).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    P521,
}

impl Kind {
    fn of(der: &[u8]) -> Option<Self> {
        const IDENTIFIERS: [(&[u8], Kind); 4] = [
            (b"\x2a\x86\x48\xce\x3d\x03\x01\x07", Kind::P256),
            (b"\x2b\x81\x04\x00\x22", Kind::P384),
            (b"\x2b\x81\x04\x00\x23", Kind::P521),
            (b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01", Kind::Rsa),
        ];
        // The identifiers are at the front of a public key and of PKCS #8; the key itself is parsed by the library.
        let front = der.get(..48).unwrap_or(der);
        let kind = IDENTIFIERS
            .into_iter()
            .find(|(identifier, _)| front.windows(identifier.len()).any(|at| at == *identifier));
        kind.map(|(_, kind)| kind)
    }
}

fn verifier(kind: Kind, hash: &str) -> Option<&'static dyn algorithms::VerificationAlgorithm> {
    Some(match (kind, hash) {
        (Kind::Rsa, "sha1") => &algorithms::RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (Kind::Rsa, "sha256") => &algorithms::RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        (Kind::Rsa, "sha384") => &algorithms::RSA_PKCS1_2048_8192_SHA384,
        (Kind::Rsa, "sha512") => &algorithms::RSA_PKCS1_1024_8192_SHA512_FOR_LEGACY_USE_ONLY,
        (Kind::P256, "sha1") => &algorithms::ECDSA_P256_SHA1_ASN1,
        (Kind::P256, "sha256") => &algorithms::ECDSA_P256_SHA256_ASN1,
        (Kind::P256, "sha384") => &algorithms::ECDSA_P256_SHA384_ASN1,
        (Kind::P256, "sha512") => &algorithms::ECDSA_P256_SHA512_ASN1,
        (Kind::P384, "sha256") => &algorithms::ECDSA_P384_SHA256_ASN1,
        (Kind::P384, "sha384") => &algorithms::ECDSA_P384_SHA384_ASN1,
        (Kind::P384, "sha512") => &algorithms::ECDSA_P384_SHA512_ASN1,
        (Kind::P521, "sha1") => &algorithms::ECDSA_P521_SHA1_ASN1,
        (Kind::P521, "sha224") => &algorithms::ECDSA_P521_SHA224_ASN1,
        (Kind::P521, "sha256") => &algorithms::ECDSA_P521_SHA256_ASN1,
        (Kind::P521, "sha384") => &algorithms::ECDSA_P521_SHA384_ASN1,
        (Kind::P521, "sha512") => &algorithms::ECDSA_P521_SHA512_ASN1,
        _ => return None,
    })
}

fn signature(key: &[u8], hash: &str, text: &[u8]) -> Result<Result<Vec<u8>, String>, Status> {
    let random = SystemRandom::new();
    let failed = |_| "the key cannot sign this".to_owned();
    // PKCS #1 has no identifier.
    let kind = Kind::of(key).unwrap_or(Kind::Rsa);
    if kind == Kind::Rsa {
        let key = RsaKeyPair::from_pkcs8(key).or_else(|_| RsaKeyPair::from_der(key));
        let key = key.map_err(|_| Status::BadArgument)?;
        let encoding: &'static dyn algorithms::RsaEncoding = match hash {
            "sha256" => &algorithms::RSA_PKCS1_SHA256,
            "sha384" => &algorithms::RSA_PKCS1_SHA384,
            "sha512" => &algorithms::RSA_PKCS1_SHA512,
            _ => return Ok(Err(unsupported(hash))),
        };
        let mut signature = vec![0; key.public_modulus_len()];
        let signed = key.sign(encoding, &random, text, &mut signature);
        return Ok(signed.map(|()| signature).map_err(failed));
    }
    let algorithm = match (kind, hash) {
        (Kind::P256, "sha256") => &algorithms::ECDSA_P256_SHA256_ASN1_SIGNING,
        (Kind::P384, "sha384") => &algorithms::ECDSA_P384_SHA384_ASN1_SIGNING,
        (Kind::P521, "sha224") => &algorithms::ECDSA_P521_SHA224_ASN1_SIGNING,
        (Kind::P521, "sha256") => &algorithms::ECDSA_P521_SHA256_ASN1_SIGNING,
        (Kind::P521, "sha384") => &algorithms::ECDSA_P521_SHA384_ASN1_SIGNING,
        (Kind::P521, "sha512") => &algorithms::ECDSA_P521_SHA512_ASN1_SIGNING,
        _ => return Ok(Err(unsupported(hash))),
    };
    let key =
        EcdsaKeyPair::from_private_key_der(algorithm, key).map_err(|_| Status::BadArgument)?;
    let signed = key.sign(&random, text);
    Ok(signed
        .map(|signature| signature.as_ref().to_vec())
        .map_err(failed))
}

fn unsupported(hash: &str) -> String {
    let hash: String = hash.chars().take(32).collect();
    format!("{hash} is not supported for this key")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_their_kind() {
        // The beginnings of SubjectPublicKeyInfo.
        let rsa = b"\x30\x82\x01\x22\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
        assert_eq!(Kind::of(rsa), Some(Kind::Rsa));
        let p256 = b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07";
        assert_eq!(Kind::of(p256), Some(Kind::P256));
        assert_eq!(
            Kind::of(b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"),
            None
        );
        assert_eq!(Kind::of(b""), None);
    }

    #[test]
    fn what_is_signed_is_verified() {
        use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
        use aws_lc_rs::rsa::KeySize;
        use aws_lc_rs::signature::KeyPair;

        let check = |kind, hash, private: &[u8], public: &[u8]| {
            let signed = signature(private, hash, b"text").unwrap().unwrap();
            let key = ParsedPublicKey::new(verifier(kind, hash).unwrap(), public).unwrap();
            key.verify_sig(b"text", &signed).unwrap();
            key.verify_sig(b"other", &signed).unwrap_err();
        };
        let rsa = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = rsa.as_der().unwrap();
        for hash in ["sha256", "sha384", "sha512"] {
            check(Kind::Rsa, hash, private.as_ref(), rsa.public_key().as_ref());
        }
        assert!(
            signature(private.as_ref(), "sha1", b"text")
                .unwrap()
                .is_err()
        );
        for (kind, hash, algorithm) in [
            (
                Kind::P256,
                "sha256",
                &algorithms::ECDSA_P256_SHA256_ASN1_SIGNING,
            ),
            (
                Kind::P384,
                "sha384",
                &algorithms::ECDSA_P384_SHA384_ASN1_SIGNING,
            ),
            (
                Kind::P521,
                "sha512",
                &algorithms::ECDSA_P521_SHA512_ASN1_SIGNING,
            ),
        ] {
            let key = EcdsaKeyPair::generate(algorithm).unwrap();
            let private = key.to_pkcs8v1().unwrap();
            check(kind, hash, private.as_ref(), key.public_key().as_ref());
        }
        assert_eq!(
            signature(b"no key", "sha256", b"text"),
            Err(Status::BadArgument)
        );
    }

    #[test]
    fn one_key_is_wanted() {
        let pem = "-----BEGIN PUBLIC KEY-----\nAAEC\n-----END PUBLIC KEY-----\n";
        let sections = [SectionKind::PublicKey];
        assert_eq!(key(b"der", "", &sections), Ok(b"der".to_vec()));
        assert_eq!(key(b"", pem, &sections), Ok(vec![0, 1, 2]));
        let other = pem.replace("PUBLIC", "PRIVATE");
        for (der, pem) in [
            (&b""[..], ""),
            (b"der", pem),
            (b"", "no pem"),
            (b"", other.as_str()),
        ] {
            assert_eq!(key(der, pem, &sections), Err(Status::BadArgument));
        }
    }
}
