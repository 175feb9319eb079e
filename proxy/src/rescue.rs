//! Errors become replies: the only place of the proxy that picks an error status.

use bytes::Bytes;
use pingora_error::{Error, ErrorSource, ErrorType};
use pingora_http::ResponseHeader;
use portcullis_config::model::Respond;

use crate::chain::Verdict;

/// Why the proxy answers itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The request cannot be understood or trusted.
    BadRequest,
    /// No route matches.
    NoRoute,
    /// The request's body is over a limit.
    BodyTooLarge,
    /// The client took too long to send its body.
    BodyTimeout,
    /// The origin refused, or answered nonsense.
    OriginFailed,
    /// The origin took too long.
    OriginTimeout,
    /// The upstream has no usable address.
    NoneHealthy,
    /// A filter failed and denies.
    FilterFault,
    /// A filter held the exchange for too long.
    FilterStuck,
    /// A filter held more of the response than may be held.
    ResponseTooLarge,
    /// A fault of our own.
    Internal,
    /// The client is gone: nobody to answer.
    ClientGone,
}

impl Failure {
    /// The status sent; `None` where nothing can be sent.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::BadRequest => Some(400),
            Self::NoRoute => Some(404),
            Self::BodyTimeout => Some(408),
            Self::BodyTooLarge => Some(413),
            Self::Internal | Self::ResponseTooLarge => Some(500),
            Self::OriginFailed => Some(502),
            Self::FilterFault | Self::NoneHealthy => Some(503),
            Self::FilterStuck | Self::OriginTimeout => Some(504),
            Self::ClientGone => None,
        }
    }

    /// For the access log and `response.code_details`.
    pub fn details(self) -> &'static str {
        match self {
            Self::BadRequest => "bad_request",
            Self::NoRoute => "no_route",
            Self::BodyTimeout => "request_body_timeout",
            Self::BodyTooLarge => "request_body_too_large",
            Self::ResponseTooLarge => "response_body_too_large",
            Self::Internal => "internal_error",
            Self::OriginFailed => "origin_failed",
            Self::NoneHealthy => "no_healthy_origin",
            Self::FilterFault => "filter_fault",
            Self::FilterStuck => "filter_timeout",
            Self::OriginTimeout => "origin_timeout",
            Self::ClientGone => "client_gone",
        }
    }

    /// What an error of Pingora means.
    pub fn of(error: &Error) -> Self {
        use ErrorType as Type;
        match (error.esource(), error.etype()) {
            (_, Type::HTTPStatus(413)) => Self::BodyTooLarge,
            (_, Type::HTTPStatus(408)) => Self::BodyTimeout,
            (_, Type::HTTPStatus(503)) => Self::NoneHealthy,
            (_, Type::HTTPStatus(400)) => Self::BadRequest,
            (
                ErrorSource::Upstream,
                Type::ConnectTimedout
                | Type::TLSHandshakeTimedout
                | Type::ReadTimedout
                | Type::WriteTimedout,
            ) => Self::OriginTimeout,
            (ErrorSource::Upstream, _) => Self::OriginFailed,
            (
                ErrorSource::Downstream,
                Type::WriteError | Type::ReadError | Type::ConnectionClosed,
            ) => Self::ClientGone,
            (ErrorSource::Downstream, Type::ReadTimedout | Type::WriteTimedout) => {
                Self::BodyTimeout
            }
            (ErrorSource::Downstream, _) => Self::BadRequest,
            (ErrorSource::Internal | ErrorSource::Unset, _) => Self::Internal,
        }
    }
}

/// A response that the proxy or a filter makes.
#[derive(Debug)]
pub struct Reply {
    pub head: Box<ResponseHeader>,
    pub body: Bytes,
    /// For the access log.
    pub details: String,
}

impl Reply {
    /// The reply to a failure; `None` where nothing can be sent.
    pub fn failure(failure: Failure) -> Option<Self> {
        let status = http::StatusCode::from_u16(failure.status()?).ok()?;
        let body = format!(
            "{} {}\n",
            status.as_u16(),
            status.canonical_reason().unwrap_or_default()
        );
        Self::plain(status, body.into()).map(|reply| Self {
            details: failure.details().to_owned(),
            ..reply
        })
    }

    fn plain(status: http::StatusCode, body: Bytes) -> Option<Self> {
        let mut head = ResponseHeader::build(status, Some(4)).ok()?;
        head.insert_header(http::header::CONTENT_TYPE, "text/plain; charset=utf-8")
            .ok()?;
        head.insert_header(http::header::CACHE_CONTROL, "private, no-store")
            .ok()?;
        head.set_content_length(body.len()).ok()?;
        Some(Self {
            head: Box::new(head),
            body,
            details: String::new(),
        })
    }

