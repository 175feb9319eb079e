//! `portcullis.password_verify`: whether a password is the one that a hash was made of.
//!
//! Message: 1 password, 2 hash. Result: 1 whether it is, 2 why it cannot be said. Hashes: Argon2, scrypt and PBKDF2 as
//! PHC strings, bcrypt in its own form (`$2b$...`).

use argon2::password_hash::PasswordHash;
use argon2::{Argon2, PasswordVerifier};
use pbkdf2::Pbkdf2;
use portcullis_abi::wire::protobuf::{Malformed, fields, put_bytes, put_number};
use scrypt::Scrypt;

/// Memory that one hash may take, in bytes.
pub(super) const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// Blocks of memory that Argon2 and scrypt may go through, in KiB: about two seconds of a core.
const WORK_KIB_MAX: u64 = 2 << 20;

/// Rounds of PBKDF2: about two seconds of a core.
const ROUNDS_MAX: u32 = 5_000_000;

/// The logarithm of bcrypt's rounds: about two seconds of a core.
const BCRYPT_COST_MAX: u32 = 15;

const TOO_EXPENSIVE: &str = "the hash is too expensive to compute";
const UNKNOWN: &str = "unknown kind of hash";
const MALFORMED: &str = "malformed hash";

pub(super) fn verify(argument: &[u8]) -> Vec<u8> {
    let verified = match arguments(argument) {
        Ok((password, hash)) => matches(password, hash),
        Err(Malformed) => Err("malformed argument"),
    };
    let mut result = Vec::new();
    put_number(1, u64::from(verified == Ok(true)), &mut result);
    put_bytes(
        2,
        verified.err().unwrap_or_default().as_bytes(),
        &mut result,
    );
    result
}

fn arguments(argument: &[u8]) -> Result<(&[u8], &str), Malformed> {
    let (mut password, mut hash) = (&[][..], "");
    for field in fields(argument) {
        match field? {
            (1, value) => password = value.bytes()?,
            (2, value) => hash = value.text()?,
            _ => {}
        }
    }
    Ok((password, hash))
}

fn matches(password: &[u8], hash: &str) -> Result<bool, &'static str> {
    if hash.starts_with("$2") {
        return bcrypt_matches(password, hash);
    }
    let parsed = PasswordHash::new(hash).map_err(|_| MALFORMED)?;
    let verifier: &dyn PasswordVerifier = match parsed.algorithm.as_str() {
        "argon2id" | "argon2i" | "argon2d" => {
            let params = argon2::Params::try_from(&parsed).map_err(|_| MALFORMED)?;
            let kib = u64::from(params.m_cost());
            affordable(kib, kib.saturating_mul(params.t_cost().into()))?;
            &Argon2::default()
        }
        "scrypt" => {
            let params = scrypt::Params::try_from(&parsed).map_err(|_| MALFORMED)?;
            // N blocks of 128 r bytes, each written and read, p times.
            let blocks = 1_u64.checked_shl(params.log_n().into()).unwrap_or(u64::MAX);
            let kib = blocks.saturating_mul(params.r().into()) / 8;
            affordable(
                kib,
                kib.saturating_mul(u64::from(params.p()).saturating_mul(2)),
            )?;
            &Scrypt
        }
        "pbkdf2-sha256" | "pbkdf2-sha512" => {
            let params = pbkdf2::Params::try_from(&parsed).map_err(|_| MALFORMED)?;
            if params.rounds > ROUNDS_MAX {
                return Err(TOO_EXPENSIVE);
            }
            &Pbkdf2
        }
        _ => return Err(UNKNOWN),
    };
    match verifier.verify_password(password, &parsed) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::Password) => Ok(false),
        Err(_) => Err(MALFORMED),
    }
}

fn affordable(memory_kib: u64, work_kib: u64) -> Result<(), &'static str> {
    if memory_kib > MEMORY_BYTES_MAX >> 10 || work_kib > WORK_KIB_MAX {
        Err(TOO_EXPENSIVE)
    } else {
        Ok(())
    }
}

