//! What each answer of a callback does to a message, over real sockets: the table of `proxy/src/chain/mod.rs`.

use http::Response;
use hyper::body::Frame;
use portcullis_tests::deadline::{until, within};
use portcullis_tests::origin::{full, parts};
use portcullis_tests::pausing::{Half, Pausing, seen};
use portcullis_tests::proxy::Proxy;
use portcullis_tests::raw::{RawClient, Wire};
use portcullis_tests::{Config, Origin};
use serde_json::json;
use tokio::sync::mpsc;

/// `FilterHeadersStatus` and `FilterDataStatus`.
const CONTINUE: u32 = 0;
const STOP_ITERATION: u32 = 1;
const CONTINUE_AND_END_STREAM: u32 = 2;
const STOP_ALL_AND_BUFFER: u32 = 3;
const STOP_ALL_AND_WATERMARK: u32 = 4;
const OF_TOMORROW: u32 = 99;
const BUFFER: u32 = 1;
const WATERMARK: u32 = 2;
const NO_BUFFER: u32 = 3;

/// What happens, in order.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The message's sender sends a chunk.
    Chunk(&'static str),
    /// It sends the end.
    End,
    /// The callbacks until now, joined by commas, are these: waited for.
    Saw(&'static str),
    /// Another exchange continues this one.
    Release,
}
use Step::{Chunk, End, Release, Saw};

/// An exchange that one filter acts on, with both its ends in hand.
struct Scene {
    proxy: Proxy,
    origin: Origin,
    client: Wire,
    half: Half,
    /// Sends the response's body.
    body: Option<mpsc::Sender<std::io::Result<Frame<bytes::Bytes>>>>,
}

impl Scene {
    async fn open(pausing: Pausing, hold: bool, body_held: &str) -> Self {
        let filter = pausing.filter().limit("body_held", body_held);
        let filter = if hold { filter.hold() } else { filter };
        let (sending, mut responses) = mpsc::channel(1);
        let half = pausing.half;
        let origin = match half {
            Half::Request => Origin::echo().await,
            Half::Response => {
                Origin::handling(move |request| {
                    let sending = sending.clone();
                    async move {
                        if request.uri().path() == "/release" {
                            return Response::new(full(""));
                        }
                        let (sender, body) = parts();
                        sending.send(sender).await.expect("the test");
                        Response::new(body)
                    }
                })
                .await
            }
        };
        let proxy = Config::new()
            .origin(origin.address())
            .filter("pausing", filter)
            .set("/workers", json!(1))
            .start()
            .await;
        let client = RawClient::connect(proxy.address()).await;
        let mut scene = Self {
            proxy,
            origin,
            client,
            half,
            body: None,
        };
        let head: &[u8] = match half {
            Half::Request => {
                b"POST / HTTP/1.1\r\nHost: portcullis.test\r\nTransfer-Encoding: chunked\r\n\r\n"
            }
            Half::Response => b"GET / HTTP/1.1\r\nHost: portcullis.test\r\n\r\n",
        };
        scene.client.send(head).await;
        if half == Half::Response {
            scene.body = within("the origin's turn", responses.recv()).await;
        }
        scene
    }

    async fn play(&mut self, steps: &[Step]) {
        for step in steps {
            match step {
                Chunk(text) => self.chunk(text).await,
                End => self.end().await,
                Release => {
                    self.proxy.get("/release").await;
                }
                Saw(expected) => {
                    until(&format!("{expected:?}"), async || {
                        let seen = seen(&self.proxy.log()).join(", ");
                        assert!(expected.starts_with(&seen), "{seen:?} before {expected:?}");
                        (seen == *expected).then_some(())
                    })
                    .await;
                }
            }
        }
    }

    async fn chunk(&mut self, text: &str) {
        match &self.body {
            None => {
                let chunk = format!("{:x}\r\n{text}\r\n", text.len());
                self.client.send(chunk).await;
            }
            Some(body) => body
                .send(Ok(Frame::data(text.to_owned().into())))
                .await
                .expect("the proxy reads"),
        }
    }

    async fn end(&mut self) {
        match self.half {
            Half::Request => self.client.send("0\r\n\r\n").await,
            Half::Response => self.body = None,
        }
    }

    /// Plays the steps; the whole message is then where it was sent to, and the connection goes on.
    async fn arrives(mut self, steps: &[Step], expected: &str) {
        self.play(steps).await;
        let answer = self.client.answer().await;
        assert_eq!(answer.status, 200, "{steps:?}");
        let arrived = match self.half {
            Half::Request => {
                let requests = self.origin.requests();
                let held = requests.iter().find(|request| request.target == "/");
                held.expect("the request").body.to_vec()
            }
            Half::Response => answer.body,
        };
        assert_eq!(String::from_utf8_lossy(&arrived), expected, "{steps:?}");
        self.client
            .send("GET /release HTTP/1.1\r\nHost: portcullis.test\r\n\r\n")
            .await;
        assert_eq!(self.client.answer().await.status, 200);
    }
}

/// Both directions, since the table is one.
async fn both(make: impl Fn(Pausing) -> Pausing, hold: bool, steps: &[Step], expected: &str) {
    for half in [Half::Request, Half::Response] {
        let scene = Scene::open(make(Pausing::of(half)), hold, "1MiB").await;
        scene.arrives(steps, expected).await;
    }
}

#[tokio::test]
async fn continue_streams() {
    for headers in [CONTINUE, CONTINUE_AND_END_STREAM] {
        let steps = [
            Saw("headers"),
            Chunk("1234"),
            Saw("headers, body 0004"),
            Chunk("56"),
            Saw("headers, body 0004, body 0002"),
            End,
            Saw("headers, body 0004, body 0002, body 0000 end"),
        ];
        both(|pausing| pausing.headers(headers), false, &steps, "123456").await;
    }
}

#[tokio::test]
async fn continue_with_hold_waits_for_the_body() {
    let steps = [
        Saw("headers"),
        Chunk("1234"),
        Saw("headers, body 0004"),
        End,
        Saw("headers, body 0004, body 0004 end"),
    ];
    both(|pausing| pausing.body(&[BUFFER]), true, &steps, "1234").await;
}

#[tokio::test]
async fn stop_iteration_runs_no_body_callback() {
    for headers in [
        STOP_ITERATION,
        STOP_ALL_AND_BUFFER,
        STOP_ALL_AND_WATERMARK,
        OF_TOMORROW,
    ] {
        let steps = [
            Chunk("1234"),
            End,
            Saw("headers"),
            Release,
            Saw("headers, release, body 0004, body 0000 end"),
        ];
        both(|pausing| pausing.headers(headers), false, &steps, "1234").await;
    }
}

#[tokio::test]
async fn stop_iteration_with_hold_runs_body_callbacks() {
    let steps = [
        Saw("headers"),
        Chunk("1234"),
        Saw("headers, body 0004"),
        End,
        Saw("headers, body 0004, body 0004 end"),
        Release,
        Saw("headers, body 0004, body 0004 end, release"),
    ];
    let stop = |pausing: Pausing| pausing.headers(STOP_ITERATION).body(&[BUFFER, BUFFER]);
    both(stop, true, &steps, "1234").await;
}

#[tokio::test]
async fn stop_all_iteration_with_hold_runs_none() {
    for headers in [STOP_ALL_AND_BUFFER, STOP_ALL_AND_WATERMARK] {
        let steps = [
            Chunk("1234"),
            End,
            Saw("headers"),
            Release,
            Saw("headers, release, body 0004, body 0000 end"),
        ];
        both(|pausing| pausing.headers(headers), true, &steps, "1234").await;
    }
}

#[tokio::test]
async fn buffered_is_seen_whole_and_released_without_another_callback() {
    for action in [
        &[BUFFER, BUFFER, BUFFER],
        &[WATERMARK, WATERMARK, WATERMARK],
    ] {
        let steps = [
            Chunk("1234"),
            Saw("headers, body 0004"),
            Chunk("56"),
            Saw("headers, body 0004, body 0006"),
            End,
            Saw("headers, body 0004, body 0006, body 0006 end"),
            Release,
            Saw("headers, body 0004, body 0006, body 0006 end, release"),
        ];
        both(|pausing| pausing.body(action), false, &steps, "123456").await;
    }
}

#[tokio::test]
async fn a_released_body_streams_on() {
    let steps = [
        Chunk("1234"),
        Saw("headers, body 0004"),
        Release,
        Saw("headers, body 0004, release"),
        Chunk("56"),
        Saw("headers, body 0004, release, body 0002"),
        End,
        Saw("headers, body 0004, release, body 0002, body 0000 end"),
    ];
    both(|pausing| pausing.body(&[BUFFER]), false, &steps, "123456").await;
}

#[tokio::test]
async fn no_buffer_drops_what_was_seen() {
    let steps = [
        Chunk("1234"),
        Saw("headers, body 0004"),
        Chunk("56"),
        Saw("headers, body 0004, body 0002"),
        End,
        Saw("headers, body 0004, body 0002, body 0000 end"),
    ];
    both(|pausing| pausing.body(&[NO_BUFFER]), false, &steps, "56").await;
}

/// Bytes beyond `body_held` while the head is held: 413 on a request, 500 on a response.
#[tokio::test]
async fn a_buffer_over_its_limit_is_refused() {
    for (half, status) in [(Half::Request, 413), (Half::Response, 500)] {
        for (headers, body, hold) in [
            (CONTINUE, &[BUFFER, BUFFER, BUFFER][..], true),
            (STOP_ALL_AND_BUFFER, &[][..], true),
        ] {
            let pausing = Pausing::of(half).headers(headers).body(body);
            let mut scene = Scene::open(pausing, hold, "5B").await;
            scene.play(&[Chunk("1234")]).await;
            // The answer may come first, and end the body's other side.
            let _ = scene.client.try_send("3\r\n567\r\n").await;
            if let Some(body) = &scene.body {
                let _ = body.send(Ok(Frame::data("567".into()))).await;
            }
            let answer = scene.client.answer().await;
            assert_eq!(answer.status, status, "{half:?} {headers} {body:?}");
            assert_eq!(scene.proxy.get("/release").await.status, 200);
        }
    }
}

/// The same once the head went on: still 413 on a request; a response that has begun is cut off.
#[tokio::test]
async fn a_buffer_over_its_limit_after_the_head_ends_the_message() {
    let pausing = Pausing::of(Half::Request).body(&[BUFFER, BUFFER]);
    let mut scene = Scene::open(pausing, false, "5B").await;
    scene
        .play(&[Chunk("1234"), Saw("headers, body 0004")])
        .await;
    let _ = scene.client.try_send("3\r\n567\r\n").await;
    assert_eq!(scene.client.answer().await.status, 413);

    let pausing = Pausing::of(Half::Response).body(&[BUFFER, BUFFER]);
    let mut scene = Scene::open(pausing, false, "5B").await;
    scene
        .play(&[Chunk("1234"), Saw("headers, body 0004"), Chunk("567")])
        .await;
    let head = scene.client.head().await.expect("the head");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(scene.client.rest().await, b"", "no last chunk");
    assert_eq!(scene.proxy.get("/release").await.status, 200);
}

/// Reading stops at `body_held` instead: nothing is refused, and all of it arrives once it is released.
#[tokio::test]
async fn a_watermark_stops_reading() {
    let steps = [
        Chunk("1234"),
        Saw("headers, body 0004"),
        Chunk("567"),
        Saw("headers, body 0004, body 0007"),
        Chunk("89"),
        Release,
        Saw("headers, body 0004, body 0007, release, body 0002"),
        End,
        Saw("headers, body 0004, body 0007, release, body 0002, body 0000 end"),
    ];
    for half in [Half::Request, Half::Response] {
        let pausing = Pausing::of(half).body(&[WATERMARK, WATERMARK]);
        let scene = Scene::open(pausing, false, "5B").await;
        scene.arrives(&steps, "123456789").await;
    }
}

/// Trailers wait for continue_stream, and then go on.
#[tokio::test]
async fn stopped_trailers_wait() {
    let origin = Origin::handling(|request| async move {
        if request.uri().path() == "/release" {
            return Response::new(full(""));
        }
        let mut trailers = http::HeaderMap::new();
        trailers.insert("grpc-status", http::HeaderValue::from_static("0"));
        let (sender, body) = parts();
        tokio::spawn(async move {
            let _ = sender.send(Ok(Frame::data("body".into()))).await;
            let _ = sender.send(Ok(Frame::trailers(trailers))).await;
        });
        Response::new(body)
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .set("/upstreams/origin/protocol", json!("h2"))
        .filter(
            "pausing",
            Pausing::of(Half::Response)
                .trailers(STOP_ITERATION)
                .filter(),
        )
        .set("/workers", json!(1))
        .start()
        .await;
    let mut client = proxy.h2().await;
    let answer = tokio::spawn(async move { client.get("/").await });
    proxy.until_log("saw: trailers").await;
    assert!(!answer.is_finished());
    assert_eq!(proxy.get("/release").await.status, 200);
    let answer = answer.await.expect("the client");
    assert_eq!(answer.text(), "body");
    assert_eq!(answer.trailers.get("grpc-status").expect("a trailer"), "0");
}
