//! A guest's request as HTTP can carry it.

use bytes::Bytes;
use http::header::{self, HeaderName};
use http::uri::{Authority, Parts, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Uri};

use super::body::CallBody;

/// A request that must not be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidRequest {
    #[error("invalid or repeated {0}")]
    Pseudo(&'static str),
    #[error("unknown pseudo header")]
    UnknownPseudo,
    /// A tunnel is no call.
    #[error("the method CONNECT")]
    Connect,
    #[error("invalid header name or value")]
    Header,
    #[error("too many headers")]
    TooManyHeaders,
}

/// Fields that belong to one connection (RFC 9110 section 7.6.1), or that the sender alone can know.
const OWN_FIELDS: [HeaderName; 9] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    // `:authority` says it.
    header::HOST,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// A checked request, which can be sent several times.
#[derive(Debug)]
pub(super) struct CallRequest {
    method: Method,
    /// For HTTP/1.1: the path alone.
    origin_form: Uri,
    /// For HTTP/2: what becomes its pseudo headers.
    absolute_form: Uri,
    host: HeaderValue,
    headers: HeaderMap,
    body: Bytes,
    trailers: HeaderMap,
}

type Pair = (Vec<u8>, Vec<u8>);

impl CallRequest {
    /// `headers` with pseudo headers, as the guest gave them.
    pub(super) fn new(
        headers: &[Pair],
        body: Bytes,
        trailers: &[Pair],
    ) -> Result<Self, InvalidRequest> {
        let pseudo = Pseudo::of(headers)?;
        let fields = headers.iter().filter(|(name, _)| !name.starts_with(b":"));
        let mut headers = fields_of(fields)?;
        // A guest that reads trailers must say so, or a server may leave them out (RFC 9110 section 6.5.1).
        let wants_trailers =
            tokens(&headers, &header::TE).any(|token| token.eq_ignore_ascii_case("trailers"));
        remove_own_fields(&mut headers);
        if wants_trailers {
            headers.insert(header::TE, HeaderValue::from_static("trailers"));
        }
        let mut trailers = fields_of(trailers.iter())?;
        remove_own_fields(&mut trailers);
        if !trailers.is_empty() {
            let names: Vec<&str> = trailers.keys().map(HeaderName::as_str).collect();
            let names =
                HeaderValue::try_from(names.join(", ")).map_err(|_| InvalidRequest::Header)?;
            headers.insert(header::TRAILER, names);
        } else if !body.is_empty()
            || !matches!(pseudo.method, Method::GET | Method::HEAD | Method::DELETE)
        {
            headers.insert(header::CONTENT_LENGTH, body.len().into());
        }
        Ok(Self {
            origin_form: Uri::from(pseudo.path.clone()),
            absolute_form: pseudo.uri()?,
            host: HeaderValue::from_str(pseudo.authority.as_str())
                .map_err(|_| InvalidRequest::Pseudo(":authority"))?,
            method: pseudo.method,
            headers,
            body,
            trailers,
        })
    }

    pub(super) fn has_body(&self) -> bool {
        !self.body.is_empty()
    }

    /// Whether a second try does no more than the first (RFC 9110 section 9.2.2).
    pub(super) fn is_idempotent(&self) -> bool {
        self.method.is_idempotent()
    }

    pub(super) fn http1(&self) -> Request<CallBody> {
        let mut request = self.to(&self.origin_form);
        let headers = request.headers_mut();
        headers.insert(header::HOST, self.host.clone());
        if !self.trailers.is_empty() {
            headers.insert(
                header::TRANSFER_ENCODING,
                HeaderValue::from_static("chunked"),
            );
        }
        if headers.contains_key(header::TE) {
            // RFC 9110 section 10.1.4.
            headers.insert(header::CONNECTION, HeaderValue::from_static("te"));
        }
        request
    }

    pub(super) fn http2(&self) -> Request<CallBody> {
        self.to(&self.absolute_form)
    }

    fn to(&self, uri: &Uri) -> Request<CallBody> {
        let trailers = (!self.trailers.is_empty()).then(|| self.trailers.clone());
        let data = self.has_body().then(|| self.body.clone());
        let mut request = Request::new(CallBody::Whole { data, trailers });
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = self.headers.clone();
        request
    }
}

struct Pseudo {
    method: Method,
    path: PathAndQuery,
    authority: Authority,
    scheme: Scheme,
}

