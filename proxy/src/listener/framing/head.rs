//! A request's head, line by line: request line, header lines, empty line (RFC 9112, 2 to 6).

use std::ops::Range;

use memchr::{memchr, memrchr};

use super::authority::{self, Target};
use super::{FramingLimits, Refusal};

/// Longest target the URI type behind this parser takes, bytes.
const TARGET_BYTES_MAX: usize = (u16::MAX - 1) as usize;

/// Longest method, bytes: twice the longest registered one, and some.
const METHOD_BYTES_MAX: usize = 40;

/// Digits of the largest Content-Length that the parser behind this one counts with (i64); leading zeros count.
const LENGTH_DIGITS_MAX: usize = 19;

/// A complete head that was found well-formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Where it begins: after the empty line that may come before it.
    pub start: usize,
    /// Where it ends: after its empty line.
    pub end: usize,
    pub version: Version,
    pub body: BodyLength,
    /// The client asks to leave HTTP after a 101. Never for `h2c`: that would be HTTP/2 past every filter.
    pub upgrade: bool,
    /// The client waits for a 100 before it sends the body.
    pub expects_continue: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

/// How the end of a body is found (RFC 9112, 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyLength {
    /// There is none.
    None,
    /// This many bytes, at least one.
    Fixed(u64),
    Chunked,
}

/// The part of a head seen so far.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// Where the head begins.
    start: usize,
    /// Where the line begins that is not yet complete.
    line: usize,
    /// No LF lies between `line` and here.
    searched: usize,
    /// Header lines judged.
    headers: usize,
    request_line: Option<RequestLine>,
    fields: Fields,
}

#[derive(Debug)]
struct RequestLine {
    version: Version,
    /// Where the authority of an absolute-form target is.
    authority: Option<Range<usize>>,
}

#[derive(Debug, Default)]
struct Fields {
    /// Where the value of Host is.
    host: Option<Range<usize>>,
    content_length: Option<u64>,
    chunked: bool,
    upgrade: bool,
    upgrade_to_http2: bool,
    expects_continue: bool,
}

impl Scan {
    pub(super) fn begun(&self, bytes: &[u8]) -> bool {
        bytes.len() > self.start
    }

    /// `bytes` is everything since the last message ended.
    pub(super) fn advance(
        &mut self,
        bytes: &[u8],
        limits: &FramingLimits,
    ) -> Result<Option<Head>, Refusal> {
        while let Some(offset) = memchr(b'\n', &bytes[self.searched..]) {
            let end = self.searched + offset + 1;
            self.check_size(end, limits)?;
            let line = self.line..end - 1;
            (self.line, self.searched) = (end, end);
            let Some((b'\r', _)) = bytes[line.clone()].split_last() else {
                return Err(Refusal::BareLf);
            };
            let line = line.start..line.end - 1;
            if self.request_line.is_none() {
                self.request_line(bytes, line)?;
            } else if line.is_empty() {
                return self.finish(bytes, end, limits).map(Some);
            } else {
                self.headers += 1;
                if self.headers > limits.headers {
                    return Err(Refusal::TooManyHeaders);
                }
                self.header_line(bytes, line)?;
            }
        }
        self.searched = bytes.len();
        self.check_size(bytes.len(), limits)?;
        self.check_first_byte(bytes)?;
        Ok(None)
    }

    fn check_size(&self, end: usize, limits: &FramingLimits) -> Result<(), Refusal> {
        match end - self.start <= limits.head_bytes {
            true => Ok(()),
            false if self.request_line.is_none() => Err(Refusal::TargetTooLong),
            false => Err(Refusal::HeadTooLarge),
        }
    }

    /// What cannot become a request line need not be waited for: a TLS handshake on a clear-text port has no line end.
    fn check_first_byte(&self, bytes: &[u8]) -> Result<(), Refusal> {
        match bytes.get(self.start) {
            Some(&first)
                if self.request_line.is_none() && first != b'\r' && !is_token_byte(first) =>
            {
                Err(Refusal::Method)
            }
            _ => Ok(()),
        }
    }

