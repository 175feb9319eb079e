//! What a plugin's grants say of the maps, buffers and properties of its exchange, and how a refused call is told.

use super::call::Call;
use crate::grants::{Access, Grants, ReadWrite};
use crate::host::Refusal;
use crate::wire::property::segments;
use crate::wire::types::{BufferType, MapType};

/// The grant for a map of the exchange, and where it stands in the configuration. `None`: a callout's map.
pub(super) fn headers(grants: &Grants, map: MapType) -> Option<(&ReadWrite<Access>, &'static str)> {
    match map {
        MapType::RequestHeaders | MapType::RequestTrailers => {
            Some((&grants.request_headers, "request"))
        }
        MapType::ResponseHeaders | MapType::ResponseTrailers => {
            Some((&grants.response_headers, "response"))
        }
        MapType::GrpcCallInitialMetadata
        | MapType::GrpcCallTrailingMetadata
        | MapType::HttpCallResponseHeaders
        | MapType::HttpCallResponseTrailers => None,
    }
}

/// Whether a header of an exchange, or any of a callout, may be read.
pub(super) fn reads_header(grants: &Grants, map: MapType, name: &[u8]) -> bool {
    headers(grants, map).is_none_or(|(access, _)| access.read.header(name))
}

/// The grant for a buffer of the exchange, and where it stands in the configuration. `None`: another's buffer.
pub(super) fn body(
    grants: &Grants,
    buffer: BufferType,
) -> Option<(&ReadWrite<bool>, &'static str)> {
    match buffer {
        BufferType::RequestBody | BufferType::DownstreamData => {
            Some((&grants.request_body, "request"))
        }
        BufferType::ResponseBody | BufferType::UpstreamData => {
            Some((&grants.response_body, "response"))
        }
        BufferType::HttpCallResponseBody
        | BufferType::GrpcCallMessage
        | BufferType::VmConfiguration
        | BufferType::PluginConfiguration
        | BufferType::CallData => None,
    }
}

/// Whether a property may be read: by its path, and by the header it shows, where it shows one.
pub(super) fn reads_property(grants: &Grants, path: &[u8]) -> bool {
    if grants.properties == Access::All
        && grants.request_headers.read == Access::All
        && grants.response_headers.read == Access::All
    {
        return true;
    }
    grants.properties.property(path)
        && match shown(path) {
            Shown::Nothing => true,
            Shown::RequestHeader(name) => grants.request_headers.read.header(name),
            Shown::RequestHeaders => grants.request_headers.read == Access::All,
            Shown::ResponseHeader(name) => grants.response_headers.read.header(name),
            Shown::ResponseHeaders => grants.response_headers.read == Access::All,
        }
}

/// What of the header maps a property shows.
#[derive(Debug, PartialEq, Eq)]
enum Shown<'a> {
    Nothing,
    RequestHeader(&'a [u8]),
    RequestHeaders,
    ResponseHeader(&'a [u8]),
    ResponseHeaders,
}

fn shown(path: &[u8]) -> Shown<'_> {
    let mut segments = segments(path);
    let (root, name) = (segments.next(), segments.next());
    let (Some(root), Some(name)) = (root, name) else {
        return match path {
            b"request" => Shown::RequestHeaders,
            b"response" => Shown::ResponseHeaders,
            _ => Shown::Nothing,
        };
    };
    match (root, name) {
        (b"request", b"headers") => segments
            .next()
            .map_or(Shown::RequestHeaders, Shown::RequestHeader),
        (b"request", b"host") => Shown::RequestHeader(b":authority"),
        (b"request", b"path" | b"url_path" | b"query") => Shown::RequestHeader(b":path"),
        (b"request", b"method") => Shown::RequestHeader(b":method"),
        (b"request", b"scheme") => Shown::RequestHeader(b":scheme"),
        (b"request", b"referer") => Shown::RequestHeader(b"referer"),
        (b"request", b"useragent") => Shown::RequestHeader(b"user-agent"),
        (b"request", b"id") => Shown::RequestHeader(b"x-request-id"),
        (b"portcullis", b"raw_target" | b"request_line") => Shown::RequestHeader(b":path"),
        (b"portcullis", b"raw_head") => Shown::RequestHeaders,
        (b"response", b"headers" | b"trailers") => segments
            .next()
            .map_or(Shown::ResponseHeaders, Shown::ResponseHeader),
        _ => Shown::Nothing,
    }
}

/// Tells that a call was refused, and the YAML that would allow it.
pub(super) fn refuse(call: &Call<'_>, name: &'static str, missing: String) {
    call.refused(Refusal::Grant {
        call: name,
        missing: format!("grants: {{ {missing} }}"),
    });
}

/// Names from a guest as one may paste them into YAML.
pub(super) fn scalar(name: &[u8]) -> String {
    let name = String::from_utf8_lossy(name);
    let plain = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_' | '.');
    if !name.is_empty() && name.chars().all(plain) {
        name.into_owned()
    } else {
        format!("{name:?}")
    }
}

/// A property's path as the configuration writes it.
pub(super) fn dotted(path: &[u8]) -> String {
    let dotted: Vec<_> = segments(path).map(String::from_utf8_lossy).collect();
    scalar(dotted.join(".").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_names_are_quoted() {
        assert_eq!(scalar(b"auth-1.svc"), "auth-1.svc");
        assert_eq!(scalar(b"a] }\n"), "\"a] }\\n\"");
        assert_eq!(scalar(b""), "\"\"");
        assert_eq!(dotted(b"request\0path"), "request.path");
    }

    #[test]
    fn properties_show_headers() {
        for (path, expected) in [
            ("request\0headers\0x-a", Shown::RequestHeader(b"x-a")),
            ("request\0headers", Shown::RequestHeaders),
            ("request", Shown::RequestHeaders),
            ("request\0query", Shown::RequestHeader(b":path")),
            ("response\0trailers\0a", Shown::ResponseHeader(b"a")),
            ("response\0code", Shown::Nothing),
            ("source\0address", Shown::Nothing),
        ] {
            assert_eq!(shown(path.as_bytes()), expected, "{path}");
        }
    }
}
