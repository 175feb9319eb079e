//! Why a request is refused before it becomes one: a closed list with a label, a status and a reason each.

use bytes::Bytes;

use super::connection::Connection;
use super::state::ListenerState;

/// What was wrong with the bytes of a request.
///
/// [`Refusal::label`] is what metrics and logs show, [`Refusal::status`] what the client gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// More than one empty line before the request line (RFC 9112, 2.2 allows one).
    EmptyLines,
    /// A line that ends in LF alone.
    BareLf,
    /// A CR that no LF follows.
    BareCr,
    /// The method is not a token.
    Method,
    /// CONNECT: this is no tunnel.
    Connect,
    /// Not `HTTP/1.1` or `HTTP/1.0`, nor a version that could be one.
    Version,
    /// A well-formed version that is not spoken here.
    VersionUnsupported,
    /// Space, control, `#` or non-ASCII byte in the request target.
    TargetBytes,
    /// The target is neither origin-form, nor absolute-form over http(s), nor `*` of OPTIONS.
    TargetForm,
    TargetTooLong,
    /// A byte in a header name that no name may have, an empty name, white space before the colon, or no colon.
    HeaderName,
    /// A control byte in a header value.
    HeaderValue,
    /// A header continued on the next line (RFC 9112, 5.2).
    ObsFold,
    HeadTooLarge,
    TooManyHeaders,
    /// The head was not complete in time.
    HeadTimeout,
    /// The client ended its side within the head.
    HeadTruncated,
    HostMissing,
    HostRepeated,
    HostInvalid,
    /// The authority of an absolute-form target is not what Host says.
    HostMismatch,
    /// Content-Length is not a plain decimal number.
    ContentLength,
    ContentLengthRepeated,
    /// Transfer-Encoding is not exactly `chunked`.
    TransferEncoding,
    TransferEncodingRepeated,
    /// Transfer-Encoding in an HTTP/1.0 request (RFC 9112, 6.1).
    TransferEncodingInHttp10,
    /// Both Content-Length and Transfer-Encoding.
    LengthAndEncoding,
    /// A chunk size that is empty, not hexadecimal, too large or followed by something else.
    ChunkSize,
    /// A chunk extension that is too long, has control bytes, or comes after all too many others.
    ChunkExtension,
    /// A chunk's data is not followed by CRLF.
    ChunkEnd,
    /// A malformed trailer, or one that would change framing or routing.
    Trailer,
    TrailersTooLarge,
    BodyTooLarge,
    /// The body arrives slower than the listener's least rate.
    BodyTooSlow,
}

impl Refusal {
    /// All of them, for metrics that start at zero and for tests.
    pub const ALL: [Self; 34] = [
        Self::EmptyLines,
        Self::BareLf,
        Self::BareCr,
        Self::Method,
        Self::Connect,
        Self::Version,
        Self::VersionUnsupported,
        Self::TargetBytes,
        Self::TargetForm,
        Self::TargetTooLong,
        Self::HeaderName,
        Self::HeaderValue,
        Self::ObsFold,
        Self::HeadTooLarge,
        Self::TooManyHeaders,
        Self::HeadTimeout,
        Self::HeadTruncated,
        Self::HostMissing,
        Self::HostRepeated,
        Self::HostInvalid,
        Self::HostMismatch,
        Self::ContentLength,
        Self::ContentLengthRepeated,
        Self::TransferEncoding,
        Self::TransferEncodingRepeated,
        Self::TransferEncodingInHttp10,
        Self::LengthAndEncoding,
        Self::ChunkSize,
        Self::ChunkExtension,
        Self::ChunkEnd,
        Self::Trailer,
        Self::TrailersTooLarge,
        Self::BodyTooLarge,
        Self::BodyTooSlow,
    ];

