//! Header maps as guests see them: Envoy's pseudo headers over Pingora's heads, and what a guest may not touch.

use http::header::{HeaderName, HeaderValue};
use http::{HeaderMap, Method};
use pingora_http::{RequestHeader, ResponseHeader};
use portcullis_abi::stream::HeaderError;

/// A map for reading.
#[derive(Clone, Copy, Debug)]
pub(super) enum Map<'a> {
    Request {
        head: &'a RequestHeader,
        scheme: &'static str,
    },
    Response(&'a ResponseHeader),
    Trailers(&'a HeaderMap),
}

/// A map for writing.
#[derive(Debug)]
pub(super) enum MapMut<'a> {
    Request(&'a mut RequestHeader),
    Response(&'a mut ResponseHeader),
    Trailers(&'a mut HeaderMap),
}

/// What the proxy decides itself: hop-by-hop fields (RFC 9110 section 7.6.1) and framing.
fn reserved(name: &HeaderName) -> bool {
    matches!(
        name.as_str(),
        "connection"
            | "keep-alive"
            | "proxy-connection"
            | "transfer-encoding"
            | "upgrade"
            | "te"
            | "trailer"
            | "http2-settings"
    )
}

/// The authority of a request: its URI's where it has one, else its Host.
pub fn authority(head: &RequestHeader) -> &[u8] {
    match head.headers.get(http::header::HOST) {
        Some(host) => host.as_bytes(),
        None => head
            .uri
            .authority()
            .map_or(b"", |authority| authority.as_str().as_bytes()),
    }
}

impl Map<'_> {
    fn headers(&self) -> &HeaderMap {
        match self {
            Self::Request { head, .. } => &head.headers,
            Self::Response(head) => &head.headers,
            Self::Trailers(map) => map,
        }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<Vec<u8>> {
        if let Some(pseudo) = name.strip_prefix(b":") {
            return self.pseudo(pseudo);
        }
        if let (Self::Request { head, .. }, true) = (self, name.eq_ignore_ascii_case(b"host")) {
            return Some(authority(head).to_vec());
        }
        let name = HeaderName::from_bytes(name).ok()?;
        self.headers()
            .get(&name)
            .map(|value| value.as_bytes().to_vec())
    }

    fn pseudo(&self, name: &[u8]) -> Option<Vec<u8>> {
        match (self, name) {
            (Self::Request { head, .. }, b"method") => {
                Some(head.method.as_str().as_bytes().to_vec())
            }
            (Self::Request { head, .. }, b"path") => Some(head.raw_path().to_vec()),
            (Self::Request { head, .. }, b"authority") => Some(authority(head).to_vec()),
            (Self::Request { scheme, .. }, b"scheme") => Some(scheme.as_bytes().to_vec()),
            (Self::Response(head), b"status") => Some(head.status.as_str().as_bytes().to_vec()),
            _ => None,
        }
    }

    pub(super) fn each(&self, visit: &mut dyn FnMut(&[u8], &[u8])) {
        match self {
            Self::Request { head, scheme } => {
                visit(b":authority", authority(head));
                visit(b":path", head.raw_path());
                visit(b":method", head.method.as_str().as_bytes());
                visit(b":scheme", scheme.as_bytes());
            }
            Self::Response(head) => visit(b":status", head.status.as_str().as_bytes()),
            Self::Trailers(_) => {}
        }
        let request = matches!(self, Self::Request { .. });
        for (name, value) in self.headers() {
            // Host travels as :authority.
            if !(request && name == http::header::HOST) {
                visit(name.as_str().as_bytes(), value.as_bytes());
            }
        }
    }
}

/// A header that HTTP can carry, or a pseudo header's new value.
enum Field {
    Plain(HeaderName, HeaderValue),
    Method(Method),
    Path(Vec<u8>),
    Authority(HeaderValue),
    Status(http::StatusCode),
    /// Accepted without effect.
    Ignored,
}

impl MapMut<'_> {
    fn parse(&self, name: &[u8], value: &[u8]) -> Result<Field, HeaderError> {
        let text = HeaderValue::from_bytes(value).map_err(|_| HeaderError::Invalid)?;
        match (self, name) {
            (Self::Request(_), b":method") => Method::from_bytes(value)
                .map(Field::Method)
                .map_err(|_| HeaderError::Invalid),
            (Self::Request(_), b":path") => parse_path(value),
            (Self::Request(_), b":authority") => parse_authority(text),
            (Self::Request(_), name) if name.eq_ignore_ascii_case(b"host") => parse_authority(text),
            // The scheme is a fact of the connection.
            (Self::Request(_), b":scheme") => Ok(Field::Ignored),
            (Self::Response(_), b":status") => parse_status(value),
            (_, [b':', ..]) => Err(HeaderError::Invalid),
            _ => {
                let name = HeaderName::from_bytes(name).map_err(|_| HeaderError::Invalid)?;
                // Lengths are computed from the body that is sent, whatever a guest says.
                if name == http::header::CONTENT_LENGTH {
                    Ok(Field::Ignored)
                } else if reserved(&name) {
                    Err(HeaderError::Reserved)
                } else {
                    Ok(Field::Plain(name, text))
                }
            }
        }
    }

    fn store(&mut self, field: Field, append: bool) -> Result<(), HeaderError> {
        match (self, field) {
            (_, Field::Ignored) => Ok(()),
            (Self::Request(head), Field::Method(method)) => {
                head.set_method(method);
                Ok(())
            }
            (Self::Request(head), Field::Path(path)) => {
                head.set_raw_path(&path).map_err(|_| HeaderError::Invalid)
            }
            (Self::Request(head), Field::Authority(host)) => set_authority(head, host),
            (Self::Response(head), Field::Status(status)) => {
                head.set_status(status).map_err(|_| HeaderError::Invalid)
            }
            (Self::Request(head), Field::Plain(name, value)) => if append {
                head.append_header(name, value).map(drop)
            } else {
                head.insert_header(name, value)
            }
            .map_err(|_| HeaderError::Invalid),
            (Self::Response(head), Field::Plain(name, value)) => if append {
                head.append_header(name, value).map(drop)
            } else {
                head.insert_header(name, value)
            }
            .map_err(|_| HeaderError::Invalid),
            (Self::Trailers(map), Field::Plain(name, value)) => {
                if append {
                    map.append(name, value);
                } else {
                    map.insert(name, value);
                }
                Ok(())
            }
            _ => Err(HeaderError::Invalid),
        }
    }

    pub(super) fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
        let field = self.parse(name, value)?;
        self.store(field, true)
    }

    pub(super) fn replace(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
        let field = self.parse(name, value)?;
        self.store(field, false)
    }

    pub(super) fn remove(&mut self, name: &[u8]) -> Result<(), HeaderError> {
        // A message cannot be without its pseudo headers, nor a request without its host.
        if name.starts_with(b":") || name.eq_ignore_ascii_case(b"host") {
            return Err(HeaderError::Reserved);
        }
        let name = HeaderName::from_bytes(name).map_err(|_| HeaderError::Invalid)?;
        if name == http::header::CONTENT_LENGTH {
            return Ok(());
        }
        if reserved(&name) {
            return Err(HeaderError::Reserved);
        }
        self.remove_name(&name);
        Ok(())
    }

    fn remove_name(&mut self, name: &HeaderName) {
        match self {
            Self::Request(head) => drop(head.remove_header(name)),
            Self::Response(head) => drop(head.remove_header(name)),
            Self::Trailers(map) => drop(map.remove(name)),
        }
    }

    pub(super) fn set(&mut self, pairs: &[(&[u8], &[u8])]) -> Result<(), HeaderError> {
        let fields = pairs
            .iter()
            // A guest that read the whole map sends the host's own fields back with it.
            .filter(|(name, _)| !HeaderName::from_bytes(name).is_ok_and(|name| reserved(&name)))
            .map(|(name, value)| self.parse(name, value))
            .collect::<Result<Vec<_>, _>>()?;
        let headers = match self {
            Self::Request(head) => &head.headers,
            Self::Response(head) => &head.headers,
            Self::Trailers(map) => &**map,
        };
        let gone: Vec<HeaderName> = headers
            .keys()
            .filter(|name| {
                !reserved(name)
                    && *name != http::header::CONTENT_LENGTH
                    && *name != http::header::HOST
            })
            .cloned()
            .collect();
        for name in &gone {
            self.remove_name(name);
        }
        fields
            .into_iter()
            .try_for_each(|field| self.store(field, true))
    }
}

fn parse_path(value: &[u8]) -> Result<Field, HeaderError> {
    let visible = value
        .iter()
        .all(|byte| (0x21..0x7f).contains(byte) || *byte >= 0x80);
    if visible && (value.starts_with(b"/") || value == b"*") {
        Ok(Field::Path(value.to_vec()))
    } else {
        Err(HeaderError::Invalid)
    }
}

fn parse_authority(value: HeaderValue) -> Result<Field, HeaderError> {
    let authority =
        http::uri::Authority::try_from(value.as_bytes()).map_err(|_| HeaderError::Invalid)?;
    if authority.as_str().contains('@') {
        Err(HeaderError::Invalid)
    } else {
        Ok(Field::Authority(value))
    }
}

fn parse_status(value: &[u8]) -> Result<Field, HeaderError> {
    let status = http::StatusCode::from_bytes(value).map_err(|_| HeaderError::Invalid)?;
    // An interim status is not a response, and 101 changes the protocol.
    if status.is_informational() {
        Err(HeaderError::Invalid)
    } else {
        Ok(Field::Status(status))
    }
}

/// One truth about the authority: Host, and the URI's where it has one.
fn set_authority(head: &mut RequestHeader, host: HeaderValue) -> Result<(), HeaderError> {
    if head.uri.authority().is_some() {
        let mut parts = head.uri.clone().into_parts();
        parts.authority = http::uri::Authority::try_from(host.as_bytes()).ok();
        head.set_uri(http::Uri::from_parts(parts).map_err(|_| HeaderError::Invalid)?);
    }
    head.insert_header(http::header::HOST, host)
        .map_err(|_| HeaderError::Invalid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> RequestHeader {
        let mut head = RequestHeader::build("GET", b"/a?b", None).expect("a head");
        head.insert_header("Host", "one.example").expect("host");
        head.append_header("X-A", "1").expect("header");
        head.append_header("X-A", "2").expect("header");
        head.insert_header("Content-Length", "3").expect("header");
        head.insert_header("Connection", "close").expect("header");
        head
    }

    fn pairs(map: Map<'_>) -> Vec<(String, String)> {
        let mut pairs = Vec::new();
        map.each(&mut |name, value| {
            pairs.push((
                String::from_utf8_lossy(name).into_owned(),
                String::from_utf8_lossy(value).into_owned(),
            ));
        });
        pairs
    }

    #[test]
    fn pseudo_headers_come_first_and_host_is_authority() {
        let head = request();
        let map = Map::Request {
            head: &head,
            scheme: "http",
        };
        let pairs = pairs(map);
        assert_eq!(pairs[0], (":authority".into(), "one.example".into()));
        assert_eq!(pairs[1], (":path".into(), "/a?b".into()));
        assert!(pairs.iter().all(|(name, _)| name != "host"));
        assert_eq!(map.get(b"host").as_deref(), Some(&b"one.example"[..]));
        assert_eq!(map.get(b"x-A").as_deref(), Some(&b"1"[..]));
        assert_eq!(map.get(b"x-none"), None);
        assert_eq!(map.get(b"bad name"), None);
    }

    #[test]
    fn writes_are_checked() {
        let mut head = request();
        let mut map = MapMut::Request(&mut head);
        assert_eq!(map.add(b"x-b", b"1\r\nx-c: 2"), Err(HeaderError::Invalid));
        assert_eq!(map.add(b"x b", b"1"), Err(HeaderError::Invalid));
        assert_eq!(map.add(b"", b"1"), Err(HeaderError::Invalid));
        assert_eq!(map.replace(b":path", b"/a b"), Err(HeaderError::Invalid));
        assert_eq!(map.replace(b":path", b"a"), Err(HeaderError::Invalid));
        assert_eq!(map.replace(b":method", b"G T"), Err(HeaderError::Invalid));
        assert_eq!(
            map.replace(b":authority", b"a@b"),
            Err(HeaderError::Invalid)
        );
        assert_eq!(map.replace(b":status", b"200"), Err(HeaderError::Invalid));
        assert_eq!(
            map.replace(b"transfer-encoding", b"chunked"),
            Err(HeaderError::Reserved)
        );
        assert_eq!(map.remove(b"host"), Err(HeaderError::Reserved));
        assert_eq!(map.replace(b"content-length", b"77"), Ok(()));
        assert_eq!(map.replace(b":path", b"/new"), Ok(()));
        assert_eq!(map.replace(b"host", b"two.example"), Ok(()));
        assert_eq!(map.remove(b"x-absent"), Ok(()));
        assert_eq!(head.raw_path(), b"/new");
        assert_eq!(head.headers["host"], "two.example");
        assert_eq!(head.headers["content-length"], "3");
        assert!(head.headers.get("x-c").is_none());
    }

    #[test]
    fn setting_the_whole_map_keeps_what_is_the_hosts() {
        let mut head = request();
        let mut map = MapMut::Request(&mut head);
        map.set(&[
            (b":path", b"/z"),
            (b"x-n", b"1"),
            (b"x-n", b"2"),
            (b"connection", b"upgrade"),
        ])
        .expect("set");
        assert_eq!(head.raw_path(), b"/z");
        assert!(head.headers.get("x-a").is_none());
        assert_eq!(head.headers.get_all("x-n").iter().count(), 2);
        assert_eq!(head.headers["connection"], "close");
        assert_eq!(head.headers["host"], "one.example");
        let mut map = MapMut::Request(&mut head);
        assert_eq!(
            map.set(&[(b"x-q", b"1"), (b"x-w", b"\0")]),
            Err(HeaderError::Invalid)
        );
        assert!(head.headers.get("x-q").is_none());
    }

    #[test]
    fn a_status_is_a_final_one() {
        let mut head = ResponseHeader::build(200, None).expect("a head");
        let mut map = MapMut::Response(&mut head);
        assert_eq!(map.replace(b":status", b"101"), Err(HeaderError::Invalid));
        assert_eq!(
            map.replace(b":status", b"teapot"),
            Err(HeaderError::Invalid)
        );
        assert_eq!(map.replace(b":status", b"404"), Ok(()));
        assert_eq!(head.status, 404);
    }
}