fn bcrypt_matches(password: &[u8], hash: &str) -> Result<bool, &'static str> {
    let cost = hash.get(4..6).and_then(|cost| cost.parse::<u32>().ok());
    if cost.ok_or(MALFORMED)? > BCRYPT_COST_MAX {
        return Err(TOO_EXPENSIVE);
    }
    bcrypt::verify(password, hash).map_err(|_| MALFORMED)
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHasher, Salt};

    use super::*;

    fn ask(password: &[u8], hash: &str) -> Vec<u8> {
        let mut argument = Vec::new();
        put_bytes(1, password, &mut argument);
        put_bytes(2, hash.as_bytes(), &mut argument);
        verify(&argument)
    }

    fn failure(why: &str) -> Vec<u8> {
        let mut result = Vec::new();
        put_bytes(2, why.as_bytes(), &mut result);
        result
    }

    const YES: &[u8] = &[8, 1];
    const NO: &[u8] = &[];

    #[test]
    fn every_kind_of_hash_tells_the_password_from_others() {
        let salt = Salt::from_b64("c2FsdHNhbHRzYWx0").unwrap();
        let password = b"correct horse";
        let params = argon2::Params::new(64, 1, 1, None).unwrap();
        let argon2 = |kind| Argon2::new(kind, argon2::Version::V0x13, params.clone());
        let hash = |hasher: Argon2<'_>| hasher.hash_password(password, salt).unwrap().to_string();
        let scrypt = scrypt::Params::new(4, 8, 1, 32).unwrap();
        let scrypt = Scrypt.hash_password_customized(password, None, None, scrypt, salt);
        let rounds = pbkdf2::Params {
            rounds: 1000,
            output_length: 32,
        };
        let pbkdf2 = Pbkdf2.hash_password_customized(password, None, None, rounds, salt);
        for hash in [
            hash(argon2(argon2::Algorithm::Argon2id)),
            hash(argon2(argon2::Algorithm::Argon2i)),
            scrypt.unwrap().to_string(),
            pbkdf2.unwrap().to_string(),
            bcrypt::hash_with_salt(password, 4, [7; 16])
                .unwrap()
                .to_string(),
        ] {
            assert_eq!(ask(password, &hash), YES, "{hash}");
            assert_eq!(ask(b"wrong", &hash), NO, "{hash}");
        }
    }

    /// Hashes that other programs made.
    #[test]
    fn hashes_of_others_are_understood() {
        // The test vectors of jBCrypt and of the reference implementation of Argon2.
        let bcrypt = "$2a$06$m0CrhHm10qJ3lXRY.5zDGO3rS2KdeeWLuGmsfGlMfOxih58VYVfxe";
        assert_eq!(ask(b"a", bcrypt), YES);
        let argon2 = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
        assert_eq!(ask(b"password", argon2), YES);
    }

    #[test]
    fn what_costs_too_much_is_not_computed() {
        for hash in [
            "$argon2id$v=19$m=1048576,t=1,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$argon2id$v=19$m=65536,t=1000,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$scrypt$ln=24,r=8,p=1$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$pbkdf2-sha256$i=900000000,l=32$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "$2b$31$......................AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(ask(b"a", hash), failure(TOO_EXPENSIVE), "{hash}");
        }
    }

    #[test]
    fn what_is_no_hash_is_said() {
        for (hash, why) in [
            ("", MALFORMED),
            ("secret", MALFORMED),
            ("$2b$xx$", MALFORMED),
            ("$2b$04$short", MALFORMED),
            ("$md5$c2FsdHNhbHRzYWx0$AAAAAAAAAAAAAAAAAAAAAA", UNKNOWN),
        ] {
            assert_eq!(ask(b"a", hash), failure(why), "{hash}");
        }
        assert_eq!(verify(b"\x0a\x05a"), failure("malformed argument"));
    }
}
