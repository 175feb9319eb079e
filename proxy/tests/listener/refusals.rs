//! Every refusal, in one piece and byte by byte, in clear text and over TLS; and what the origin gets to see: nothing.

use portcullis::listener::{Refusal, RefusedIn};

use crate::client::Client;
use crate::origin::Origin;
use crate::proxy::{Proxy, limits};

/// Refused in the head. `@` stands for a path of its own.
const HEADS: &[(&str, Refusal)] = &[
    (
        "\r\n\r\nGET @ HTTP/1.1\r\nHost: a\r\n\r\n",
        Refusal::EmptyLines,
    ),
    ("GET @ HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", Refusal::BareLf),
    (
        "GET @ HTTP/1.1\r\nHost: a\r\nX: y\rz\r\n\r\n",
        Refusal::BareCr,
    ),
    ("G@T @ HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::Method),
    (
        "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n",
        Refusal::Connect,
    ),
    ("GET @\r\n\r\n", Refusal::Version),
    (
        "GET @ HTTP/3.0\r\nHost: a\r\n\r\n",
        Refusal::VersionUnsupported,
    ),
    ("GET @ x HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::TargetBytes),
    ("GET @\0 HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::TargetBytes),
    ("GET a@ HTTP/1.1\r\nHost: a\r\n\r\n", Refusal::TargetForm),
    ("GET @ HTTP/1.1\r\nHost : a\r\n\r\n", Refusal::HeaderName),
    (
        "GET @ HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        Refusal::HeaderValue,
    ),
    (
        "GET @ HTTP/1.1\r\nHost: a\r\nX: y\r\n z\r\n\r\n",
        Refusal::ObsFold,
    ),
    ("GET @ HTTP/1.1\r\n\r\n", Refusal::HostMissing),
    (
        "GET @ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        Refusal::HostRepeated,
    ),
    ("GET @ HTTP/1.1\r\nHost: a b\r\n\r\n", Refusal::HostInvalid),
    (
        "GET http://b@ HTTP/1.1\r\nHost: a\r\n\r\n",
        Refusal::HostMismatch,
    ),
    (
        "POST @ HTTP/1.1\r\nHost: a\r\nContent-Length: +3\r\n\r\nabc",
        Refusal::ContentLength,
    ),
    (
        "POST @ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        Refusal::ContentLengthRepeated,
    ),
    (
        "POST @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
        Refusal::TransferEncoding,
    ),
    (
        "POST @ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refusal::TransferEncodingRepeated,
    ),
    (
        "POST @ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refusal::TransferEncodingInHttp10,
    ),
    (
        "POST @ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        Refusal::LengthAndEncoding,
    ),
    (
        "POST @ HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n",
        Refusal::BodyTooLarge,
    ),
];

/// Refused in a chunked body, of which the origin may have got whole chunks.
const BODIES: &[(&str, Refusal)] = &[
    ("\r\n\r\n", Refusal::ChunkSize),
    ("3\r\nabc\r\n\r\n\r\n", Refusal::ChunkSize),
    ("0x3\r\nabc\r\n0\r\n\r\n", Refusal::ChunkSize),
    ("3;\x01\r\nabc\r\n0\r\n\r\n", Refusal::ChunkExtension),
    ("3;a\nabc\r\n0\r\n\r\n", Refusal::BareLf),
    ("3\r\nabcBAD\r\n0\r\n\r\n", Refusal::ChunkEnd),
    ("3\r\nabc\r\n0\r\n\rBAD", Refusal::BareCr),
    ("3\r\nabc\r\n0\r\nBAD /x HTTP/1.1\r\n\r\n", Refusal::Trailer),
    ("3\r\nabc\r\nFFFFFFFF\r\nBAD", Refusal::BodyTooLarge),
];

/// The four ways each case is sent.
struct Setting {
    proxy: Proxy,
    drip: bool,
    round: usize,
}

async fn settings(origin: &Origin) -> Vec<Setting> {
    let mut settings = Vec::new();
    for (round, (tls, drip)) in [(false, false), (false, true), (true, false), (true, true)]
        .into_iter()
        .enumerate()
    {
        settings.push(Setting {
            proxy: Proxy::start_with(origin, limits(), tls).await,
            drip,
            round,
        });
    }
    settings
}

impl Setting {
    async fn send(&self, bytes: &[u8]) -> String {
        let mut client = Client::connect(&self.proxy).await;
        if self.drip {
            client.drip(bytes).await
        } else {
            client.send(bytes).await
        }
        client.read_to_end().await
    }
}

fn assert_refused(response: &str, refusal: Refusal, case: &str) {
    let status_line = format!("HTTP/1.1 {} ", refusal.status());
    assert!(
        response.starts_with(&status_line),
        "{case:?} answered {response:?}"
    );
    assert!(
        response.contains("\r\nconnection: close\r\n"),
        "{response:?}"
    );
    assert!(
        response.ends_with(&format!(": {refusal}\n")),
        "{case:?} answered {response:?}"
    );
    assert_eq!(response.matches("HTTP/1.1").count(), 1, "{response:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_head_never_reaches_the_origin() {
    let origin = Origin::start().await;
    for setting in settings(&origin).await {
        for (index, (text, refusal)) in HEADS.iter().enumerate() {
            let path = format!("/{}-{index}", setting.round);
            let text = if *refusal == Refusal::Method {
                text.replace('@', "(")
            } else {
                text.replace('@', &path)
            };
            let response = setting.send(text.as_bytes()).await;
            assert_refused(&response, *refusal, &text);
            let refused = setting
                .proxy
                .refused
                .requests
                .lock()
                .pop()
                .expect("told to the sink");
            assert_eq!(
                (refused.reason, refused.part, refused.answered),
                (*refusal, RefusedIn::Head, true),
                "{text:?}"
            );
            assert!(
                text.as_bytes().starts_with(&refused.head),
                "the raw bytes are kept: {refused:?}"
            );
            assert!(
                refused.head.len() > text.find('\r').unwrap_or_default(),
                "{refused:?}"
            );
        }
        assert_eq!(
            setting.proxy.refused.reasons(),
            [],
            "one refusal for each request"
        );
        assert!(setting.proxy.seen().is_empty(), "no request came of any");
        setting.proxy.shut_down();
        setting.proxy.drained().await;
    }
    assert_eq!(origin.recorded(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_body_has_no_end_at_the_origin() {
    let origin = Origin::start().await;
    for setting in settings(&origin).await {
        for (index, (body, refusal)) in BODIES.iter().enumerate() {
            let path = format!("/{}-{index}-", setting.round);
            let head =
                format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
            let response = setting.send(format!("{head}{body}").as_bytes()).await;
            assert_refused(&response, *refusal, body);
            let refused = setting
                .proxy
                .refused
                .requests
                .lock()
                .pop()
                .expect("told to the sink");
            assert_eq!(
                (refused.reason, refused.part, refused.answered),
                (*refusal, RefusedIn::Body, true),
                "{body:?}"
            );
            assert_eq!(refused.head, head.as_bytes());
        }
        setting.proxy.shut_down();
        setting.proxy.drained().await;
    }
    origin.left_alone().await;
    let recorded = origin.recorded();
    assert!(
        !recorded.contains("0\r\n\r\n") && !recorded.contains("BAD"),
        "{recorded:?}"
    );
    assert!(
        !recorded.replace("HTTP/1.1", "").contains("HTTP"),
        "{recorded:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_head() {
    let origin = Origin::start().await;
    for setting in settings(&origin).await {
        let target = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(9000));
        let header = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
            "a".repeat(9000)
        );
        let many = format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(50));
        for (text, refusal) in [
            (target, Refusal::TargetTooLong),
            (header, Refusal::HeadTooLarge),
            (many, Refusal::TooManyHeaders),
        ] {
            assert_refused(&setting.send(text.as_bytes()).await, refusal, &text[..30]);
        }
        let most = format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}Connection: close\r\n\r\n",
            "X: y\r\n".repeat(48)
        );
        assert!(
            setting
                .send(most.as_bytes())
                .await
                .starts_with("HTTP/1.1 200 ")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_breaks_off_is_refused() {
    use tokio::io::AsyncWriteExt;
    let origin = Origin::start().await;
    let proxy = Proxy::start(&origin, limits()).await;
    let mut client = Client::connect(&proxy).await;
    client.send("GET / HTTP/1.1\r\nHost: a\r\n").await;
    client.stream.shutdown().await.expect("half closed");
    assert_refused(
        &client.read_to_end().await,
        Refusal::HeadTruncated,
        "half a head",
    );
    assert_eq!(origin.recorded(), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_request_behind_a_good_one_waits_for_its_turn() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(&origin, limits()).await;
    let mut client = Client::connect(&proxy).await;
    client.send("GET /gate HTTP/1.1\r\nHost: a\r\n\r\nGET /bad HTTP/1.1\r\n\r\nGET /after HTTP/1.1\r\nHost: a\r\n\r\n").await;
    origin.received("/gate").await;
    assert_eq!(proxy.refused.reasons(), [], "not yet its turn");
    origin.gate.add_permits(1);
    let (head, body) = client.response().await;
    assert!(
        head.starts_with("HTTP/1.1 200 ") && body == "/gate 0",
        "{head}{body}"
    );
    assert_refused(
        &client.read_to_end().await,
        Refusal::HostMissing,
        "pipelined",
    );
    let recorded = origin.recorded();
    assert!(
        !recorded.contains("/bad") && !recorded.contains("/after"),
        "{recorded}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_after_the_response_began_is_not_answered_into_it() {
    let origin = Origin::start().await;
    let proxy = Proxy::start(&origin, limits()).await;
    let mut client = Client::connect(&proxy).await;
    client
        .send("POST /early HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        .await;
    let (head, body) = client.response().await;
    assert!(
        head.starts_with("HTTP/1.1 413 ") && body == "too large",
        "{head}"
    );
    client.drip("nonsense\r\n").await;
    assert_eq!(
        client.read_to_end().await,
        "",
        "nothing behind the response"
    );
}
