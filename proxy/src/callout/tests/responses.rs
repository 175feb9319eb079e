use super::*;
use futures::future::join_all;
use http::{HeaderMap, HeaderValue};
use http_body_util::StreamBody;
use hyper::body::Frame;

/// Answers with what it was asked, as text, one field a line.
async fn echo(request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap();
    let mut lines = vec![format!("{} {} {:?}", head.method, head.uri, head.version)];
    lines.extend(
        head.headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())),
    );
    let trailers = body.trailers().cloned().unwrap_or_default();
    lines.extend(
        trailers
            .iter()
            .map(|(name, value)| format!("trailer {name}: {}", value.to_str().unwrap())),
    );
    lines.push(String::from_utf8(body.to_bytes().to_vec()).unwrap());
    let reply = Response::builder()
        .status(418)
        .header("X-One", "1")
        .header("set-cookie", "a")
        .header("set-cookie", "b");
    reply.body(full(lines.join("\n"))).unwrap()
}

fn asking() -> HttpCall {
    let mut call = call("POST", "/p?q");
    call.headers.extend(bytes_of(&[
        ("X-Two", "2"),
        ("te", "trailers"),
        ("connection", "close"),
        ("host", "other"),
    ]));
    call.body = b"the body".to_vec();
    call
}

#[tokio::test]
async fn http1_carries_the_request_and_the_response() {
    let origin = Origin::serve(UpstreamProtocol::H1, echo).await;
    let response = Callouts::new().call(&h1(&origin), asking()).await;
    let seen = String::from_utf8(response.body.clone()).unwrap();
    let mut lines: Vec<_> = seen.lines().collect();
    lines[1..6].sort_unstable();
    let wanted = [
        "POST /p?q HTTP/1.1",
        "connection: te",
        "content-length: 8",
        "host: example.com",
        "te: trailers",
        "x-two: 2",
        "the body",
    ];
    assert_eq!(lines, wanted);
    assert_eq!(response.headers[0], (b":status".to_vec(), b"418".to_vec()));
    assert_eq!(header(&response, "x-one"), Some("1"));
    let cookies = response
        .headers
        .iter()
        .filter(|(name, _)| name == b"set-cookie");
    assert_eq!(
        cookies
            .map(|(_, value)| value.as_slice())
            .collect::<Vec<_>>(),
        [b"a", b"b"]
    );
    assert_eq!(response.status, (0, String::new()));
}

#[tokio::test]
async fn http2_by_prior_knowledge_carries_the_request_and_the_response() {
    let origin = Origin::serve(UpstreamProtocol::H2, echo).await;
    let upstreams = upstream(&[origin.address], UpstreamProtocol::H2, TIMEOUTS);
    let response = Callouts::new().call(&upstreams, asking()).await;
    let seen = String::from_utf8(response.body.clone()).unwrap();
    let mut lines: Vec<_> = seen.lines().collect();
    lines[1..4].sort_unstable();
    let wanted = [
        "POST http://example.com/p?q HTTP/2.0",
        "content-length: 8",
        "te: trailers",
        "x-two: 2",
        "the body",
    ];
    assert_eq!(lines, wanted);
    assert_eq!(response.headers[0], (b":status".to_vec(), b"418".to_vec()));
    assert_eq!(response.status, (0, String::new()));
}

#[tokio::test]
async fn trailers_go_both_ways_over_either_protocol() {
    for protocol in [UpstreamProtocol::H1, UpstreamProtocol::H2] {
        let origin = Origin::serve(protocol, |request| async {
            let trailers = request
                .into_body()
                .collect()
                .await
                .unwrap()
                .trailers()
                .cloned()
                .unwrap_or_default();
            let mut back = HeaderMap::new();
            back.insert(
                "x-back",
                trailers
                    .get("x-sum")
                    .cloned()
                    .unwrap_or(HeaderValue::from_static("none")),
            );
            let frames = [
                Ok(Frame::data(Bytes::from_static(b"data"))),
                Ok(Frame::trailers(back)),
            ];
            let body = StreamBody::new(futures::stream::iter(frames));
            Response::builder()
                .header("trailer", "x-back")
                .body(BodyExt::boxed(body))
                .unwrap()
        })
        .await;
        let upstreams = upstream(&[origin.address], protocol, TIMEOUTS);
        for body in [b"some".to_vec(), Vec::new()] {
            let mut call = asking();
            call.body = body;
            call.trailers = bytes_of(&[("X-Sum", "7")]);
            let response = Callouts::new().call(&upstreams, call).await;
            assert_eq!(status(&response), Some("200"), "{response:?}");
            assert_eq!(response.body, b"data");
            assert_eq!(
                response.trailers,
                bytes_of(&[("x-back", "7")]),
                "{protocol:?}"
            );
        }
    }
}

