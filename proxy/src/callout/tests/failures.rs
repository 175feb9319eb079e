use super::*;
use crate::callout::response::BODY_BYTES_MAX;

async fn hold(stream: TcpStream) {
    std::future::pending::<()>().await;
    drop(stream);
}

fn short(read: u64) -> UpstreamTimeouts {
    UpstreamTimeouts {
        read: Duration::from_millis(read),
        write: Duration::from_millis(read),
        ..TIMEOUTS
    }
}

#[tokio::test]
async fn a_refused_connection_is_a_503() {
    let refusing = Refusing::bind();
    let upstreams = upstream(&[refusing.address()], UpstreamProtocol::H1, TIMEOUTS);
    let response = Callouts::new().call(&upstreams, call("GET", "/")).await;
    assert_eq!(response.headers, bytes_of(&[(":status", "503")]));
    assert_eq!(response.status, (0, String::new()));
}

#[tokio::test]
async fn another_endpoint_is_asked_where_one_refuses() {
    let (one, other) = (Refusing::bind(), Refusing::bind());
    let origin = Origin::serve(UpstreamProtocol::H1, |_| async {
        Response::new(full("here"))
    })
    .await;
    let upstreams = upstream(
        &[one.address(), origin.address, other.address()],
        UpstreamProtocol::H1,
        TIMEOUTS,
    );
    let callouts = Callouts::new();
    for _ in 0..6 {
        let response = callouts.call(&upstreams, call("POST", "/")).await;
        assert_eq!(response.body, b"here", "{response:?}");
    }
}

#[tokio::test]
async fn the_guests_timeout_is_a_504() {
    let origin = Origin::accept(hold).await;
    for protocol in [UpstreamProtocol::H1, UpstreamProtocol::H2] {
        let upstreams = upstream(&[origin.address], protocol, TIMEOUTS);
        let call = HttpCall {
            timeout: Some(Duration::from_millis(50)),
            ..call("GET", "/")
        };
        let response = Callouts::new().call(&upstreams, call).await;
        assert_eq!(
            response.headers,
            bytes_of(&[(":status", "504")]),
            "{protocol:?}"
        );
        assert_eq!(response.status, (0, String::new()));
    }
}

#[tokio::test]
async fn the_upstreams_read_timeout_is_a_504_at_the_head_and_in_the_body() {
    let silent = Origin::accept(hold).await;
    let stalling = Origin::accept(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf")
            .await
            .unwrap();
        hold(stream).await;
    })
    .await;
    for origin in [silent, stalling] {
        let upstreams = upstream(&[origin.address], UpstreamProtocol::H1, short(50));
        for body in [Vec::new(), b"body".to_vec()] {
            let response = Callouts::new()
                .call(
                    &upstreams,
                    HttpCall {
                        body,
                        ..call("POST", "/")
                    },
                )
                .await;
            assert_eq!(response.headers, bytes_of(&[(":status", "504")]));
            assert!(response.body.is_empty());
        }
    }
}