    fn request_line(&mut self, bytes: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        if line.is_empty() {
            if self.start > 0 {
                return Err(Refusal::EmptyLines);
            }
            self.start = self.line;
            return Ok(());
        }
        let text = &bytes[line.clone()];
        let (Some(first), Some(last)) = (memchr(b' ', text), memrchr(b' ', text)) else {
            // One word, or HTTP/0.9's two.
            return Err(if text.iter().all(|&b| is_token_byte(b)) {
                Refusal::Version
            } else {
                Refusal::Method
            });
        };
        let (method, version) = (&text[..first], &text[last + 1..]);
        if method.is_empty()
            || method.len() > METHOD_BYTES_MAX
            || !method.iter().all(|&b| is_token_byte(b))
        {
            return Err(Refusal::Method);
        }
        if first == last {
            return Err(Refusal::Version);
        }
        let version = parse_version(version)?;
        let target = &text[first + 1..last];
        if target.is_empty()
            || !target
                .iter()
                .all(|&b| matches!(b, 0x21..=0x7e | 0x80..) && b != b'#')
        {
            return Err(Refusal::TargetBytes);
        }
        if target.len() > TARGET_BYTES_MAX {
            return Err(Refusal::TargetTooLong);
        }
        if method == b"CONNECT" {
            return Err(if names_port(target) {
                Refusal::Connect
            } else {
                Refusal::TargetForm
            });
        }
        let authority = match authority::target_form(target)? {
            Target::Origin => None,
            Target::Asterisk if method == b"OPTIONS" => None,
            Target::Asterisk => return Err(Refusal::TargetForm),
            Target::Absolute(authority) => {
                // "http://" or "https://": the authority follows the second slash.
                let at = line.start + first + 1 + memchr(b':', target).map_or(0, |colon| colon + 3);
                Some(at..at + authority.len())
            }
        };
        self.request_line = Some(RequestLine { version, authority });
        Ok(())
    }

    fn header_line(&mut self, bytes: &[u8], line: Range<usize>) -> Result<(), Refusal> {
        let text = &bytes[line.clone()];
        if matches!(text[0], b' ' | b'\t') {
            return Err(Refusal::ObsFold);
        }
        let colon = memchr(b':', text).ok_or(Refusal::HeaderName)?;
        let name = &text[..colon];
        if name.is_empty() || !name.iter().all(|&b| is_token_byte(b)) {
            return Err(Refusal::HeaderName);
        }
        let value = &text[colon + 1..];
        check_value(value)?;
        // Only these are looked at; the length settles it for nearly all others.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => {
                let (at, trimmed) = (line.start + colon + 1, spaces_trimmed(value));
                let host = at + trimmed.start..at + trimmed.end;
                match self.fields.host.replace(host) {
                    Some(_) => return Err(Refusal::HostRepeated),
                    None if !authority::is_valid(&value[trimmed]) => {
                        return Err(Refusal::HostInvalid);
                    }
                    None => {}
                }
            }
            6 if name.eq_ignore_ascii_case(b"expect") => {
                self.fields.expects_continue =
                    value[spaces_trimmed(value)].eq_ignore_ascii_case(b"100-continue");
            }
            7 if name.eq_ignore_ascii_case(b"upgrade") => {
                self.fields.upgrade = true;
                self.fields.upgrade_to_http2 |= value.split(|&b| b == b',').any(names_http2);
            }
            14 if name.eq_ignore_ascii_case(b"content-length") => {
                let length = parse_length(&value[spaces_trimmed(value)])?;
                if self.fields.content_length.replace(length).is_some() {
                    return Err(Refusal::ContentLengthRepeated);
                }
            }
            17 if name.eq_ignore_ascii_case(b"transfer-encoding") => {
                if self.fields.chunked {
                    return Err(Refusal::TransferEncodingRepeated);
                }
                if !value[spaces_trimmed(value)].eq_ignore_ascii_case(b"chunked") {
                    return Err(Refusal::TransferEncoding);
                }
                self.fields.chunked = true;
            }
            _ => {}
        }
        Ok(())
    }

    /// What can be judged only when all headers are known.
    fn finish(
        &mut self,
        bytes: &[u8],
        end: usize,
        limits: &FramingLimits,
    ) -> Result<Head, Refusal> {
        let Fields {
            host,
            content_length,
            chunked,
            upgrade,
            upgrade_to_http2,
            expects_continue,
        } = std::mem::take(&mut self.fields);
        let Some(RequestLine { version, authority }) = self.request_line.take() else {
            return Err(Refusal::Version);
        };
        match (&host, authority) {
            (None, _) if version == Version::Http11 => return Err(Refusal::HostMissing),
            // Byte for byte: what the route sees and what the origin sees must be one thing.
            (Some(host), Some(authority)) if bytes[host.clone()] != bytes[authority.clone()] => {
                return Err(Refusal::HostMismatch);
            }
            _ => {}
        }
        let body = match (chunked, content_length) {
            (true, Some(_)) => return Err(Refusal::LengthAndEncoding),
            (true, None) if version == Version::Http10 => {
                return Err(Refusal::TransferEncodingInHttp10);
            }
            (true, None) => BodyLength::Chunked,
            (false, Some(length)) if length > limits.body_bytes => {
                return Err(Refusal::BodyTooLarge);
            }
            (false, Some(1..)) => BodyLength::Fixed(content_length.unwrap_or_default()),
            (false, _) => BodyLength::None,
        };
        let is_http11 = version == Version::Http11;
        Ok(Head {
            start: self.start,
            end,
            version,
            body,
            upgrade: upgrade && !upgrade_to_http2 && is_http11,
            expects_continue: expects_continue && is_http11,
        })
    }
}