#[tokio::test]
async fn calls_one_after_the_other_share_a_connection() {
    for protocol in [UpstreamProtocol::H1, UpstreamProtocol::H2] {
        let origin = Origin::serve(protocol, echo).await;
        let upstreams = upstream(&[origin.address], protocol, TIMEOUTS);
        let callouts = Callouts::new();
        for _ in 0..20 {
            assert_eq!(
                status(&callouts.call(&upstreams, asking()).await),
                Some("418")
            );
            // The next call comes with another event of the worker.
            tokio::task::yield_now().await;
        }
        assert_eq!(origin.connections(), 1, "{protocol:?}");
    }
}

#[tokio::test]
async fn calls_at_the_same_time_do_not_wait_for_each_other() {
    for protocol in [UpstreamProtocol::H1, UpstreamProtocol::H2] {
        let meeting = Arc::new(tokio::sync::Barrier::new(10));
        let origin = Origin::serve(protocol, move |_| {
            let meeting = Arc::clone(&meeting);
            async move {
                meeting.wait().await;
                Response::new(full("met"))
            }
        })
        .await;
        let upstreams = upstream(&[origin.address], protocol, TIMEOUTS);
        let callouts = Callouts::new();
        let responses =
            join_all((0..10).map(|_| callouts.call(&upstreams, call("GET", "/")))).await;
        assert!(
            responses.iter().all(|response| response.body == b"met"),
            "{protocol:?}"
        );
    }
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let origin =
        Origin::raw(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\ncontent-length: 0\r\n\r\n")
            .await;
    let response = Callouts::new().call(&h1(&origin), call("GET", "/")).await;
    assert_eq!(
        (status(&response), header(&response, "location")),
        (Some("302"), Some("/elsewhere"))
    );
    assert_eq!(origin.connections(), 1);
}

#[tokio::test]
async fn responses_end_as_their_framing_says() {
    for (method, raw, wanted) in [
        ("GET", &b"HTTP/1.1 200 OK\r\n\r\nuntil the end"[..], &b"until the end"[..]),
        ("GET", b"HTTP/1.0 200 OK\r\n\r\nold", b"old"),
        ("GET", b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", b"abcde"),
        ("HEAD", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx", b"x"),
    ] {
        let origin = Origin::raw(raw).await;
        let response = Callouts::new().call(&h1(&origin), call(method, "/")).await;
        assert_eq!(response.body, wanted, "{}", raw.escape_ascii());
        assert_eq!(response.status, (0, String::new()), "{}", raw.escape_ascii());
        assert!(header(&response, "transfer-encoding").is_none() && header(&response, "link").is_none());
    }
}

#[tokio::test]
async fn an_unused_connection_is_closed_after_its_time() {
    for protocol in [UpstreamProtocol::H1, UpstreamProtocol::H2] {
        let (closed, mut on_close) = tokio::sync::mpsc::channel(1);
        let origin = Origin::accept(move |stream| {
            let closed = closed.clone();
            async move {
                let service =
                    service_fn(|request| async { Ok::<_, hyper::Error>(echo(request).await) });
                let io = TokioIo::new(stream);
                let _ = match protocol {
                    UpstreamProtocol::H1 => {
                        http1::Builder::new().serve_connection(io, service).await
                    }
                    UpstreamProtocol::H2 => {
                        http2::Builder::new(TokioExecutor::new())
                            .serve_connection(io, service)
                            .await
                    }
                };
                closed.send(()).await.unwrap();
            }
        })
        .await;
        let timeouts = UpstreamTimeouts {
            idle: Duration::from_millis(50),
            ..TIMEOUTS
        };
        let upstreams = upstream(&[origin.address], protocol, timeouts);
        let callouts = Callouts::new();
        assert_eq!(
            status(&callouts.call(&upstreams, asking()).await),
            Some("418")
        );
        let closed = tokio::time::timeout(Duration::from_secs(10), on_close.recv()).await;
        assert_eq!(closed, Ok(Some(())), "{protocol:?}");
        assert_eq!(
            status(&callouts.call(&upstreams, asking()).await),
            Some("418")
        );
        assert_eq!(origin.connections(), 2);
    }
}

#[tokio::test]
async fn an_origin_that_closed_a_kept_connection_is_asked_over_a_new_one() {
    // Each connection answers once, reads a second request, and closes without a word.
    let origin = Origin::accept(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            .await
            .unwrap();
        read_head(&mut stream).await;
    })
    .await;
    let upstreams = h1(&origin);
    let callouts = Callouts::new();
    for _ in 0..3 {
        assert_eq!(
            status(&callouts.call(&upstreams, call("GET", "/")).await),
            Some("200")
        );
        tokio::task::yield_now().await;
    }
    assert_eq!(origin.connections(), 3);
    // The origin may have acted on it: not sent twice.
    assert_failed(&callouts.call(&upstreams, call("POST", "/")).await, "");
    assert_eq!(origin.connections(), 3);
}