#[tokio::test]
async fn an_upstream_without_addresses_is_a_503() {
    // A name server that never answers.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let at = Location::whole(Path::new("test.yaml"));
    let host = EndpointHost::Name("origin.test".to_owned());
    let endpoints = vec![Endpoint {
        host,
        port: 80,
        at: at.clone(),
    }];
    let upstream = Upstream {
        name: "origin".to_owned(),
        endpoints,
        protocol: UpstreamProtocol::H1,
        timeouts: TIMEOUTS,
        at,
    };
    let dns = Dns {
        servers: vec![silent.local_addr().unwrap()],
        refresh: Duration::from_secs(5),
    };
    let resolver = Resolver::new(tokio::runtime::Handle::current(), |_, _| {});
    let upstreams = Upstreams::with_parts(&[upstream], &dns, &resolver);
    let gone = HttpCall {
        upstream: "gone".to_owned(),
        ..call("GET", "/")
    };
    for call in [call("GET", "/"), gone] {
        let response = Callouts::new().call(&upstreams, call).await;
        assert_eq!(response.headers, bytes_of(&[(":status", "503")]));
        assert_eq!(response.status, (0, String::new()));
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_a_failure_and_one_at_the_limit_is_none() {
    for protocol in [UpstreamProtocol::H1, UpstreamProtocol::H2] {
        for (bytes, known, fits) in [
            (BODY_BYTES_MAX, true, true),
            (BODY_BYTES_MAX, false, true),
            (BODY_BYTES_MAX + 1, true, false),
            (BODY_BYTES_MAX + 1, false, false),
        ] {
            let origin = Origin::serve(protocol, move |_| async move {
                let whole = Bytes::from(vec![b'x'; bytes]);
                // A stream has no length to announce.
                let frames = futures::stream::iter([Ok(hyper::body::Frame::data(whole.clone()))]);
                let streamed = BodyExt::boxed(http_body_util::StreamBody::new(frames));
                Response::new(if known { full(whole) } else { streamed })
            })
            .await;
            let upstreams = upstream(&[origin.address], protocol, TIMEOUTS);
            let response = Callouts::new().call(&upstreams, call("GET", "/")).await;
            if fits {
                assert_eq!(
                    (status(&response), response.body.len()),
                    (Some("200"), bytes)
                );
            } else {
                assert_failed(&response, "larger than");
            }
        }
    }
}

#[tokio::test]
async fn what_is_cut_off_or_no_http_is_a_failure() {
    for raw in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ] {
        let origin = Origin::raw(raw).await;
        assert_failed(
            &Callouts::new().call(&h1(&origin), call("GET", "/")).await,
            "",
        );
        let http2 = upstream(&[origin.address], UpstreamProtocol::H2, TIMEOUTS);
        assert_failed(&Callouts::new().call(&http2, call("GET", "/")).await, "");
    }
}

#[tokio::test]
async fn a_stream_that_is_reset_is_a_failure() {
    let origin = Origin::serve(UpstreamProtocol::H2, |_| async {
        let frames = [
            Ok(hyper::body::Frame::data(Bytes::from_static(b"half"))),
            Err(broken().await),
        ];
        let body = http_body_util::StreamBody::new(futures::stream::iter(frames));
        Response::new(BodyExt::boxed(body))
    })
    .await;
    let upstreams = upstream(&[origin.address], UpstreamProtocol::H2, TIMEOUTS);
    assert_failed(
        &Callouts::new().call(&upstreams, call("GET", "/")).await,
        "",
    );
}

/// An error as only hyper can make it.
async fn broken() -> hyper::Error {
    let (near, far) = tokio::io::duplex(64);
    drop(far);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake::<_, Full<Bytes>>(TokioIo::new(near))
            .await
            .unwrap();
    tokio::spawn(connection);
    sender
        .send_request(Request::new(Full::default()))
        .await
        .unwrap_err()
}

#[tokio::test]
async fn a_request_that_http_cannot_carry_is_never_sent() {
    let origin = Origin::accept(hold).await;
    let upstreams = h1(&origin);
    let mut bad = call("GET", "/");
    bad.headers.extend(bytes_of(&[("x", "a\r\nx: b")]));
    assert_failed(
        &Callouts::new().call(&upstreams, bad).await,
        "invalid header",
    );
    let split = call("GET", "/ HTTP/1.1\r\nx: y");
    assert_failed(&Callouts::new().call(&upstreams, split).await, ":path");
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn a_call_that_is_given_up_closes_its_connection() {
    let (events, mut seen) = tokio::sync::mpsc::channel(2);
    let origin = Origin::accept(move |mut stream| {
        let events = events.clone();
        async move {
            let head = read_head(&mut stream).await;
            events.send(head.is_empty()).await.unwrap();
            events
                .send(read_head(&mut stream).await.is_empty())
                .await
                .unwrap();
        }
    })
    .await;
    let upstreams = h1(&origin);
    let callouts = Callouts::new();
    let mut call = Box::pin(callouts.call(&upstreams, call("GET", "/")));
    tokio::select! {
        response = &mut call => panic!("nobody answered this: {response:?}"),
        request = seen.recv() => assert_eq!(request, Some(false)),
    }
    drop(call);
    let closed = tokio::time::timeout(Duration::from_secs(10), seen.recv()).await;
    assert_eq!(closed, Ok(Some(true)));
}
