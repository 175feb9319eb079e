//! The authority of a request: Host, and an absolute-form target that must say the same.

use super::super::refusal::Refusal;

/// Longest name in the DNS, plus brackets or a port (RFC 1035, 2.3.4).
const AUTHORITY_BYTES_MAX: usize = 255 + 8;

/// Whether `value` is a host name or address with an optional port, and nothing that two parsers may read differently.
///
/// Narrower than RFC 3986, 3.2.2: no userinfo, no percent-encoding, no sub-delims, no empty host and no empty port. Names
/// are letters, digits, `-`, `_` and `.`.
pub(super) fn is_valid(value: &[u8]) -> bool {
    if value.len() > AUTHORITY_BYTES_MAX {
        return false;
    }
    let (host_is_valid, rest) = match value.first() {
        Some(b'[') => {
            let Some(end) = value.iter().position(|&b| b == b']') else {
                return false;
            };
            (is_ipv6(&value[1..end]), &value[end + 1..])
        }
        _ => {
            let end = value.iter().position(|&b| b == b':').unwrap_or(value.len());
            (is_name(&value[..end]), &value[end..])
        }
    };
    host_is_valid && (rest.is_empty() || rest.strip_prefix(b":").is_some_and(is_port))
}

fn is_name(host: &[u8]) -> bool {
    !host.is_empty()
        && host[0] != b'.'
        && !host.windows(2).any(|pair| pair == b"..")
        && host
            .iter()
            .all(|&b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn is_ipv6(host: &[u8]) -> bool {
    std::str::from_utf8(host).is_ok_and(|text| text.parse::<std::net::Ipv6Addr>().is_ok())
}

fn is_port(digits: &[u8]) -> bool {
    (1..=5).contains(&digits.len())
        && digits.iter().all(u8::is_ascii_digit)
        && digits
            .iter()
            .fold(0_u32, |port, &b| port * 10 + u32::from(b - b'0'))
            <= u32::from(u16::MAX)
}

/// The form of a request target (RFC 9112, 3.2), as far as it may be told from the target alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// `/path?query`.
    Origin,
    /// `http://authority/...`: the authority as written.
    Absolute(&'a [u8]),
    /// `*`.
    Asterisk,
}

/// Tells the form of a target whose bytes are visible already.
pub(super) fn target_form(target: &[u8]) -> Result<Target<'_>, Refusal> {
    match target {
        [b'/', ..] => Ok(Target::Origin),
        b"*" => Ok(Target::Asterisk),
        _ => {
            let authority = scheme_stripped(target).ok_or(Refusal::TargetForm)?;
            // A backslash ends the authority for some parsers, `/`, `?` and `#` for all; `is_valid` refuses what is left in.
            let end = authority
                .iter()
                .position(|b| matches!(b, b'/' | b'?'))
                .unwrap_or(authority.len());
            let authority = &authority[..end];
            if is_valid(authority) {
                Ok(Target::Absolute(authority))
            } else {
                Err(Refusal::TargetForm)
            }
        }
    }
}

fn scheme_stripped(target: &[u8]) -> Option<&[u8]> {
    let colon = target.iter().take(6).position(|&b| b == b':')?;
    let (scheme, rest) = target.split_at(colon);
    let known = scheme.eq_ignore_ascii_case(b"http") || scheme.eq_ignore_ascii_case(b"https");
    known.then(|| rest.strip_prefix(b"://")).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses() {
        for good in [
            "a",
            "a.example",
            "A.example.:8443",
            "my_host",
            "127.0.0.1:1",
            "[::1]",
            "[2001:db8::7]:443",
            "xn--a:0",
        ] {
            assert!(is_valid(good.as_bytes()), "{good}");
        }
        for bad in [
            "", ":80", "a:", "a:65536", "a:+1", "a:1:2", "a b", "a,b", "a/b", "a\\b", "u@a",
            "a%41", "[::1", "::1", "[::1]x", "[]", "[v1.a]", "a\u{e9}", ".", ".a", "a..b",
            "a:000080",
        ] {
            assert!(!is_valid(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn target_forms() {
        assert_eq!(target_form(b"/a"), Ok(Target::Origin));
        assert_eq!(target_form(b"*"), Ok(Target::Asterisk));
        assert_eq!(target_form(b"HTTP://a:1/x"), Ok(Target::Absolute(b"a:1")));
        assert_eq!(target_form(b"https://a?x"), Ok(Target::Absolute(b"a")));
        for bad in [
            "a",
            "a:80",
            "http:/a",
            "http:///a",
            "ftp://a/",
            "http://u@a/",
            "http://a\\@b/",
            "**",
            "?x",
            "http:\\\\a",
        ] {
            assert_eq!(
                target_form(bad.as_bytes()),
                Err(Refusal::TargetForm),
                "{bad}"
            );
        }
    }
}
