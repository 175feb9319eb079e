//! What a proxy changes of the messages it forwards (RFC 9110 section 7.6).

use http::header::{CONNECTION, HOST, HeaderName, HeaderValue, TE, UPGRADE, VIA};
use http::{HeaderMap, Version};
use pingora_error::{Error, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader};
use pingora_proxy::Session;

use super::Context;
use crate::route::normalize_path;

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
const FORWARDED_HOST: &str = "x-forwarded-host";

/// Fields that end at each hop whether or not Connection names them.
const HOP_BY_HOP: [&str; 5] = [
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "http2-settings",
];

/// What Connection names (RFC 9110 section 7.6.1), bar what it may not name.
fn nominated(headers: &HeaderMap) -> Vec<HeaderName> {
    let tokens = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok());
    tokens
        .flat_map(|value| value.split(','))
        .filter_map(|token| HeaderName::from_bytes(token.trim().as_bytes()).ok())
        .filter(|name| {
            !matches!(
                name.as_str(),
                "close"
                    | "upgrade"
                    | "host"
                    | "x-forwarded-for"
                    | "x-forwarded-host"
                    | "x-forwarded-proto"
                    | "content-length"
                    | "transfer-encoding"
                    | "te"
            )
        })
        .collect()
}

/// Drops what the client meant for this hop, before guests see the request: what a guest then adds under such a name
/// reaches the origin.
pub(super) fn strip_request(head: &mut RequestHeader) {
    for name in nominated(&head.headers) {
        head.remove_header(&name);
    }
    for name in HOP_BY_HOP {
        head.remove_header(name);
    }
    let upgrade = head.headers.contains_key(UPGRADE);
    if head.headers.contains_key(CONNECTION) {
        if upgrade {
            let _ = head.insert_header(CONNECTION, "upgrade");
        } else {
            head.remove_header(&CONNECTION);
        }
    }
}

/// Drops what the origin meant for this hop.
pub(super) fn strip_response(head: &mut ResponseHeader) {
    if head.status == http::StatusCode::SWITCHING_PROTOCOLS {
        return;
    }
    for name in nominated(&head.headers) {
        head.remove_header(&name);
    }
    for name in HOP_BY_HOP {
        // An origin may ask its client for credentials, also through us.
        if name != "proxy-authenticate" {
            head.remove_header(name);
        }
    }
    head.remove_header(&CONNECTION);
    head.remove_header(&UPGRADE);
}

/// Writes what the origin is to know of the hop before it.
///
/// # Errors
/// Where a filter left the request without a usable authority.
pub(super) fn request(
    session: &Session,
    request: &mut RequestHeader,
    context: &Context,
) -> Result<()> {
    let original = session.req_header();
    let host = crate::exchange::authority(request).to_vec();
    one_host(request, &host)?;
    forwarded(request, context, &host)?;
    request.append_header(VIA, via(original.version))?;
    request.insert_header("x-request-id", context.request_id.as_str())?;
    // Sessions with a chain go a way on which Pingora drops it, and gRPC needs it.
    let trailers = original
        .headers
        .get(TE)
        .is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"trailers"));
    if trailers && request.version == Version::HTTP_2 {
        request.insert_header(TE, "trailers")?;
    }
    Ok(())
}

/// One Host, equal to the target's authority.
fn one_host(request: &mut RequestHeader, host: &[u8]) -> Result<()> {
    if host.is_empty() {
        // HTTP/1.0 may go without; the origin is asked in HTTP/1.1, where it may be empty.
        request.insert_header(HOST, "")?;
        return Ok(());
    }
    let value = HeaderValue::from_bytes(host)
        .ok()
        .filter(|_| http::uri::Authority::try_from(host).is_ok());
    let Some(value) = value else {
        return Err(Error::explain(
            ErrorType::HTTPStatus(400),
            "the request's authority is unusable",
        )
        .into_down());
    };
    request.insert_header(HOST, value)
}