impl Pseudo {
    fn of(headers: &[Pair]) -> Result<Self, InvalidRequest> {
        const NAMES: [&str; 4] = [":method", ":path", ":authority", ":scheme"];
        let mut values: [Option<&[u8]>; 4] = [None; 4];
        for (name, value) in headers.iter().filter(|(name, _)| name.starts_with(b":")) {
            let at = NAMES
                .iter()
                .position(|known| known.as_bytes() == name)
                .ok_or(InvalidRequest::UnknownPseudo)?;
            if values[at].replace(value).is_some() {
                return Err(InvalidRequest::Pseudo(NAMES[at]));
            }
        }
        let [method, path, authority, scheme] = values;
        Ok(Self {
            method: parse_method(method.unwrap_or_default())?,
            path: parse_path(path.unwrap_or_default())?,
            authority: parse_authority(authority.unwrap_or_default())?,
            scheme: parse_scheme(scheme)?,
        })
    }

    fn uri(&self) -> Result<Uri, InvalidRequest> {
        let mut parts = Parts::default();
        parts.scheme = Some(self.scheme.clone());
        parts.authority = Some(self.authority.clone());
        parts.path_and_query = Some(self.path.clone());
        Uri::from_parts(parts).map_err(|_| InvalidRequest::Pseudo(":path"))
    }
}

fn parse_method(method: &[u8]) -> Result<Method, InvalidRequest> {
    match Method::from_bytes(method) {
        Ok(Method::CONNECT) => Err(InvalidRequest::Connect),
        Ok(method) => Ok(method),
        Err(_) => Err(InvalidRequest::Pseudo(":method")),
    }
}

fn parse_path(path: &[u8]) -> Result<PathAndQuery, InvalidRequest> {
    let invalid = InvalidRequest::Pseudo(":path");
    // The parser would add a slash, and cut off a fragment, in silence.
    if !(path.starts_with(b"/") || path == b"*") || path.contains(&b'#') {
        return Err(invalid);
    }
    PathAndQuery::try_from(path).map_err(|_| invalid)
}

fn parse_authority(authority: &[u8]) -> Result<Authority, InvalidRequest> {
    let invalid = InvalidRequest::Pseudo(":authority");
    let parsed = Authority::try_from(authority).map_err(|_| invalid)?;
    // User information is no part of it (RFC 9110 section 4.2.4).
    if parsed.as_str().contains('@') {
        Err(invalid)
    } else {
        Ok(parsed)
    }
}

fn parse_scheme(scheme: Option<&[u8]>) -> Result<Scheme, InvalidRequest> {
    match scheme {
        None | Some(b"http") => Ok(Scheme::HTTP),
        Some(b"https") => Ok(Scheme::HTTPS),
        Some(_) => Err(InvalidRequest::Pseudo(":scheme")),
    }
}

pub(super) fn fields_of<'a>(
    pairs: impl Iterator<Item = &'a Pair>,
) -> Result<HeaderMap, InvalidRequest> {
    let mut fields = HeaderMap::new();
    for (name, value) in pairs {
        let name = HeaderName::from_bytes(name).map_err(|_| InvalidRequest::Header)?;
        let value = HeaderValue::from_bytes(value).map_err(|_| InvalidRequest::Header)?;
        fields
            .try_append(name, value)
            .map_err(|_| InvalidRequest::TooManyHeaders)?;
    }
    Ok(fields)
}

pub(super) fn remove_own_fields(fields: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(fields, &header::CONNECTION)
        .filter_map(|token| HeaderName::try_from(token).ok())
        .collect();
    for name in OWN_FIELDS.iter().chain(&named).chain([&header::TE]) {
        fields.remove(name);
    }
}

