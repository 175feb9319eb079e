//! Requests that two parsers may read differently, and requests that must pass: as data, each with its verdict.
//!
//! Every vector is judged in one piece, byte by byte and in random pieces; the verdict has to be the same.

use bytes::Bytes;

use super::super::guard::target;
use super::super::refusal::Refusal::{self, *};
use super::{Framing, FramingLimits};

const LIMITS: FramingLimits = FramingLimits {
    head_bytes: 1024,
    headers: 10,
    body_bytes: 4096,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// So many requests, and nothing left over.
    Requests(usize),
    /// So many requests, and the beginning of another, or of a body.
    Incomplete(usize),
    /// Refused after so many complete requests.
    Refused(usize, Refusal),
}

use Verdict::{Incomplete, Refused, Requests};

/// A complete GET with one more header line.
macro_rules! get {
    ($header:literal) => {
        concat!("GET / HTTP/1.1\r\nHost: a\r\n", $header, "\r\n\r\n")
    };
}

/// A complete POST's head with one more header line, and what follows it.
macro_rules! post {
    ($header:literal, $body:literal) => {
        concat!("POST / HTTP/1.1\r\nHost: a\r\n", $header, "\r\n\r\n", $body)
    };
}

/// A chunked POST.
macro_rules! chunked {
    ($body:literal) => {
        post!("Transfer-Encoding: chunked", $body)
    };
}