/// Puts the target into the one form that routes, guests and the origin see: origin form (an absolute one would carry
/// the authority a second time), its path normalised.
///
/// # Errors
/// Where two parsers may read the path differently: 400.
pub(super) fn normalize_target(head: &mut RequestHeader) -> Result<()> {
    let refused = |why: String| Error::explain(ErrorType::HTTPStatus(400), why).into_down();
    let raw = head.raw_path();
    if raw == b"*" {
        return Ok(());
    }
    let absolute = (!raw.starts_with(b"/")).then(|| origin_form(raw));
    let target = absolute.as_deref().unwrap_or(raw);
    let target =
        std::str::from_utf8(target).map_err(|_| refused("the target is not UTF-8".to_owned()))?;
    let (path, query) = target
        .split_once('?')
        .map_or((target, None), |(path, query)| (path, Some(query)));
    let normal = normalize_path(path).map_err(|error| refused(error.to_string()))?;
    let changed = absolute.is_some() || normal.as_ref() != path;
    if changed {
        let target = query.map_or_else(|| normal.to_string(), |query| format!("{normal}?{query}"));
        head.set_raw_path(target.as_bytes())?;
    }
    Ok(())
}

fn origin_form(target: &[u8]) -> Vec<u8> {
    let after_scheme = target
        .windows(3)
        .position(|window| window == b"://")
        .map_or(target, |at| &target[at + 3..]);
    match after_scheme
        .iter()
        .position(|byte| matches!(byte, b'/' | b'?'))
    {
        Some(at) if after_scheme[at] == b'/' => after_scheme[at..].to_vec(),
        Some(at) => [b"/", &after_scheme[at..]].concat(),
        None => b"/".to_vec(),
    }
}

/// X-Forwarded-*: appended to what a trusted hop wrote, in place of what anybody else did.
fn forwarded(request: &mut RequestHeader, context: &Context, host: &[u8]) -> Result<()> {
    let connection = &context.connection;
    let peer = connection.peer.ip().to_canonical();
    let trusted = connection
        .listener
        .config
        .client_ip
        .as_ref()
        .is_some_and(|settings| {
            settings
                .trusted
                .iter()
                .any(|network| network.contains(peer))
        });
    let hops = request
        .headers
        .get_all(FORWARDED_FOR)
        .iter()
        .filter_map(|value| value.to_str().ok());
    let hops = if trusted {
        hops.collect::<Vec<_>>().join(", ")
    } else {
        String::new()
    };
    let hops = if hops.is_empty() {
        peer.to_string()
    } else {
        format!("{hops}, {peer}")
    };
    request.insert_header(FORWARDED_FOR, hops)?;
    let scheme = if connection.tls.is_some() {
        "https"
    } else {
        "http"
    };
    if !trusted || !request.headers.contains_key(FORWARDED_PROTO) {
        request.insert_header(FORWARDED_PROTO, scheme)?;
    }
    if !trusted || !request.headers.contains_key(FORWARDED_HOST) {
        if host.is_empty() {
            request.remove_header(FORWARDED_HOST);
        } else {
            request.insert_header(
                FORWARDED_HOST,
                HeaderValue::from_bytes(host).map_err(|_| {
                    Error::explain(
                        ErrorType::HTTPStatus(400),
                        "the request's authority is unusable",
                    )
                    .into_down()
                })?,
            )?;
        }
    }
    Ok(())
}

fn via(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 | Version::HTTP_10 => "1.0 portcullis",
        Version::HTTP_2 => "2 portcullis",
        _ => "1.1 portcullis",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_connection_names_goes_before_guests_add_their_own() {
        let mut head = RequestHeader::build("GET", b"/", None).expect("a head");
        for (name, value) in [
            ("connection", "close, X-User, host"),
            ("x-user", "spoofed"),
            ("host", "a"),
            ("keep-alive", "5"),
        ] {
            head.append_header(name.to_owned(), value)
                .expect("a header");
        }
        strip_request(&mut head);
        assert!(head.headers.get("x-user").is_none());
        assert!(head.headers.get("connection").is_none());
        assert!(head.headers.get("keep-alive").is_none());
        assert_eq!(head.headers["host"], "a");
    }

    #[test]
    fn an_upgrade_survives() {
        let mut head = RequestHeader::build("GET", b"/", None).expect("a head");
        head.append_header("connection", "Upgrade, x-a")
            .expect("a header");
        head.append_header("upgrade", "websocket")
            .expect("a header");
        strip_request(&mut head);
        assert_eq!(head.headers["connection"], "upgrade");
        assert_eq!(head.headers["upgrade"], "websocket");
    }

    #[test]
    fn absolute_targets_become_origin_form() {
        assert_eq!(origin_form(b"http://a/b?c"), b"/b?c");
        assert_eq!(origin_form(b"http://a?c"), b"/?c");
        assert_eq!(origin_form(b"http://a"), b"/");
    }
}
