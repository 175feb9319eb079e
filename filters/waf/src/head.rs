//! The head of a request: as the client wrote it where the host shows that, else put together from what it gives.

use std::borrow::Cow;

/// Names and values, in order.
pub type Headers = Vec<(Vec<u8>, Vec<u8>)>;

/// Request line and headers. Names and values are bytes: a client may send any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// As received; `None`: made of the other three.
    pub line: Option<Vec<u8>>,
    pub method: Vec<u8>,
    pub target: Vec<u8>,
    /// `HTTP/1.1`
    pub protocol: Vec<u8>,
    pub headers: Headers,
}

impl Head {
    /// Of the bytes of an HTTP/1 head, whole or cut off, good or bad: nothing is refused here, so that rules can be asked
    /// about what the proxy refuses.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        let mut lines = bytes.split(|byte| *byte == b'\n').map(without_cr);
        let line = lines.next().unwrap_or_default();
        let (method, rest) = split_at(line, line.iter().position(|byte| *byte == b' '));
        let (target, protocol) = split_at(rest, rest.iter().rposition(|byte| *byte == b' '));
        let mut headers = Headers::new();
        for line in lines.take_while(|line| !line.is_empty()) {
            if line.first().is_some_and(|first| b" \t".contains(first))
                && let Some((_, value)) = headers.last_mut()
            {
                value.push(b' ');
                value.extend_from_slice(line.trim_ascii());
                continue;
            }
            let (name, value) = split_at(line, line.iter().position(|byte| *byte == b':'));
            headers.push((name.to_vec(), value.trim_ascii().to_vec()));
        }
        Self {
            line: Some(line.to_vec()),
            method: method.to_vec(),
            target: target.to_vec(),
            protocol: protocol.to_vec(),
            headers,
        }
    }

    /// Of a map of headers with pseudo-headers (RFC 9113, section 8.3). `:authority` is the `Host` of other versions.
    #[must_use]
    pub fn of_map(map: Vec<(Cow<'_, [u8]>, Vec<u8>)>, protocol: Vec<u8>) -> Self {
        let mut head = Self {
            protocol,
            ..Self::default()
        };
        let mut authority = None;
        for (name, value) in map {
            match name.as_ref() {
                b":method" => head.method = value,
                b":path" => head.target = value,
                b":authority" => authority = Some(value),
                name if name.starts_with(b":") => {}
                name => head.headers.push((name.to_vec(), value)),
            }
        }
        let has_host = head
            .headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(b"host"));
        if let Some(authority) = authority
            && !has_host
        {
            head.headers.insert(0, (b"Host".to_vec(), authority));
        }
        head
    }

    /// Whether the client asks to leave HTTP (RFC 9110, section 7.8): what follows is no body.
    #[must_use]
    pub fn is_upgrade(&self) -> bool {
        self.headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case(b"upgrade"))
    }
}

fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What is before and after the byte at `index`; everything and nothing without one.
fn split_at(bytes: &[u8], index: Option<usize>) -> (&[u8], &[u8]) {
    match index {
        Some(index) => (
            bytes.get(..index).unwrap_or_default(),
            bytes.get(index + 1..).unwrap_or_default(),
        ),
        None => (bytes, b""),
    }
}

/// `192.0.2.1:80` and `[2001:db8::1]:80` as address and port, as properties give them.
#[must_use]
pub fn address(text: &[u8]) -> (String, u16) {
    let text = String::from_utf8_lossy(text);
    let (host, port) = text.rsplit_once(':').unwrap_or((&text, ""));
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host = host.split('%').next().unwrap_or_default();
    (host.to_owned(), port.parse().unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    #[test]
    fn a_head_is_taken_as_it_was_sent() {
        let head = Head::of_bytes(
            b"POST /a b?c HTTP/1.1\r\nHOST: x\r\nX-Two:\t1 \r\nx-two: 2\r\n folded\r\nodd\r\n\r\nbody: no",
        );
        assert_eq!(text(&head.method), "POST");
        assert_eq!(text(&head.target), "/a b?c");
        assert_eq!(text(&head.protocol), "HTTP/1.1");
        let headers: Vec<_> = head
            .headers
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect();
        let expected = [
            ("HOST", "x"),
            ("X-Two", "1"),
            ("x-two", "2 folded"),
            ("odd", ""),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(headers, expected);
    }

    #[test]
    fn what_is_no_head_is_taken_too() {
        for bytes in [
            &b""[..],
            b"\r\n",
            b"GET",
            b"\0\xff",
            b"GET /\r\n:",
            b" \r\n \r\n",
        ] {
            let _head = Head::of_bytes(bytes);
        }
        let head = Head::of_bytes(b"GET /");
        assert_eq!(
            (text(&head.target), text(&head.protocol)),
            ("/".into(), String::new())
        );
    }

    #[test]
    fn pseudo_headers_are_no_headers() {
        let map = [
            (":method", "GET"),
            (":path", "/x"),
            (":authority", "h"),
            (":scheme", "https"),
            ("a", "b"),
        ];
        let map = map
            .iter()
            .map(|(name, value)| (Cow::Borrowed(name.as_bytes()), value.as_bytes().to_vec()))
            .collect();
        let head = Head::of_map(map, b"HTTP/2".to_vec());
        assert_eq!(text(&head.target), "/x");
        let names: Vec<_> = head.headers.iter().map(|(name, _)| text(name)).collect();
        assert_eq!(names, ["Host", "a"]);
    }

    #[test]
    fn addresses_are_without_port_brackets_and_zone() {
        assert_eq!(address(b"192.0.2.1:80"), ("192.0.2.1".to_owned(), 80));
        assert_eq!(
            address(b"[2001:db8::1%eth0]:8080"),
            ("2001:db8::1".to_owned(), 8080)
        );
        assert_eq!(address(b""), (String::new(), 0));
    }
}