#[rustfmt::skip]
const VECTORS: &[(&str, &str, Verdict)] = &[
    // What must pass.
    ("plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", Requests(1)),
    ("many headers and odd values", "GET /a?b=c%00;d|{}\"<>\\^` HTTP/1.1\r\nHost: a.example:80\r\nX_y: \t v \r\nEmpty:\r\nUtf: \u{e9}\r\n\r\n", Requests(1)),
    ("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n", Requests(1)),
    ("one empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Requests(1)),
    ("pipelined", "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n\r\nGET /3 HTTP/1.1\r\nHost: a\r\n\r\n", Requests(3)),
    ("asterisk of OPTIONS", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Requests(1)),
    ("absolute-form", "GET http://a.example:80/x HTTP/1.1\r\nHost: a.example:80\r\n\r\n", Requests(1)),
    ("body by length", post!("Content-Length: 5", "helloGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Requests(2)),
    ("length 0", post!("Content-Length: 0", ""), Requests(1)),
    ("body by chunks", chunked!("5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), Requests(2)),
    ("chunk that looks like chunks", chunked!("5\r\n0\r\n\r\n\r\n0\r\n\r\n"), Requests(1)),
    ("encoding in other case", post!("transfer-ENCODING:CHUNKED", "0\r\n\r\n"), Requests(1)),
    ("chunk extension", chunked!("5;a=\"b c\"\r\nhello\r\n0;x\r\n\r\n"), Requests(1)),
    ("leading zeros of a chunk size", chunked!("0005\r\nhello\r\n000\r\n\r\n"), Requests(1)),
    ("trailers", chunked!("0\r\nX-Sum: 1\r\nY:\t\u{e9}\r\n\r\n"), Requests(1)),
    ("a length that is not yet there", post!("Content-Length: 5", "hell"), Incomplete(0)),
    ("a head that is not yet there", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /", Incomplete(1)),

    // Lines.
    ("bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", Refused(0, BareLf)),
    ("bare LF after a header", "GET / HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", Refused(0, BareLf)),
    ("bare LF for the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n", Refused(0, BareLf)),
    ("bare CR in a value", get!("X: a\rTransfer-Encoding: chunked"), Refused(0, BareCr)),
    ("CR CR LF", get!("X: a\r"), Refused(0, BareCr)),
    ("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, EmptyLines)),
    ("LF before", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, BareLf)),
    ("folded value", get!("X: a\r\n b"), Refused(0, ObsFold)),
    ("folded encoding", post!("Transfer-Encoding:\r\n chunked", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("fold at once", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", Refused(0, ObsFold)),
    ("fold by tab", get!("X: a\r\n\tTransfer-Encoding: chunked"), Refused(0, ObsFold)),

    // The request line.
    ("space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetBytes)),
    ("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetBytes)),
    ("NUL in the target", "GET /a\0b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetBytes)),
    ("CR in the target", "GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetBytes)),
    ("tab for space", "GET\t/\tHTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, Method)),
    ("DEL in the target", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetBytes)),
    ("non-ASCII in the target", "GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", Requests(1)),
    ("fragment", "GET /a#/../admin HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetBytes)),
    ("request within a target", "GET /x HTTP/1.1 GET /y HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetBytes)),
    ("method with a separator", "G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, Method)),
    ("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, Method)),
    ("TLS on a clear-text port", "\x16\x03\x01\x02\0\x01\0\x01", Refused(0, Method)),
    ("HTTP/0.9", "GET /\r\n\r\n", Refused(0, Version)),
    ("no version", "GET\r\n\r\n", Refused(0, Version)),
    ("lower case version", "GET / http/1.1\r\nHost: a\r\n\r\n", Refused(0, Version)),
    ("version with more digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", Refused(0, Version)),
    ("space after the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Refused(0, Version)),
    ("HTTP/2.0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Refused(0, VersionUnsupported)),
    ("HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", Refused(0, VersionUnsupported)),
    ("CONNECT", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Refused(0, Connect)),
    ("CONNECT without a port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetForm)),
    ("CONNECT to a path", "CONNECT /a:1 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetForm)),
    ("HTTP/0.9 with a version", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", Refused(0, Version)),
    ("relative target", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetForm)),
    ("asterisk of GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetForm)),
    ("userinfo in the target", "GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", Refused(0, TargetForm)),
    ("other scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, TargetForm)),

    // Host.
    ("no Host", "GET / HTTP/1.1\r\nX: y\r\n\r\n", Refused(0, HostMissing)),
    ("absolute-form without Host", "GET http://a/ HTTP/1.1\r\n\r\n", Refused(0, HostMissing)),
    ("two Hosts", get!("host: b"), Refused(0, HostRepeated)),
    ("two equal Hosts", get!("HOST: a"), Refused(0, HostRepeated)),
    ("empty Host", "GET / HTTP/1.1\r\nHost: \r\n\r\n", Refused(0, HostInvalid)),
    ("list of Hosts", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", Refused(0, HostInvalid)),
    ("path in Host", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", Refused(0, HostInvalid)),
    ("userinfo in Host", "GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", Refused(0, HostInvalid)),
    ("target and Host disagree", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", Refused(0, HostMismatch)),
    ("target and Host disagree in the port", "GET http://a:80/ HTTP/1.1\r\nHost: a\r\n\r\n", Refused(0, HostMismatch)),

    // Header names and values.
    ("space before the colon", post!("Content-Length : 5", "hello"), Refused(0, HeaderName)),
    ("tab before the colon", post!("Transfer-Encoding\t: chunked", "0\r\n\r\n"), Refused(0, HeaderName)),
    ("no name", get!(": x"), Refused(0, HeaderName)),
    ("no colon", get!("Transfer-Encoding chunked"), Refused(0, HeaderName)),
    ("NUL in a name", get!("X\0Y: z"), Refused(0, HeaderName)),
    ("non-ASCII in a name", get!("X\u{e9}: z"), Refused(0, HeaderName)),
    ("NUL in a value", get!("X: a\0b"), Refused(0, HeaderValue)),
    ("VT in a value", get!("X: a\x0bb"), Refused(0, HeaderValue)),
    ("DEL in a value", get!("X: a\x7f"), Refused(0, HeaderValue)),

    // Content-Length.
    ("plus", post!("Content-Length: +5", "hello"), Refused(0, ContentLength)),
    ("minus", post!("Content-Length: -5", "hello"), Refused(0, ContentLength)),
    ("empty", post!("Content-Length:", "hello"), Refused(0, ContentLength)),
    ("inner space", post!("Content-Length: 5 5", "hello"), Refused(0, ContentLength)),
    ("hexadecimal", post!("Content-Length: 0x5", "hello"), Refused(0, ContentLength)),
    ("decimal point", post!("Content-Length: 5.0", "hello"), Refused(0, ContentLength)),
    ("tab before", post!("Content-Length:\t5", "hello"), Refused(0, ContentLength)),
    ("list", post!("Content-Length: 5, 5", "hello"), Refused(0, ContentLength)),
    ("overflow", post!("Content-Length: 18446744073709551621", "hello"), Refused(0, ContentLength)),
    ("overflow of i64", post!("Content-Length: 9223372036854775808", "hello"), Refused(0, ContentLength)),
    ("repeated", post!("Content-Length: 5\r\nContent-Length: 5", "hello"), Refused(0, ContentLengthRepeated)),
    ("repeated, differing", post!("Content-Length: 5\r\ncontent-length: 6", "hello!"), Refused(0, ContentLengthRepeated)),
    ("too long a body", post!("Content-Length: 4097", ""), Refused(0, BodyTooLarge)),

    // Transfer-Encoding.
    ("with a length", post!("Content-Length: 5\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), Refused(0, LengthAndEncoding)),
    ("with a length after", post!("Transfer-Encoding: chunked\r\nContent-Length: 0", "0\r\n\r\n"), Refused(0, LengthAndEncoding)),
    ("in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Refused(0, TransferEncodingInHttp10)),
    ("repeated", post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "0\r\n\r\n"), Refused(0, TransferEncodingRepeated)),
    ("repeated, other", post!("Transfer-Encoding: chunked\r\nTransfer-Encoding: x", "0\r\n\r\n"), Refused(0, TransferEncodingRepeated)),
    ("chunked twice", post!("Transfer-Encoding: chunked, chunked", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("identity first", post!("Transfer-Encoding: identity, chunked", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("gzip first", post!("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("xchunked", post!("Transfer-Encoding: xchunked", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("identity", post!("Transfer-Encoding: identity", ""), Refused(0, TransferEncoding)),
    ("quoted", post!("Transfer-Encoding: \"chunked\"", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("tab before", post!("Transfer-Encoding:\tchunked", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("tab after", post!("Transfer-Encoding: chunked\t", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("VT before", post!("Transfer-Encoding: \x0bchunked", "0\r\n\r\n"), Refused(0, HeaderValue)),
    ("parameter", post!("Transfer-Encoding: chunked;q=1", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("trailing comma", post!("Transfer-Encoding: chunked,", "0\r\n\r\n"), Refused(0, TransferEncoding)),
    ("empty", post!("Transfer-Encoding:", "0\r\n\r\n"), Refused(0, TransferEncoding)),

    // Chunks.
    ("empty chunk size", chunked!("\r\n\r\n"), Refused(0, ChunkSize)),
    ("empty chunk size after data", chunked!("5\r\nhello\r\n\r\n\r\n"), Refused(0, ChunkSize)),
    ("0x", chunked!("0x3\r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkSize)),
    ("plus", chunked!("+3\r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkSize)),
    ("minus", chunked!("-3\r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkSize)),
    ("space before", chunked!(" 3\r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkSize)),
    ("space after", chunked!("3 \r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkSize)),
    ("space before an extension", chunked!("3 ;a\r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkSize)),
    ("underscore", chunked!("1_0\r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkSize)),
    ("overflow", chunked!("10000000000000003\r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkSize)),
    ("zeros without end", chunked!("00000000000000003\r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkSize)),
    ("bare LF after a size", chunked!("3\nabc\r\n0\r\n\r\n"), Refused(0, BareLf)),
    ("bare LF after the last size", chunked!("0\n\r\n"), Refused(0, BareLf)),
    ("bare CR after a size", chunked!("3\rabc\r\n0\r\n\r\n"), Refused(0, BareCr)),
    ("bare LF in an extension", chunked!("3;a\nabc\r\n0\r\n\r\n"), Refused(0, BareLf)),
    ("NUL in an extension", chunked!("3;\0\r\nabc\r\n0\r\n\r\n"), Refused(0, ChunkExtension)),
    ("no CRLF after data", chunked!("3\r\nabcd\r\n0\r\n\r\n"), Refused(0, ChunkEnd)),
    ("bare LF after data", chunked!("3\r\nabc\n0\r\n\r\n"), Refused(0, ChunkEnd)),
    ("CR without LF after data", chunked!("3\r\nabc\r0\r\n\r\n"), Refused(0, ChunkEnd)),
    ("too long a body", chunked!("1001\r\n"), Refused(0, BodyTooLarge)),
    ("a size for a day", chunked!("ffffffffffffffff\r\n"), Refused(0, BodyTooLarge)),
    ("bare LF for the last line", chunked!("0\r\n\n"), Refused(0, BareLf)),
    ("CR without LF at the end", chunked!("0\r\n\rGET /admin HTTP/1.1\r\n\r\n"), Refused(0, BareCr)),
    ("request for a trailer", chunked!("0\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"), Refused(0, Trailer)),
    ("length as a trailer", chunked!("0\r\nContent-Length: 5\r\n\r\n"), Refused(0, Trailer)),
    ("encoding as a trailer", chunked!("0\r\nTransfer-encoding: chunked\r\n\r\n"), Refused(0, Trailer)),
    ("Host as a trailer", chunked!("0\r\nhost: b\r\n\r\n"), Refused(0, Trailer)),
    ("space before a trailer's colon", chunked!("0\r\nX : b\r\n\r\n"), Refused(0, Trailer)),
    ("folded trailer", chunked!("0\r\nX: b\r\n c\r\n\r\n"), Refused(0, Trailer)),
    ("NUL in a trailer", chunked!("0\r\nX: \0\r\n\r\n"), Refused(0, Trailer)),
    ("bare LF after a trailer", chunked!("0\r\nX: y\n\r\n"), Refused(0, BareLf)),
    ("bare CR in a trailer", chunked!("0\r\nX: y\rZ: 1\r\n\r\n"), Refused(0, BareCr)),

    // Behind a good request.
    ("smuggled behind a body", post!("Content-Length: 4", "0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n"), Refused(1, BareLf)),
    ("bad second request", "GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n", Refused(1, HostMissing)),
];

/// What the state machine did with a stream of bytes.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    verdict: Verdict,
    /// What was handed on of each message, the last maybe incomplete.
    handed: Vec<Vec<u8>>,
}

/// Feeds `bytes` in pieces, the way the guard does.
fn judge<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Outcome {
    let mut framing = Framing::new(LIMITS);
    let (mut input, mut withheld) = (Vec::new(), 0);
    let (mut handed, mut done) = (Vec::<Vec<u8>>::new(), 0);
    for piece in pieces {
        input.extend_from_slice(piece);
        loop {
            if framing.in_head() {
                match framing.head(&input) {
                    Err(refusal) => {
                        return Outcome {
                            verdict: Refused(done, refusal),
                            handed,
                        };
                    }
                    Ok(None) => break,
                    Ok(Some(head)) => {
                        handed.push(input[head.start..head.end].to_vec());
                        input.drain(..head.end);
                        done += usize::from(framing.in_head());
                    }
                }
            } else if withheld == input.len() {
                break;
            } else {
                match framing.body(&input[withheld..]) {
                    Err(refusal) => {
                        return Outcome {
                            verdict: Refused(done, refusal),
                            handed,
                        };
                    }
                    Ok(progress) => {
                        let safe = if progress.safe > 0 {
                            withheld + progress.safe
                        } else {
                            0
                        };
                        withheld = withheld + progress.scanned - safe;
                        handed
                            .last_mut()
                            .expect("a head came first")
                            .extend(input.drain(..safe));
                        done += usize::from(progress.done);
                    }
                }
            }
        }
    }
    let is_open = !framing.in_head() || framing.head_begun(&input);
    Outcome {
        verdict: if is_open {
            Incomplete(done)
        } else {
            Requests(done)
        },
        handed,
    }
}

/// A small generator, so that a failure can be repeated (Marsaglia's xorshift).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound.max(1) as u64) as usize
    }

    fn pieces<'a>(&mut self, mut bytes: &'a [u8]) -> Vec<&'a [u8]> {
        let mut pieces = Vec::new();
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(1 + self.below(bytes.len().min(40)));
            pieces.push(piece);
            bytes = rest;
        }
        pieces
    }
}

#[test]
fn every_vector_has_its_verdict_however_it_is_cut() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for (name, text, verdict) in VECTORS {
        let whole = judge([text.as_bytes()]);
        assert_eq!(whole.verdict, *verdict, "{name}: {text:?}");
        assert_eq!(
            judge(text.as_bytes().chunks(1)).verdict,
            *verdict,
            "{name}, byte by byte"
        );
        for _ in 0..50 {
            assert_eq!(
                judge(random.pieces(text.as_bytes())).verdict,
                *verdict,
                "{name}, in pieces"
            );
        }
    }
}

#[test]
fn what_passes_is_handed_on_byte_for_byte() {
    for (name, text, verdict) in VECTORS {
        if let Requests(_) = verdict {
            let handed = judge(text.as_bytes().chunks(3)).handed.concat();
            let stripped = |bytes: &[u8]| {
                String::from_utf8_lossy(bytes)
                    .trim_start_matches("\r\n")
                    .replace("\r\n\r\n\r\nGET", "\r\n\r\nGET")
            };
            assert_eq!(stripped(&handed), stripped(text.as_bytes()), "{name}");
        }
    }
}

#[test]
fn nothing_refused_ever_looks_complete() {
    for (name, text, verdict) in VECTORS {
        let Refused(complete, _) = verdict else {
            continue;
        };
        for outcome in [judge([text.as_bytes()]), judge(text.as_bytes().chunks(1))] {
            assert!(outcome.handed.len() <= complete + 1, "{name}");
            let Some(partial) = outcome.handed.get(*complete) else {
                continue;
            };
            let body = partial
                .windows(4)
                .position(|window| window == b"\r\n\r\n")
                .map_or(0, |at| at + 4);
            // At most chunks that were whole, and never the last one.
            let chunks = String::from_utf8_lossy(&partial[body..]).into_owned();
            assert!(
                !chunks.contains("0\r\n")
                    && (chunks.is_empty()
                        || chunks.ends_with("\r\n")
                        || chunks.contains("\r\nabc")),
                "{name}: {chunks:?}"
            );
        }
    }
}

#[test]
fn limits_hold_however_it_is_cut() {
    let long_target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(2000));
    let long_header = get!("X: y").replace('y', &"y".repeat(2000));
    let long_without_end = &long_header[..1500];
    let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10));
    let enough = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(9));
    let trailers = format!("{}{}\r\n", chunked!("0\r\n"), "X: y\r\n".repeat(11));
    let long_trailer = format!("{}X: {}\r\n\r\n", chunked!("0\r\n"), "y".repeat(1024));
    let extension = format!("{}3;{}\r\nabc\r\n0\r\n\r\n", chunked!(""), "x".repeat(256));
    let extensions = format!(
        "{}{}0\r\n\r\n",
        chunked!(""),
        format!("1;{}\r\na\r\n", "x".repeat(255)).repeat(65)
    );
    let chunks = format!(
        "{}{}0\r\n\r\n",
        chunked!(""),
        "400\r\n".to_owned() + &"a".repeat(1024) + "\r\n"
    );
    for (text, verdict) in [
        (long_target.as_str(), Refused(0, TargetTooLong)),
        (&long_target[..1500], Refused(0, TargetTooLong)),
        (&long_header, Refused(0, HeadTooLarge)),
        (long_without_end, Refused(0, HeadTooLarge)),
        (&many, Refused(0, TooManyHeaders)),
        (&enough, Requests(1)),
        (&trailers, Refused(0, TooManyHeaders)),
        (&long_trailer, Refused(0, TrailersTooLarge)),
        (&extension, Refused(0, ChunkExtension)),
        (&extensions, Refused(0, ChunkExtension)),
        (&chunks, Requests(1)),
    ] {
        assert_eq!(judge([text.as_bytes()]).verdict, verdict, "{}", &text[..60]);
        assert_eq!(
            judge(text.as_bytes().chunks(1)).verdict,
            verdict,
            "{}",
            &text[..60]
        );
        assert_eq!(
            judge(text.as_bytes().chunks(777)).verdict,
            verdict,
            "{}",
            &text[..60]
        );
    }
}

#[test]
fn upgrades_and_expectations_are_told() {
    let head = |text: &str| {
        Framing::new(LIMITS)
            .head(text.as_bytes())
            .ok()
            .flatten()
            .expect("a head")
    };
    assert!(head(get!("Upgrade: websocket")).upgrade);
    assert!(!head(get!("Upgrade: h2c")).upgrade);
    assert!(!head(get!("Upgrade: websocket, H2C")).upgrade);
    assert!(!head(get!("Upgrade: h2c\r\nUpgrade: websocket")).upgrade);
    assert!(!head("GET / HTTP/1.0\r\nUpgrade: websocket\r\n\r\n").upgrade);
    assert!(head(post!("Content-Length: 1\r\nExpect: 100-Continue", "")).expects_continue);
}

/// Whatever passes here must be read the same by the parser behind it.
#[test]
fn what_passes_is_read_the_same_by_httparse() {
    let mut random = Random(42);
    let mut passed = 0;
    let alphabet = b"\r\n\t :;,0159aAxGETchunkedHost/\\#%\0\x7f\x80";
    for round in 0..40_000 {
        let (_, text, _) = VECTORS[round % VECTORS.len()];
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..1 + random.below(3) {
            let (at, byte) = (
                random.below(bytes.len()),
                alphabet[random.below(alphabet.len())],
            );
            match random.below(3) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
            if bytes.is_empty() {
                bytes.push(byte);
            }
        }
        let Ok(Some(head)) = Framing::new(LIMITS).head(&bytes) else {
            continue;
        };
        passed += 1;
        // As it is handed on.
        let raw = Bytes::copy_from_slice(&bytes[head.start..head.end]);
        let raw = target::encoded(&raw).unwrap_or(raw);
        let mut headers = [httparse::EMPTY_HEADER; 16];
        let mut request = httparse::Request::new(&mut headers);
        let parsed = request.parse(&raw);
        assert_eq!(
            parsed,
            Ok(httparse::Status::Complete(raw.len())),
            "{:?}",
            raw.escape_ascii().to_string()
        );
        let count = |name: &str| {
            request
                .headers
                .iter()
                .filter(|header| header.name.eq_ignore_ascii_case(name))
                .count()
        };
        assert!(count("host") <= 1 && count("content-length") + count("transfer-encoding") <= 1);
        let line = raw.split(|&b| b == b'\r').next().unwrap_or_default();
        let written = format!(
            "{} {} HTTP/1.{}",
            request.method.unwrap_or(""),
            request.path.unwrap_or(""),
            request.version.unwrap_or(9)
        );
        assert_eq!(written.as_bytes(), line);
    }
    assert!(
        passed > 5_000,
        "the mutations leave enough to compare: {passed}"
    );
}