/// The members of a comma-separated list over all fields of that name.
fn tokens<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> {
    let values = fields
        .get_all(name)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

#[cfg(test)]
mod tests {
    use hyper::body::Body;

    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<Pair> {
        list.iter()
            .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
            .collect()
    }

    fn with(extra: &[(&str, &str)]) -> Vec<Pair> {
        let mut all = pairs(&[
            (":method", "POST"),
            (":path", "/a?b=c"),
            (":authority", "example.com:81"),
        ]);
        all.extend(pairs(extra));
        all
    }

    fn request(headers: &[Pair]) -> Result<CallRequest, InvalidRequest> {
        CallRequest::new(headers, Bytes::from_static(b"body"), &[])
    }

    #[test]
    fn each_protocol_gets_the_target_in_its_form() {
        let request = request(&with(&[(":scheme", "https")])).unwrap();
        let http1 = request.http1();
        assert_eq!(http1.uri(), "/a?b=c");
        assert_eq!(http1.headers()[header::HOST], "example.com:81");
        assert_eq!(http1.headers()[header::CONTENT_LENGTH], "4");
        let http2 = request.http2();
        assert_eq!(http2.uri(), "https://example.com:81/a?b=c");
        assert!(!http2.headers().contains_key(header::HOST));
    }

    #[test]
    fn fields_of_one_connection_are_dropped_and_others_kept_in_order() {
        let request = request(&with(&[
            ("X-A", "1"),
            ("connection", "close, x-secret"),
            ("host", "other"),
            ("content-length", "7"),
            ("transfer-encoding", "chunked"),
            ("x-secret", "1"),
            ("keep-alive", "1"),
            ("upgrade", "websocket"),
            ("te", "gzip, trailers"),
            ("expect", "100-continue"),
            ("x-a", "2"),
        ]))
        .unwrap();
        let http2 = request.http2();
        let mut names: Vec<_> = http2.headers().keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "te", "x-a"]);
        assert_eq!(
            http2.headers().get_all("x-a").iter().collect::<Vec<_>>(),
            ["1", "2"]
        );
        assert_eq!(http2.headers()[header::TE], "trailers");
        assert_eq!(request.http1().headers()[header::CONNECTION], "te");
    }

    #[test]
    fn what_http_cannot_carry_is_refused() {
        for (extra, wanted) in [
            (("x y", "1"), InvalidRequest::Header),
            (("", "1"), InvalidRequest::Header),
            (("x", "a\r\nb: c"), InvalidRequest::Header),
            (("x", "a\0"), InvalidRequest::Header),
            ((":path", "/again"), InvalidRequest::Pseudo(":path")),
            ((":status", "200"), InvalidRequest::UnknownPseudo),
            ((":scheme", "ftp"), InvalidRequest::Pseudo(":scheme")),
        ] {
            assert_eq!(request(&with(&[extra])).unwrap_err(), wanted, "{extra:?}");
        }
        for (method, path, authority, wanted) in [
            ("GET /", "/", "a", InvalidRequest::Pseudo(":method")),
            ("", "/", "a", InvalidRequest::Pseudo(":method")),
            ("CONNECT", "/", "a", InvalidRequest::Connect),
            ("GET", "", "a", InvalidRequest::Pseudo(":path")),
            ("GET", "a", "a", InvalidRequest::Pseudo(":path")),
            (
                "GET",
                "/ HTTP/1.1\r\n",
                "a",
                InvalidRequest::Pseudo(":path"),
            ),
            ("GET", "/a#b", "a", InvalidRequest::Pseudo(":path")),
            ("GET", "/", "", InvalidRequest::Pseudo(":authority")),
            ("GET", "/", "u@a", InvalidRequest::Pseudo(":authority")),
            ("GET", "/", "a/b", InvalidRequest::Pseudo(":authority")),
            (
                "GET",
                "/",
                "a\r\nx: y",
                InvalidRequest::Pseudo(":authority"),
            ),
        ] {
            let headers = pairs(&[
                (":method", method),
                (":path", path),
                (":authority", authority),
            ]);
            assert_eq!(
                request(&headers).unwrap_err(),
                wanted,
                "{method:?} {path:?} {authority:?}"
            );
        }
    }

    #[test]
    fn a_length_is_given_where_a_body_is_expected() {
        for (method, wanted) in [
            ("GET", None),
            ("HEAD", None),
            ("POST", Some("0")),
            ("PUT", Some("0")),
        ] {
            let headers = pairs(&[(":method", method), (":path", "*"), (":authority", "a")]);
            let request = CallRequest::new(&headers, Bytes::new(), &[])
                .unwrap()
                .http1();
            let length = request
                .headers()
                .get(header::CONTENT_LENGTH)
                .map(|value| value.to_str().unwrap());
            assert_eq!(length, wanted, "{method}");
        }
    }

    #[test]
    fn trailers_are_announced_and_follow_a_body_of_unknown_length() {
        let trailers = pairs(&[("x-sum", "1"), ("content-length", "9")]);
        let request = CallRequest::new(&with(&[]), Bytes::from_static(b"body"), &trailers).unwrap();
        let http1 = request.http1();
        assert_eq!(http1.headers()[header::TRAILER], "x-sum");
        assert_eq!(http1.headers()[header::TRANSFER_ENCODING], "chunked");
        assert!(!http1.headers().contains_key(header::CONTENT_LENGTH));
        assert_eq!(http1.body().size_hint().exact(), None);
        assert!(
            !request
                .http2()
                .headers()
                .contains_key(header::TRANSFER_ENCODING)
        );
    }
}
