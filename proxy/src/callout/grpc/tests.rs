//! Calls against gRPC origins on the loopback, the well-behaved and the others.

use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use portcullis_abi::grpc::{self, GrpcCall, GrpcEvent, GrpcKind, GrpcSender, GrpcTarget};
use portcullis_config::model::UpstreamProtocol;
use tokio::sync::mpsc;

use super::frame::encode;
use super::{GrpcEnd, grpc_timeout};
use crate::callout::Callouts;
use crate::callout::tests::{Origin, Refusing, Reply, TIMEOUTS, full, upstream};
use crate::upstream::Upstreams;

fn fields(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = pairs
        .iter()
        .map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap()));
    pairs.collect()
}

/// A response of 200 with these parts of a body, then trailers.
fn reply(parts: &[Bytes], trailers: &[(&'static str, &str)]) -> Reply {
    let parts = parts.iter().cloned().map(Frame::data);
    let trailers = (!trailers.is_empty()).then(|| Frame::trailers(fields(trailers)));
    let frames: Vec<Result<_, hyper::Error>> = parts.chain(trailers).map(Ok).collect();
    Response::builder()
        .header("content-type", "application/grpc")
        .header("x-initial", "1")
        .body(StreamBody::new(stream::iter(frames)).boxed())
        .unwrap()
}

/// A head without a body.
fn alone(status: u16, pairs: &[(&'static str, &str)]) -> Reply {
    let mut response = Response::new(full(""));
    *response.status_mut() = status.try_into().unwrap();
    *response.headers_mut() = fields(pairs);
    response
}

async fn h2<F>(
    reply: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
) -> (Origin, Upstreams)
where
    F: Future<Output = Reply> + Send + 'static,
{
    let origin = Origin::serve(UpstreamProtocol::H2, reply).await;
    let upstreams = upstream(&[origin.address], UpstreamProtocol::H2, TIMEOUTS);
    (origin, upstreams)
}

fn call(kind: GrpcKind) -> (GrpcSender, GrpcCall) {
    let (sender, messages) = grpc::queue();
    let call = GrpcCall {
        token: 1,
        kind,
        target: GrpcTarget {
            upstream: "origin".to_owned(),
            authority: String::new(),
        },
        service: "a.Check".to_owned(),
        method: "Do".to_owned(),
        metadata: vec![
            (b"x-token".to_vec(), b"a".to_vec()),
            (b"content-type".to_vec(), b"text/html".to_vec()),
            (b"connection".to_vec(), b"x-other".to_vec()),
        ],
        timeout: Some(Duration::from_secs(5)),
        messages,
    };
    (sender, call)
}

/// Makes a call with the message `ask`, and answers what the guest would be told.
async fn ask(upstreams: &Upstreams, kind: GrpcKind) -> (Vec<GrpcEvent>, GrpcEnd) {
    let (sender, call) = call(kind);
    sender.send(b"ask").unwrap();
    sender.close();
    let mut events = Vec::new();
    let end = Callouts::new()
        .grpc(upstreams, call, &mut |event| {
            events.push(event);
            true
        })
        .await;
    (events, end)
}

/// The status of a call that must fail.
async fn failure(upstreams: &Upstreams) -> (u32, GrpcEnd) {
    let (mut events, end) = ask(upstreams, GrpcKind::Unary).await;
    match events.remove(0) {
        GrpcEvent::Close { status, message } => {
            assert!(events.is_empty());
            assert!(end == GrpcEnd::Answered || !message.is_empty());
            (status, end)
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_call_is_a_request_and_its_answer_the_message() {
    let (origin, upstreams) = h2(|request| async {
        let (head, body) = request.into_parts();
        assert_eq!(
            (head.method.as_str(), head.uri.path()),
            ("POST", "/a.Check/Do")
        );
        assert_eq!(head.uri.authority().unwrap(), "origin");
        for (name, value) in [
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            ("grpc-timeout", "5000m"),
            ("x-token", "a"),
        ] {
            assert_eq!(head.headers[name], value);
        }
        assert!(!head.headers.contains_key("connection"));
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!(body, encode(b"ask"));
        reply(&[encode(b"yes")], &[("grpc-status", "0")])
    })
    .await;
    for _ in 0..2 {
        assert_eq!(
            ask(&upstreams, GrpcKind::Unary).await,
            (vec![GrpcEvent::Answer(b"yes".to_vec())], GrpcEnd::Answered)
        );
    }
    assert_eq!(origin.connections(), 2, "each of these callers has its own");
}

#[tokio::test]
async fn a_stream_echoes_while_it_is_open() {
    let (_origin, upstreams) = h2(|request| async {
        let frames = stream::unfold(Some(request.into_body()), async |body| {
            let mut body = body?;
            let next = body.frame().await;
            let ended = || Frame::trailers(fields(&[("grpc-status", "0"), ("x-last", "1")]));
            match next {
                Some(frame) => Some((frame, Some(body))),
                None => Some((Ok(ended()), None)),
            }
        });
        Response::builder()
            .header("content-type", "application/grpc+proto")
            .body(StreamBody::new(frames).boxed())
            .unwrap()
    })
    .await;
    let (sender, call) = call(GrpcKind::Stream);
    let (told, mut events) = mpsc::channel(16);
    let task = tokio::spawn(async move {
        Callouts::new()
            .grpc(&upstreams, call, &mut |event| told.try_send(event).is_ok())
            .await
    });
    let initial = events.recv().await.unwrap();
    let GrpcEvent::InitialMetadata(metadata) = initial else {
        panic!("{initial:?}");
    };
    assert!(metadata.contains(&(b":status".to_vec(), b"200".to_vec())));
    for message in [&b"one"[..], b"", b"three"] {
        sender.send(message).unwrap();
        assert_eq!(
            events.recv().await.unwrap(),
            GrpcEvent::Message(message.to_vec())
        );
    }
    sender.close();
    let GrpcEvent::TrailingMetadata(metadata) = events.recv().await.unwrap() else {
        panic!("no trailing metadata");
    };
    assert!(metadata.contains(&(b"x-last".to_vec(), b"1".to_vec())));
    assert_eq!(
        events.recv().await.unwrap(),
        GrpcEvent::Close {
            status: 0,
            message: String::new()
        }
    );
    assert_eq!(task.await.unwrap(), GrpcEnd::Answered);
}

#[tokio::test]
async fn a_reset_of_the_guest_reaches_the_origin() {
    let (seen, mut said) = mpsc::channel(2);
    let (_origin, upstreams) = h2(move |request| {
        let seen = seen.clone();
        async move {
            seen.send("begun".to_owned()).await.unwrap();
            let ended = request.into_body().collect().await;
            seen.send(format!("{:?}", ended.unwrap_err()))
                .await
                .unwrap();
            alone(200, &[])
        }
    })
    .await;
    let (sender, call) = call(GrpcKind::Stream);
    sender.send(b"one").unwrap();
    let task = tokio::spawn(async move {
        Callouts::new()
            .grpc(&upstreams, call, &mut |event| panic!("{event:?}"))
            .await
    });
    assert_eq!(said.recv().await.unwrap(), "begun");
    drop(sender);
    let ended = said.recv().await.unwrap();
    assert!(ended.contains("CANCEL"), "{ended}");
    assert_eq!(task.await.unwrap(), GrpcEnd::Cancelled);
}

#[tokio::test]
async fn the_origins_word_decides() {
    let (_origin, upstreams) =
        h2(|_| async { alone(200, &[("grpc-status", "7"), ("grpc-message", "no%20way")]) }).await;
    let close = GrpcEvent::Close {
        status: 7,
        message: "no way".to_owned(),
    };
    let (events, end) = ask(&upstreams, GrpcKind::Unary).await;
    assert_eq!(
        (&events[..], end),
        (&[close.clone()][..], GrpcEnd::Answered)
    );
    let (events, _) = ask(&upstreams, GrpcKind::Stream).await;
    assert_eq!(events[0], GrpcEvent::InitialMetadata(Vec::new()));
    let GrpcEvent::TrailingMetadata(trailing) = &events[1] else {
        panic!("{events:?}");
    };
    assert!(trailing.contains(&(b"grpc-status".to_vec(), b"7".to_vec())));
    assert_eq!(events[2..], [close]);
}

#[tokio::test]
async fn answers_that_are_none_have_a_status() {
    let ok = [("grpc-status", "0")];
    let compressed = Bytes::from_static(b"\x01\0\0\0\x01x");
    let large = Bytes::from_static(b"\0\x7f\xff\xff\xff");
    let cut = Bytes::from_static(b"\0\0\0\0\x09x");
    let two = [encode(b"1"), encode(b"2")];
    type Make = Box<dyn Fn() -> Reply + Send + Sync>;
    let cases: [(&str, u32, Make); 10] = [
        ("http 503", 14, Box::new(|| alone(503, &[]))),
        (
            "http 404",
            12,
            Box::new(|| alone(404, &[("content-type", "text/html")])),
        ),
        (
            "html",
            2,
            Box::new(|| alone(200, &[("content-type", "text/html")])),
        ),
        ("no status", 2, Box::new(|| reply(&[encode(b"yes")], &[]))),
        (
            "trailers without it",
            2,
            Box::new(|| reply(&[encode(b"yes")], &[("x", "y")])),
        ),
        ("no message", 13, Box::new(move || reply(&[], &ok))),
        ("two messages", 13, Box::new(move || reply(&two, &ok))),
        (
            "compressed",
            13,
            Box::new(move || reply(std::slice::from_ref(&compressed), &ok)),
        ),
        (
            "too large",
            8,
            Box::new(move || reply(std::slice::from_ref(&large), &ok)),
        ),
        (
            "cut off",
            13,
            Box::new(move || reply(std::slice::from_ref(&cut), &ok)),
        ),
    ];
    for (what, wanted, make) in cases {
        let make = std::sync::Arc::new(make);
        let (_origin, upstreams) = h2(move |_| {
            let make = make.clone();
            async move { make() }
        })
        .await;
        assert_eq!(
            failure(&upstreams).await,
            (wanted, GrpcEnd::Failed),
            "{what}"
        );
    }
}

#[tokio::test]
async fn an_origin_that_is_not_there_is_unavailable() {
    let refusing = Refusing::bind();
    let unavailable = (14, GrpcEnd::Failed);
    let upstreams = upstream(&[refusing.address()], UpstreamProtocol::H2, TIMEOUTS);
    assert_eq!(failure(&upstreams).await, unavailable);
    let (events, _) = ask(&upstreams, GrpcKind::Stream).await;
    assert_eq!(events[0], GrpcEvent::TrailingMetadata(Vec::new()));
    assert!(matches!(events[1], GrpcEvent::Close { status: 14, .. }));
    let upstreams = upstream(&[], UpstreamProtocol::H2, TIMEOUTS);
    assert_eq!(failure(&upstreams).await, unavailable);
    let origin = Origin::serve(UpstreamProtocol::H1, |_| async { alone(200, &[]) }).await;
    let upstreams = upstream(&[origin.address], UpstreamProtocol::H1, TIMEOUTS);
    assert_eq!(failure(&upstreams).await, unavailable);
    // Accepts, and closes at once: the call may have been on its way.
    let origin = Origin::accept(|stream| async { drop(stream) }).await;
    let upstreams = upstream(&[origin.address], UpstreamProtocol::H2, TIMEOUTS);
    assert_eq!(failure(&upstreams).await, unavailable);
}

#[tokio::test]
async fn another_endpoint_is_asked_where_one_refuses() {
    let refusing = Refusing::bind();
    let origin = Origin::serve(UpstreamProtocol::H2, |_| async {
        reply(&[encode(b"here")], &[("grpc-status", "0")])
    })
    .await;
    let addresses = [refusing.address(), origin.address];
    let upstreams = upstream(&addresses, UpstreamProtocol::H2, TIMEOUTS);
    for _ in 0..4 {
        let (events, _) = ask(&upstreams, GrpcKind::Unary).await;
        assert_eq!(events, [GrpcEvent::Answer(b"here".to_vec())]);
    }
}

#[tokio::test]
async fn the_guests_deadline_holds() {
    let (_origin, upstreams) = h2(|_| std::future::pending()).await;
    let (sender, call) = call(GrpcKind::Unary);
    sender.close();
    let call = GrpcCall {
        timeout: Some(Duration::from_millis(50)),
        ..call
    };
    let mut events = Vec::new();
    let end = Callouts::new()
        .grpc(&upstreams, call, &mut |event| {
            events.push(event);
            true
        })
        .await;
    assert_eq!(end, GrpcEnd::TimedOut);
    assert!(matches!(events[..], [GrpcEvent::Close { status: 4, .. }]));
}

#[test]
fn timeouts_have_at_most_eight_digits() {
    let text = |timeout| grpc_timeout(timeout).to_str().unwrap().to_owned();
    assert_eq!(text(Duration::from_millis(1)), "1m");
    assert_eq!(text(Duration::from_millis(99_999_999)), "99999999m");
    assert_eq!(text(Duration::from_millis(100_000_000)), "100000S");
    assert_eq!(text(Duration::MAX), "99999999S");
}
