//! `@detectSQLi` and `@detectXSS`: libinjection.

use super::Found;

/// Whether libinjection takes the value for SQL; its fingerprint is capture 0.
pub(super) fn sqli(value: &[u8], found: &mut Found) -> bool {
    let result = libinjectionrs::detect_sqli(value);
    if result.is_injection() {
        found.at(0..value.len());
        if let Some(fingerprint) = &result.fingerprint {
            let name = fingerprint.as_str();
            found.capture_own(0, name.as_bytes());
        }
    }
    result.is_injection()
}

/// Whether libinjection takes the value for HTML with a script; the value is capture 0.
pub(super) fn xss(value: &[u8], found: &mut Found) -> bool {
    let matches = libinjectionrs::detect_xss(value).is_injection();
    if matches {
        found.whole(0..value.len());
    }
    matches
}