/// Whether it is what CONNECT needs: a host and a port (RFC 9112, 3.2.3).
fn names_port(target: &[u8]) -> bool {
    let digits = target
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_digit())
        .count();
    digits > 0 && target[..target.len() - digits].ends_with(b":") && authority::is_valid(target)
}

fn parse_version(text: &[u8]) -> Result<Version, Refusal> {
    match text {
        b"HTTP/1.1" => Ok(Version::Http11),
        b"HTTP/1.0" => Ok(Version::Http10),
        [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
            // HTTP/0.9 has no version in its requests: this is no version at all.
            if matches!(major, b'1'..=b'9') && minor.is_ascii_digit() =>
        {
            Err(Refusal::VersionUnsupported)
        }
        _ => Err(Refusal::Version),
    }
}

/// Digits only: no sign, no list, no white space, no overflow (RFC 9110, 8.6, without its tolerance for lists).
fn parse_length(digits: &[u8]) -> Result<u64, Refusal> {
    if digits.is_empty() || digits.len() > LENGTH_DIGITS_MAX {
        return Err(Refusal::ContentLength);
    }
    let length = digits.iter().try_fold(0_u64, |length, &b| match b {
        b'0'..=b'9' => length.checked_mul(10)?.checked_add(u64::from(b - b'0')),
        _ => None,
    });
    length
        .filter(|&length| i64::try_from(length).is_ok())
        .ok_or(Refusal::ContentLength)
}

/// `HTAB / SP / VCHAR / obs-text` (RFC 9110, 5.5). No early exit, so that it is vectorised.
pub(super) fn check_value(value: &[u8]) -> Result<(), Refusal> {
    let is_bad = value.iter().fold(false, |bad, &b| {
        bad | ((b < 0x20) & (b != b'\t')) | (b == 0x7f)
    });
    if !is_bad {
        return Ok(());
    }
    Err(if memchr(b'\r', value).is_some() {
        Refusal::BareCr
    } else {
        Refusal::HeaderValue
    })
}

/// Where the value is without leading and trailing spaces. Tabs stay: in the headers this is used for they are how one parser
/// is made to miss what another sees.
fn spaces_trimmed(value: &[u8]) -> Range<usize> {
    let start = value.iter().position(|&b| b != b' ').unwrap_or(value.len());
    let end = value
        .iter()
        .rposition(|&b| b != b' ')
        .map_or(start, |last| last + 1);
    start..end
}

fn names_http2(protocol: &[u8]) -> bool {
    let protocol = protocol.trim_ascii();
    protocol.eq_ignore_ascii_case(b"h2c") || protocol.eq_ignore_ascii_case(b"h2")
}

/// `tchar` (RFC 9110, 5.6.2).
pub(super) const fn is_token_byte(b: u8) -> bool {
    TOKEN[b as usize]
}

const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut b = 0;
    while b < 128 {
        table[b] = (b as u8).is_ascii_alphanumeric();
        b += 1;
    }
    let others = b"!#$%&'*+-.^_`|~";
    let mut i = 0;
    while i < others.len() {
        table[others[i] as usize] = true;
        i += 1;
    }
    table
};
