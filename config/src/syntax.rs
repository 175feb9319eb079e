//! What names, hosts, paths and headers may look like.
//!
//! Every check answers its reason (to follow the text) and the way out, so that no value ends up in an error by itself.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::model::{EndpointHost, HostPattern};

/// Longest name of a filter, route, upstream, chain or listener, characters. They end up in log lines and labels.
const NAME_CHARS_MAX: usize = 128;
/// Longest host name (RFC 1035, section 2.3.4, less the length bytes).
const HOST_BYTES_MAX: usize = 253;
/// Longest label of a host name (RFC 1035, section 2.3.4).
const LABEL_BYTES_MAX: usize = 63;

/// What is wrong, and the way out.
pub(crate) type Refusal = (&'static str, &'static str);

pub(crate) fn name(text: &str) -> Result<(), Refusal> {
    const HINT: &str = "a name has 1 to 128 characters and no control characters";
    if text.trim().is_empty() {
        return Err(("is empty", HINT));
    }
    if text.chars().count() > NAME_CHARS_MAX {
        return Err(("is too long", HINT));
    }
    if text.contains(char::is_control) {
        return Err(("holds control characters", HINT));
    }
    Ok(())
}

/// A pattern of the Host header: `api.example.com`, `*.example.com`, `[::1]`.
pub(crate) fn host_pattern(text: &str) -> Result<HostPattern, Refusal> {
    if text == "*" {
        return Err(("is no host", "leave out `host` to match every host"));
    }
    match text.strip_prefix("*.") {
        Some(rest) => Ok(HostPattern::Wildcard(format!(".{}", host(rest)?))),
        None => Ok(HostPattern::Exact(host(text)?)),
    }
}

/// A host as a Host header has it, without a port, in lower case.
pub(crate) fn host(text: &str) -> Result<String, Refusal> {
    if text.contains('/') {
        return Err((
            "is not a host",
            "leave out the scheme and the path: api.example.com",
        ));
    }
    if text.contains('*') {
        return Err((
            "has its wildcard in the wrong place",
            "a wildcard stands for the first labels only: *.example.com",
        ));
    }
    if let Some(inner) = text.strip_prefix('[') {
        let address = inner
            .strip_suffix(']')
            .and_then(|inner| inner.parse::<Ipv6Addr>().ok());
        return match address {
            Some(address) => Ok(format!("[{address}]")),
            None => Err((
                "is not an IPv6 address in brackets",
                "write \"[::1]\", without a port",
            )),
        };
    }
    if text.parse::<Ipv6Addr>().is_ok() {
        return Err(("is an IPv6 address without brackets", "write \"[::1]\""));
    }
    if text.contains(':') {
        return Err((
            "has a port",
            "leave out the port: hosts match on every port",
        ));
    }
    host_name(text)
}

/// A host name or an IPv4 address, in lower case.
fn host_name(text: &str) -> Result<String, Refusal> {
    if text.is_empty() {
        return Err((
            "is an empty host",
            "write a host name, such as api.example.com",
        ));
    }
    if !text.is_ascii() {
        return Err((
            "is not an ASCII host name",
            "write international names in their xn-- form",
        ));
    }
    if text.ends_with('.') {
        return Err(("ends in a dot", "leave out the last dot"));
    }
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if text.len() > HOST_BYTES_MAX || !text.split('.').all(is_label) {
        return Err((
            "is not a host name",
            "a host name has labels of letters, digits and - between single dots",
        ));
    }
    if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') && text.parse::<IpAddr>().is_err() {
        return Err((
            "is not an IP address",
            "an IPv4 address has four numbers from 0 to 255",
        ));
    }
    Ok(text.to_ascii_lowercase())
}