    /// A route's static answer.
    pub fn respond(respond: &Respond) -> Option<Self> {
        let mut head =
            ResponseHeader::build(respond.status, Some(respond.headers.len() + 1)).ok()?;
        for (name, value) in &respond.headers {
            head.append_header(name.clone(), value.as_str()).ok()?;
        }
        head.set_content_length(respond.body.len()).ok()?;
        let body = Bytes::from(respond.body.clone());
        Some(Self {
            head: Box::new(head),
            body,
            details: "respond".to_owned(),
        })
    }
}

/// What a verdict of the chain becomes. `Err`: a guest's reply that HTTP cannot carry, which is its plugin's fault.
///
/// # Errors
/// [`Failure::FilterFault`] where the guest's reply is no valid response.
pub fn verdict(verdict: &Verdict, request: bool) -> Result<Option<Reply>, Failure> {
    let failure = match verdict {
        Verdict::Reply { response, .. } => {
            return local_reply(response).map(Some).ok_or(Failure::FilterFault);
        }
        Verdict::Close => return Ok(None),
        Verdict::Fault { .. } => Failure::FilterFault,
        Verdict::Stuck { .. } => Failure::FilterStuck,
        Verdict::Overflow { .. } if request => Failure::BodyTooLarge,
        Verdict::Overflow { .. } => Failure::ResponseTooLarge,
    };
    Ok(Reply::failure(failure))
}

fn local_reply(response: &portcullis_abi::stream::LocalResponse) -> Option<Reply> {
    let status = u16::try_from(response.status)
        .ok()
        .filter(|status| (200..=599).contains(status))?;
    let mut head = ResponseHeader::build(status, Some(response.headers.len() + 3)).ok()?;
    for (name, value) in &response.headers {
        if name.starts_with(b":") || name.eq_ignore_ascii_case(b"content-length") {
            continue;
        }
        let name = http::HeaderName::from_bytes(name).ok()?;
        head.append_header(name, http::HeaderValue::from_bytes(value).ok()?)
            .ok()?;
    }
    if let Some(status) = response.grpc_status {
        head.insert_header("grpc-status", status.to_string()).ok()?;
    }
    for name in ["connection", "keep-alive", "transfer-encoding", "upgrade"] {
        head.remove_header(name);
    }
    if !response.body.is_empty() && !head.headers.contains_key(http::header::CONTENT_TYPE) {
        head.insert_header(http::header::CONTENT_TYPE, "text/plain")
            .ok()?;
    }
    head.set_content_length(response.body.len()).ok()?;
    Some(Reply {
        head: Box::new(head),
        body: response.body.clone().into(),
        details: response.details.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_abi::stream::LocalResponse;

    fn error(etype: ErrorType, source: ErrorSource) -> Failure {
        let mut error = Error::new(etype);
        error.esource = source;
        Failure::of(&error)
    }

    #[test]
    fn statuses_of_origin_failures() {
        assert_eq!(
            error(ErrorType::ConnectRefused, ErrorSource::Upstream).status(),
            Some(502)
        );
        assert_eq!(
            error(ErrorType::ConnectTimedout, ErrorSource::Upstream).status(),
            Some(504)
        );
        assert_eq!(
            error(ErrorType::ReadTimedout, ErrorSource::Upstream).status(),
            Some(504)
        );
        assert_eq!(
            error(ErrorType::InvalidHTTPHeader, ErrorSource::Upstream).status(),
            Some(502)
        );
        assert_eq!(
            error(ErrorType::HTTPStatus(503), ErrorSource::Internal).status(),
            Some(503)
        );
    }

    #[test]
    fn statuses_of_client_failures() {
        assert_eq!(
            error(ErrorType::ReadError, ErrorSource::Downstream).status(),
            None
        );
        assert_eq!(
            error(ErrorType::InvalidHTTPHeader, ErrorSource::Downstream).status(),
            Some(400)
        );
        assert_eq!(
            error(ErrorType::HTTPStatus(413), ErrorSource::Downstream).status(),
            Some(413)
        );
    }

    #[test]
    fn a_guests_reply_is_checked() {
        let response = |status, name: &[u8], value: &[u8]| LocalResponse {
            status,
            details: "x".into(),
            body: b"hi".to_vec(),
            headers: vec![(name.to_vec(), value.to_vec())],
            grpc_status: None,
        };
        let good = local_reply(&response(403, b"x-a", b"1")).expect("valid");
        assert_eq!(good.head.status, 403);
        assert_eq!(good.head.headers["content-length"], "2");
        assert!(local_reply(&response(403, b"x-a", b"1\r\nx: y")).is_none());
        assert!(local_reply(&response(99, b"x-a", b"1")).is_none());
        assert!(local_reply(&response(101, b"x-a", b"1")).is_none());
        let framed = local_reply(&response(200, b"content-length", b"77")).expect("valid");
        assert_eq!(framed.head.headers["content-length"], "2");
    }
}
