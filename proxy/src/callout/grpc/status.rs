//! How a call ended, as a code of gRPC.

use http::{HeaderMap, StatusCode};

use super::GrpcError;
use crate::callout::connections::ConnectError;
use crate::callout::root_cause;

const OK: u32 = 0;
const CANCELLED: u32 = 1;
const UNKNOWN: u32 = 2;
const DEADLINE_EXCEEDED: u32 = 4;
const PERMISSION_DENIED: u32 = 7;
const RESOURCE_EXHAUSTED: u32 = 8;
const UNIMPLEMENTED: u32 = 12;
const INTERNAL: u32 = 13;
const UNAVAILABLE: u32 = 14;
const UNAUTHENTICATED: u32 = 16;

/// What the origin said at the end.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) status: u32,
    pub(super) message: String,
}

impl Said {
    pub(super) fn is_ok(&self) -> bool {
        self.status == OK
    }

    /// `grpc-status` and `grpc-message` of trailers, or of a head that takes their place. `None`: there is no status.
    pub(super) fn of(fields: &HeaderMap) -> Option<Self> {
        let status = fields.get("grpc-status")?.to_str().ok();
        let known = status
            .and_then(|status| status.parse().ok())
            .filter(|status| *status <= UNAUTHENTICATED);
        let message = fields.get("grpc-message").map(|value| value.as_bytes());
        Some(Self {
            status: known.unwrap_or(UNKNOWN),
            message: percent_decoded(message.unwrap_or_default()),
        })
    }
}

/// What is no escape stays as it is ("gRPC over HTTP2", Status-Message).
fn percent_decoded(mut text: &[u8]) -> String {
    let mut decoded = Vec::with_capacity(text.len());
    while let Some((byte, rest)) = text.split_first() {
        let escaped = rest.get(..2).filter(|_| *byte == b'%');
        let value = escaped
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        decoded.push(value.unwrap_or(*byte));
        text = if value.is_some() { &rest[2..] } else { rest };
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

impl GrpcError {
    /// The code a guest is given.
    pub(super) fn status(&self) -> u32 {
        match self {
            Self::NoneHealthy | Self::NotHttp2 => UNAVAILABLE,
            Self::Connect(ConnectError::TimedOut) | Self::Connect(_) => UNAVAILABLE,
            Self::TimedOut => DEADLINE_EXCEEDED,
            Self::Broken(error) => of_broken(error),
            Self::Http(status) => of_http(*status),
            Self::TooLarge => RESOURCE_EXHAUSTED,
            Self::NotGrpc | Self::NoStatus => UNKNOWN,
            Self::Invalid(_)
            | Self::Compressed
            | Self::CutOff
            | Self::NoMessage
            | Self::SecondMessage => INTERNAL,
        }
    }

    /// The text a guest is given.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Broken(error) => root_cause(error),
            other => other.to_string(),
        }
    }
}

/// The table "HTTP to gRPC Status Code Mapping" of gRPC.
fn of_http(status: StatusCode) -> u32 {
    match status.as_u16() {
        400 => INTERNAL,
        401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        404 => UNIMPLEMENTED,
        429 | 502 | 503 | 504 => UNAVAILABLE,
        _ => UNKNOWN,
    }
}

/// The table of HTTP/2 error codes in "gRPC over HTTP2"; a connection that broke is an origin that is not there.
fn of_broken(error: &hyper::Error) -> u32 {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let reset = loop {
        match cause {
            Some(error) => match error.downcast_ref::<h2::Error>() {
                Some(error) => break Some(error),
                None => cause = error.source(),
            },
            None => break None,
        }
    };
    let Some(reason) = reset
        .filter(|error| error.is_reset())
        .and_then(h2::Error::reason)
    else {
        return UNAVAILABLE;
    };
    match reason {
        h2::Reason::REFUSED_STREAM => UNAVAILABLE,
        h2::Reason::CANCEL => CANCELLED,
        h2::Reason::ENHANCE_YOUR_CALM => RESOURCE_EXHAUSTED,
        h2::Reason::INADEQUATE_SECURITY => PERMISSION_DENIED,
        _ => INTERNAL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(status: &str, message: &str) -> Said {
        let mut fields = HeaderMap::new();
        fields.insert("grpc-status", status.parse().unwrap());
        fields.insert("grpc-message", message.parse().unwrap());
        Said::of(&fields).unwrap()
    }

    #[test]
    fn the_origins_word_is_read() {
        let wanted = |status, message: &str| Said {
            status,
            message: message.to_owned(),
        };
        assert_eq!(said("0", ""), wanted(0, ""));
        assert_eq!(
            said("7", "no%20%C3%A9%"),
            wanted(7, "no \u{e9}%"),
            "escapes are decoded"
        );
        assert_eq!(said("7", "100%zz %+1"), wanted(7, "100%zz %+1"));
        assert_eq!(said("3", "%FF"), wanted(3, "\u{fffd}"), "always a text");
        for unknown in ["17", "-1", "x", ""] {
            assert_eq!(said(unknown, "").status, 2, "{unknown}");
        }
        assert_eq!(Said::of(&HeaderMap::new()), None);
    }

    #[test]
    fn http_statuses_are_mapped() {
        for (http, grpc) in [
            (400, 13),
            (401, 16),
            (403, 7),
            (404, 12),
            (429, 14),
            (502, 14),
            (503, 14),
            (504, 14),
            (500, 2),
            (302, 2),
        ] {
            let status = StatusCode::from_u16(http).unwrap();
            assert_eq!(GrpcError::Http(status).status(), grpc, "{http}");
        }
    }
}