/// Host and port of an origin: `origin:9000`, `10.0.0.7:80`, `[::1]:9000`.
pub(crate) fn endpoint(text: &str) -> Result<(EndpointHost, u16), Refusal> {
    const FORMS: &str = "write a host and a port: origin:9000, 10.0.0.7:80 or \"[::1]:9000\"";
    if text.contains("://") {
        return Err((
            "has a scheme",
            "leave out the scheme: host and port are enough",
        ));
    }
    let (host, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (EndpointHost::Address(address.ip()), address.port()),
        Err(_) => {
            if text.parse::<Ipv6Addr>().is_ok()
                || text.matches(':').count() > 1 && !text.starts_with('[')
            {
                return Err(("is an IPv6 address without brackets", FORMS));
            }
            if text.starts_with('[') && !text.contains("]:") {
                return Err(("has no port", FORMS));
            }
            let (host, port) = text.rsplit_once(':').ok_or(("has no port", FORMS))?;
            let port = port.parse().map_err(|_| ("has no valid port", FORMS))?;
            let name = host_name(host)?;
            (EndpointHost::Name(name), port)
        }
    };
    if port == 0 {
        return Err(("has port 0", "a port goes from 1 to 65535"));
    }
    Ok((host, port))
}

/// A host, with or without a port, as clients of the administration address may name it.
pub(crate) fn authority(text: &str) -> Result<String, Refusal> {
    if text.contains('/') {
        return host(text);
    }
    let port_at = text.rfind(':').filter(|at| !text[*at..].contains(']'));
    match port_at {
        Some(at) if text.parse::<Ipv6Addr>().is_err() => {
            let port: u16 = text[at + 1..]
                .parse()
                .map_err(|_| ("has no valid port", "a port goes from 1 to 65535"))?;
            Ok(format!("{}:{port}", host(&text[..at])?))
        }
        _ => host(text),
    }
}

/// A path that a normalised request target can have (RFC 3986, section 3.3).
pub(crate) fn path(text: &str) -> Result<(), Refusal> {
    if !text.starts_with('/') {
        return Err((
            "does not begin with a slash",
            "paths begin with a slash: /v1",
        ));
    }
    if text.contains(['?', '#']) {
        return Err((
            "is more than a path",
            "routes look at the path only; leave out the query and the fragment",
        ));
    }
    if !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err((
            "holds characters that no request path has",
            "write them percent-encoded, as %20 for a blank",
        ));
    }
    if text
        .split('/')
        .any(|segment| segment == "." || segment == "..")
    {
        return Err((
            "holds . or .. segments",
            "paths are compared after these are resolved; write the resolved path",
        ));
    }
    Ok(())
}

/// A method (RFC 9110, section 9.1), in upper case.
pub(crate) fn method(text: &str) -> Result<String, Refusal> {
    match is_token(text) {
        true => Ok(text.to_ascii_uppercase()),
        false => Err((
            "is not a method",
            "write a method, such as GET, or a list of methods",
        )),
    }
}

/// A header name (RFC 9110, section 5.1), in lower case.
pub(crate) fn header_name(text: &str) -> Result<String, Refusal> {
    if text.starts_with(':') {
        return Err((
            "is a pseudo-header, not a header",
            "use `host`, `path` or `method` of the route's match",
        ));
    }
    match is_token(text) {
        true => Ok(text.to_ascii_lowercase()),
        false => Err((
            "is not a header name",
            "a header name has letters, digits and - only, no blanks or colons",
        )),
    }
}

/// A header value (RFC 9110, section 5.5).
pub(crate) fn header_value(text: &str) -> Result<(), Refusal> {
    match text.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f)) {
        true => Ok(()),
        false => Err((
            "is not a header value",
            "a header value has no line breaks and no control characters",
        )),
    }
}

