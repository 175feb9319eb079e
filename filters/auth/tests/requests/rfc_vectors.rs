//! The examples of RFC 7515 appendix A and RFC 8037 appendix A.4, as they stand there.

use crate::signer::{self, Sign, jwks};
use portcullis_filter_auth::policy::Policy;
use portcullis_filter_auth::token::{Flaw, verified_payload};
use serde_json::json;

/// The payload of A.1 to A.3, CR LF within.
const PAYLOAD: &str =
    "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
const PAYLOAD_ENCODED: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

/// (section, header, payload, signature)
const VECTORS: [(&str, &str, &str, &str); 4] = [
    (
        "RFC 7515 A.1, HS256",
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9",
        PAYLOAD_ENCODED,
        "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    ),
    (
        "RFC 7515 A.2, RS256",
        "eyJhbGciOiJSUzI1NiJ9",
        PAYLOAD_ENCODED,
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    ),
    (
        "RFC 7515 A.3, ES256",
        "eyJhbGciOiJFUzI1NiJ9",
        PAYLOAD_ENCODED,
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    ),
    (
        "RFC 8037 A.4, EdDSA",
        "eyJhbGciOiJFZERTQSJ9",
        "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    ),
];

fn policy() -> Policy {
    let configuration = json!({"jwt": {"jwks": jwks()}});
    Policy::parse(configuration.to_string().as_bytes()).expect("a good configuration")
}

#[test]
fn every_example_verifies() {
    let jwt = policy().jwt.expect("a method");
    assert_eq!(jwt.keys.len(), 4);
    for (section, header, payload, signature) in VECTORS {
        let token = format!("{header}.{payload}.{signature}");
        let found = verified_payload(token.as_bytes(), &jwt.keys);
        assert_eq!(
            found.as_deref(),
            Ok(signer::decode(payload).as_slice()),
            "{section}"
        );
    }
    assert_eq!(signer::decode(PAYLOAD_ENCODED), PAYLOAD.as_bytes());
}

#[test]
fn no_example_verifies_with_any_bit_of_its_signature_turned() {
    let jwt = policy().jwt.expect("a method");
    for (section, header, payload, signature) in VECTORS {
        let signature = signer::decode(signature);
        for bit in (0..signature.len() * 8).step_by(5) {
            let mut turned = signature.clone();
            turned[bit / 8] ^= 1 << (bit % 8);
            let token = format!("{header}.{payload}.{}", signer::encode(&turned));
            assert_eq!(
                verified_payload(token.as_bytes(), &jwt.keys),
                Err(Flaw::Signature),
                "{section}, bit {bit}"
            );
        }
    }
}

#[test]
fn no_example_verifies_for_another_payload() {
    let jwt = policy().jwt.expect("a method");
    for (section, header, _, signature) in VECTORS {
        let token = format!("{header}.{}.{signature}", signer::encode("{}"));
        assert_eq!(
            verified_payload(token.as_bytes(), &jwt.keys),
            Err(Flaw::Signature),
            "{section}"
        );
    }
}

#[test]
fn the_signer_of_the_other_tests_makes_these_signatures() {
    for ((section, header, payload, signature), sign) in
        VECTORS
            .into_iter()
            .zip([Sign::Hs256, Sign::Rs256, Sign::Es256, Sign::EdDsa])
    {
        let made = signer::signature(format!("{header}.{payload}").as_bytes(), sign);
        // ECDSA in the RFC was not deterministic.
        if !matches!(sign, Sign::Es256) {
            assert_eq!(signer::encode(made), signature, "{section}");
        }
    }
}