    /// The value of the metric label `reason`.
    pub const fn label(self) -> &'static str {
        match self {
            Self::EmptyLines => "empty_lines",
            Self::BareLf => "bare_lf",
            Self::BareCr => "bare_cr",
            Self::Method => "method",
            Self::Connect => "connect",
            Self::Version => "version",
            Self::VersionUnsupported => "version_unsupported",
            Self::TargetBytes => "target_bytes",
            Self::TargetForm => "target_form",
            Self::TargetTooLong => "target_too_long",
            Self::HeaderName => "header_name",
            Self::HeaderValue => "header_value",
            Self::ObsFold => "obs_fold",
            Self::HeadTooLarge => "head_too_large",
            Self::TooManyHeaders => "too_many_headers",
            Self::HeadTimeout => "head_timeout",
            Self::HeadTruncated => "head_truncated",
            Self::HostMissing => "host_missing",
            Self::HostRepeated => "host_repeated",
            Self::HostInvalid => "host_invalid",
            Self::HostMismatch => "host_mismatch",
            Self::ContentLength => "content_length",
            Self::ContentLengthRepeated => "content_length_repeated",
            Self::TransferEncoding => "transfer_encoding",
            Self::TransferEncodingRepeated => "transfer_encoding_repeated",
            Self::TransferEncodingInHttp10 => "transfer_encoding_in_http10",
            Self::LengthAndEncoding => "length_and_encoding",
            Self::ChunkSize => "chunk_size",
            Self::ChunkExtension => "chunk_extension",
            Self::ChunkEnd => "chunk_end",
            Self::Trailer => "trailer",
            Self::TrailersTooLarge => "trailers_too_large",
            Self::BodyTooLarge => "body_too_large",
            Self::BodyTooSlow => "body_too_slow",
        }
    }

    /// The status the client gets (RFC 9110, 15.5; RFC 6585, 5).
    pub const fn status(self) -> u16 {
        match self {
            Self::Connect => 405,
            Self::HeadTimeout | Self::BodyTooSlow => 408,
            Self::BodyTooLarge => 413,
            Self::TargetTooLong => 414,
            Self::HeadTooLarge | Self::TooManyHeaders | Self::TrailersTooLarge => 431,
            Self::VersionUnsupported => 505,
            _ => 400,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.label())
    }
}

impl std::error::Error for Refusal {}

/// Where in a request it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedIn {
    /// In its head: nobody behind the listener has heard of this request.
    Head,
    /// In its body: the request is already an exchange, whose next read of the body fails.
    Body,
}

/// A request that was refused by its bytes.
#[derive(Clone, Debug)]
pub struct RefusedRequest {
    pub reason: Refusal,
    /// The status of the answer; it was sent if `answered`.
    pub status: u16,
    /// Whether the client gets an answer: not when a response to this request was already under way.
    pub answered: bool,
    pub part: RefusedIn,
    /// The raw head: complete where the body was refused, else what had come of the request so far.
    pub head: Bytes,
}

/// Who is told of what was refused: called on a worker's thread, and must not block.
pub trait RefusedSink: Send + Sync + 'static {
    /// A request was refused and its connection is being closed.
    fn refused(&self, connection: &Connection, refusal: &RefusedRequest);

    /// A connection was closed before any request: see [`connection_reason`] for the reasons.
    fn connection_refused(&self, listener: &ListenerState, reason: &'static str);
}

/// Values of `reason` in [`RefusedSink::connection_refused`].
pub mod connection_reason {
    /// The listener had as many connections as it may.
    pub const LIMIT: &str = "connection_limit";
    /// The TLS handshake failed, or was not TLS at all.
    pub const TLS_HANDSHAKE: &str = "tls_handshake";
    /// The TLS handshake took too long.
    pub const TLS_TIMEOUT: &str = "tls_timeout";
    /// HTTP/2 was agreed on by ALPN, and something else was sent.
    pub const H2_PREFACE: &str = "h2_preface";
    /// All of them.
    pub const ALL: [&str; 4] = [LIMIT, TLS_HANDSHAKE, TLS_TIMEOUT, H2_PREFACE];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct_and_snake_case() {
        let mut labels: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.label()).collect();
        assert!(labels.iter().all(|label| {
            label
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        }));
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Refusal::ALL.len());
    }
}