/// A token (RFC 9110, section 5.6.2).
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason<T>(result: Result<T, Refusal>) -> &'static str {
        result.map_or_else(|(reason, _)| reason, |_| "good")
    }

    #[test]
    fn names() {
        for (text, expected) in [
            ("a b/ü", "good"),
            ("", "is empty"),
            ("  ", "is empty"),
            ("a\nb", "holds control characters"),
        ] {
            assert_eq!(reason(name(text)), expected, "{text:?}");
        }
        assert_eq!(reason(name(&"ü".repeat(128))), "good");
        assert_eq!(reason(name(&"a".repeat(129))), "is too long");
    }

    #[test]
    fn host_patterns() {
        assert_eq!(
            host_pattern("API.Example.com"),
            Ok(HostPattern::Exact("api.example.com".into()))
        );
        assert_eq!(
            host_pattern("*.Example.com"),
            Ok(HostPattern::Wildcard(".example.com".into()))
        );
        assert_eq!(
            host_pattern("[0::1]"),
            Ok(HostPattern::Exact("[::1]".into()))
        );
        assert_eq!(
            host_pattern("10.0.0.1"),
            Ok(HostPattern::Exact("10.0.0.1".into()))
        );
        for (text, expected) in [
            ("*", "is no host"),
            ("", "is an empty host"),
            ("*.", "is an empty host"),
            ("a.*.com", "has its wildcard in the wrong place"),
            ("*.*.com", "has its wildcard in the wrong place"),
            ("*a.com", "has its wildcard in the wrong place"),
            ("http://a.com", "is not a host"),
            ("a.com:80", "has a port"),
            ("::1", "is an IPv6 address without brackets"),
            ("[::1]:80", "is not an IPv6 address in brackets"),
            ("a.com.", "ends in a dot"),
            ("a..com", "is not a host name"),
            ("a b.com", "is not a host name"),
            ("bücher.de", "is not an ASCII host name"),
            ("1.2.3.400", "is not an IP address"),
        ] {
            assert_eq!(reason(host_pattern(text)), expected, "{text:?}");
        }
        assert_eq!(reason(host_pattern(&"a".repeat(64))), "is not a host name");
        assert_eq!(
            reason(host_pattern(&["a"; 130].join("."))),
            "is not a host name"
        );
    }

    #[test]
    fn endpoints() {
        let address = |text: &str| {
            text.parse()
                .map(EndpointHost::Address)
                .map_err(|_| ("", ""))
        };
        assert_eq!(
            endpoint("127.0.0.1:9000"),
            address("127.0.0.1").map(|host| (host, 9000))
        );
        assert_eq!(
            endpoint("[::1]:9000"),
            address("::1").map(|host| (host, 9000))
        );
        assert_eq!(
            endpoint("Auth:9001"),
            Ok((EndpointHost::Name("auth".into()), 9001))
        );
        for (text, expected) in [
            ("origin", "has no port"),
            ("127.0.0.1", "has no port"),
            ("[::1]", "has no port"),
            ("::1", "is an IPv6 address without brackets"),
            ("::1:9000", "is an IPv6 address without brackets"),
            ("http://origin:9000", "has a scheme"),
            ("origin:http", "has no valid port"),
            ("origin:65536", "has no valid port"),
            ("origin:", "has no valid port"),
            ("origin:0", "has port 0"),
            (":9000", "is an empty host"),
            ("256.0.0.1:80", "is not an IP address"),
        ] {
            assert_eq!(reason(endpoint(text)), expected, "{text:?}");
        }
    }

    #[test]
    fn authorities() {
        for (text, expected) in [
            ("Admin.local", "admin.local"),
            ("admin:9901", "admin:9901"),
            ("[::1]:9901", "[::1]:9901"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(authority(text).as_deref(), Ok(expected));
        }
        for text in ["", "http://a", "a:b", "a:99999", "::1", "*.a", "[::1"] {
            assert!(authority(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_methods_headers() {
        for text in ["/", "/v1", "/a%20b", "/a/.../b"] {
            assert!(path(text).is_ok(), "{text}");
        }
        for text in [
            "", "v1", "/a?b", "/a#b", "/a b", "/ü", "/a/../b", "/.", "/\u{7f}",
        ] {
            assert!(path(text).is_err(), "{text}");
        }
        assert_eq!(method("get").as_deref(), Ok("GET"));
        assert!(method("GE T").is_err() && method("").is_err());
        assert_eq!(
            header_name("X-Forwarded-For").as_deref(),
            Ok("x-forwarded-for")
        );
        assert!(
            [":path", "a b", "a:", "", "ü"]
                .iter()
                .all(|name| header_name(name).is_err())
        );
        assert!(header_value("a\tb ü").is_ok());
        assert!(
            ["a\nb", "a\rb", "a\0", "\u{7f}"]
                .iter()
                .all(|value| header_value(value).is_err())
        );
    }
}
