//! Requests that two parsers may read differently are refused with 400, and no byte of them reaches an origin: over
//! clear text and TLS, without a chain and with one.

use portcullis_tests::deadline::until;
use portcullis_tests::metrics::Metrics;
use portcullis_tests::raw::Wire;
use portcullis_tests::{Authority, Config, Filter, Proxy, RawClient, RawOrigin};
use serde_json::json;

/// What is sent, after a good request on the same connection. Each contains the word `marker`, by which the origin's
/// bytes are searched; `GET /smuggled` is what a naive parser would take for a request of its own.
const REFUSED: [(&str, &str); 31] = [
    ("no Host", "GET /marker HTTP/1.1\r\n\r\n"),
    (
        "two Hosts",
        "GET /marker HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    ),
    (
        "Host with a space",
        "GET /marker HTTP/1.1\r\nhost: a b\r\n\r\n",
    ),
    (
        "Host with a path",
        "GET /marker HTTP/1.1\r\nhost: a/b\r\n\r\n",
    ),
    (
        "target and Host disagree",
        "GET http://b/marker HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "space in the target",
        "GET /mar ker/marker HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "NUL in the target",
        "GET /\0/marker HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "tab in the target",
        "GET /\t/marker HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "CR in the target",
        "GET /\r/marker HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "fragment in the target",
        "GET /marker#fragment HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "encoded NUL in the path",
        "GET /%00/marker HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "space before a colon",
        "GET /marker HTTP/1.1\r\nhost: a\r\ncontent-length : 5\r\n\r\nhello",
    ),
    (
        "no name before a colon",
        "GET /marker HTTP/1.1\r\nhost: a\r\n: empty\r\n\r\n",
    ),
    (
        "folded line",
        "GET /marker HTTP/1.1\r\nhost: a\r\nx-a: 1\r\n folded\r\n\r\n",
    ),
    ("bare LF", "GET /marker HTTP/1.1\nhost: a\n\n"),
    (
        "bare LF between headers",
        "GET /marker HTTP/1.1\r\nhost: a\nx-a: 1\r\n\r\n",
    ),
    (
        "NUL in a value",
        "GET /marker HTTP/1.1\r\nhost: a\r\nx-a: a\0b\r\n\r\n",
    ),
    (
        "bare CR in a value",
        "GET /marker HTTP/1.1\r\nhost: a\r\nx-a: a\rb\r\n\r\n",
    ),
    (
        "CL with TE",
        "POST /marker HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE with CL",
        "POST /marker HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    ),
    (
        "two lengths",
        "POST /marker HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello!",
    ),
    (
        "length with a sign",
        "POST /marker HTTP/1.1\r\nhost: a\r\ncontent-length: +5\r\n\r\nhello",
    ),
    (
        "length in hexadecimal",
        "POST /marker HTTP/1.1\r\nhost: a\r\ncontent-length: 0x5\r\n\r\nhello",
    ),
    (
        "length beyond all numbers",
        "POST /marker HTTP/1.1\r\nhost: a\r\ncontent-length: 99999999999999999999\r\n\r\nhello",
    ),
    (
        "two TE lines",
        "POST /marker HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "chunked twice",
        "POST /marker HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "obfuscated TE",
        "POST /marker HTTP/1.1\r\nhost: a\r\ntransfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "TE with a tab",
        "POST /marker HTTP/1.1\r\nhost: a\r\ntransfer-encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
    ),
    (
        "identity TE",
        "POST /marker HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity\r\ncontent-length: 5\r\n\r\nhello",
    ),
    (
        "TE in HTTP/1.0",
        "POST /marker HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ),
    ("unknown version", "GET /marker HTTP/1.7\r\nhost: a\r\n\r\n"),
];

/// Bodies that turn out to be malformed when the head has been taken. The head may be with the origin already, but
/// never a complete request, and never what follows the flaw.
const MALFORMED_BODIES: [(&str, &str); 9] = [
    (
        "empty chunk size",
        "\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "chunk size in another base",
        "0x5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "chunk size with a sign",
        "+5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "chunk size with a space",
        "5 5\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "chunk size beyond all numbers",
        "fffffffffffffffff\r\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "no end of line after the data",
        "5\r\nhello0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "bare LF after a size",
        "5\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "bare LF in an extension",
        "5;a\nhello\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
    (
        "bare LF after the data",
        "5\r\nhello\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n",
    ),
];

struct Case {
    origin: RawOrigin,
    proxy: Proxy,
    authority: Option<Authority>,
}

impl Case {
    async fn new(tls: bool, chain: Option<Filter>) -> Self {
        let origin = RawOrigin::recording().await;
        let mut config = Config::new().origin(origin.address());
        let authority = tls.then(Authority::new);
        if let Some(authority) = &authority {
            let (certificate, key) = authority.issue(&["localhost"]);
            config = config.tls(&certificate, &key);
        }
        if let Some(filter) = chain {
            config = config.filter("chain", filter);
        }
        Self {
            origin,
            proxy: config.start().await,
            authority,
        }
    }

    async fn connect(&self) -> Wire {
        match &self.authority {
            Some(authority) => RawClient::tls(self.proxy.address(), authority).await,
            None => self.proxy.raw().await,
        }
    }

    fn seen(&self) -> String {
        String::from_utf8_lossy(&self.origin.bytes()).into_owned()
    }

    /// As the first request of a connection, and as the second.
    async fn check_refused(&self) {
        for (what, bytes) in REFUSED {
            for second in [false, true] {
                let mut wire = self.connect().await;
                if second {
                    wire.send("GET /good HTTP/1.1\r\nhost: a\r\n\r\n").await;
                    assert_eq!(wire.answer().await.status, 200, "before {what}");
                }
                wire.send(bytes).await;
                let answer = wire
                    .try_answer_to("GET")
                    .await
                    .unwrap_or_else(|| panic!("{what}: closed without an answer"));
                let status = answer.status;
                assert!(
                    status == 400 || (what == "unknown version" && status == 505),
                    "{what}: {status}"
                );
                assert!(wire.closed().await, "{what}: the connection is closed");
            }
            assert!(
                !self.seen().contains("marker"),
                "{what} reached the origin:\n{}",
                self.seen()
            );
        }
        let all = 2 * REFUSED.len();
        let counted =
            |metrics: &Metrics| metrics.sum("portcullis_requests_refused_total", &[]) >= all as f64;
        self.proxy
            .until_metrics("all refusals in the metrics", counted)
            .await;
        until("all refusals in the access log", async || {
            let lines = self.proxy.access_log();
            let refused = lines
                .iter()
                .filter(|line| line["status"] == 400 || line["status"] == 505);
            (refused.count() >= all).then_some(())
        })
        .await;
    }

    async fn check_malformed_bodies(&self) {
        for (what, body) in MALFORMED_BODIES {
            let mut wire = self.connect().await;
            wire.send("POST /chunked HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
                .await;
            let _ = wire.try_send(body).await;
            if let Some(answer) = wire.try_answer_to("POST").await {
                assert_eq!(answer.status, 400, "{what}");
            }
            assert!(wire.closed().await, "{what}: the connection is closed");
            let seen = self.seen();
            assert!(!seen.contains("smuggled"), "{what}: smuggled:\n{seen}");
            // Held back whole, or begun and never ended.
            if let Some((_, begun)) = seen.rsplit_once("POST /chunked") {
                let ended = begun.contains("\r\n0\r\n\r\n");
                assert!(!ended, "{what}: the origin saw an end:\n{begun}");
            }
            let mut wire = self.connect().await;
            wire.send("GET /good HTTP/1.1\r\nhost: a\r\n\r\n").await;
            assert_eq!(wire.answer().await.status, 200, "after {what}");
        }
    }
}

fn streaming() -> Option<Filter> {
    Some(Filter::rust(
        json!({ "request_headers": [{ "set": ["x-a", "1"] }], "request_body": [{ "when": ["never", ["upper"]] }] }),
    ))
}

fn holding() -> Option<Filter> {
    Some(Filter::rust(json!({ "request_body": ["buffer"] })).hold())
}

#[tokio::test]
async fn without_a_chain() {
    let case = Case::new(false, None).await;
    case.check_refused().await;
    case.check_malformed_bodies().await;
}

#[tokio::test]
async fn with_a_streaming_chain() {
    let case = Case::new(false, streaming()).await;
    case.check_refused().await;
    case.check_malformed_bodies().await;
}

#[tokio::test]
async fn with_a_holding_chain() {
    let case = Case::new(false, holding()).await;
    case.check_refused().await;
    case.check_malformed_bodies().await;
}

#[tokio::test]
async fn over_tls_without_a_chain() {
    let case = Case::new(true, None).await;
    case.check_refused().await;
    case.check_malformed_bodies().await;
}

#[tokio::test]
async fn over_tls_with_a_chain() {
    let case = Case::new(true, streaming()).await;
    case.check_refused().await;
    case.check_malformed_bodies().await;
}

/// What is unusual and unambiguous passes.
#[tokio::test]
async fn good_requests_pass() {
    for chain in [None, streaming(), holding()] {
        let case = Case::new(false, chain).await;
        for (what, bytes) in [
            ("absolute form", "GET http://a/ HTTP/1.1\r\nhost: a\r\n\r\n"),
            (
                "chunk extension",
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            ),
            (
                "trailers",
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: 1\r\n\r\n",
            ),
            (
                "upper-case Chunked",
                "POST / HTTP/1.1\r\nhost: a\r\nTransfer-Encoding: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            ),
            (
                "zeros before a size",
                "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0005\r\nhello\r\n000\r\n\r\n",
            ),
            ("OPTIONS *", "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
            ("encoded space", "GET /a%20b HTTP/1.1\r\nhost: a\r\n\r\n"),
            (
                "empty value",
                "GET / HTTP/1.1\r\nhost: a\r\nx-empty:\r\n\r\n",
            ),
            ("HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"),
        ] {
            let mut wire = case.connect().await;
            wire.send(bytes).await;
            assert_eq!(wire.answer().await.status, 200, "{what}");
        }
    }
}

/// The preface of HTTP/2 cut short, or followed by nonsense, holds nothing up.
#[tokio::test]
async fn a_broken_h2_preface_ends() {
    let case = Case::new(false, None).await;
    for bytes in [
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense nonsense nonsense",
        "PRI * HTTP/1.1\r\nhost: a\r\n\r\n",
    ] {
        let mut wire = case.connect().await;
        wire.send(bytes).await;
        wire.finish().await;
        wire.rest().await;
        assert_eq!(case.proxy.get("/").await.status, 200);
    }
}
