//! A gRPC service, framed by hand: `test.Echo` on an [`Origin`].

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use tokio::sync::Notify;

use crate::deadline::within;
use crate::origin::{Body, Origin, full, parts};

/// The methods of `test.Echo`:
///
/// - `Unary` answers `TOKEN:MESSAGE`, where the token is the metadata `x-token`;
/// - `Stream` sends each message back, then trailing metadata `x-count`;
/// - `Fail` answers status 7, `not this time`;
/// - `Silent` answers nothing;
/// - others are UNIMPLEMENTED.
pub struct EchoService {
    origin: Origin,
    resets: Arc<Resets>,
}

#[derive(Default)]
struct Resets {
    count: AtomicUsize,
    changed: Notify,
}

impl EchoService {
    /// Listens on a port of the system's choice.
    pub async fn start() -> Self {
        let resets = Arc::new(Resets::default());
        let shared = Arc::clone(&resets);
        let origin = Origin::handling(move |request| {
            let resets = Arc::clone(&shared);
            async move { answer(request, resets).await }
        })
        .await;
        Self { origin, resets }
    }

    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Waits until this many streams were reset by the caller, in all.
    pub async fn wait_resets(&self, count: usize) {
        let wait = async {
            loop {
                let changed = self.resets.changed.notified();
                if self.resets.count.load(Ordering::SeqCst) >= count {
                    return;
                }
                changed.await;
            }
        };
        within("a reset at the gRPC origin", wait).await;
    }
}

async fn answer(request: Request<Incoming>, resets: Arc<Resets>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let correct = head.headers.get("te") == Some(&HeaderValue::from_static("trailers"))
        && head.headers.get("content-type") == Some(&HeaderValue::from_static("application/grpc"));
    match head.uri.path() {
        _ if !correct => alone(3, "not a gRPC request"),
        "/test.Echo/Unary" => {
            let body = body.collect().await.expect("a whole request").to_bytes();
            let token = head.headers.get("x-token").map(HeaderValue::as_bytes);
            let message = [token.unwrap_or_default(), b":", &body[5..]].concat();
            let (sender, body) = parts();
            tokio::spawn(async move {
                // An error is a caller that does not want the answer any more.
                let _ = sender.send(Ok(Frame::data(frame(&message)))).await;
                let _ = sender.send(Ok(end(&[]))).await;
            });
            response(body)
        }
        "/test.Echo/Stream" => {
            let (sender, answer) = parts();
            tokio::spawn(async move {
                if echo(body, &sender).await.is_none() {
                    resets.count.fetch_add(1, Ordering::SeqCst);
                    resets.changed.notify_waiters();
                }
            });
            response(answer)
        }
        "/test.Echo/Fail" => alone(7, "not%20this%20time"),
        "/test.Echo/Silent" => std::future::pending().await,
        _ => alone(12, "no such method"),
    }
}

type Parts = tokio::sync::mpsc::Sender<std::io::Result<Frame<Bytes>>>;

/// `None`: the caller went away before its end.
async fn echo(mut body: Incoming, sender: &Parts) -> Option<()> {
    let (mut bytes, mut count) = (BytesMut::new(), 0);
    while let Some(part) = body.frame().await {
        let Ok(data) = part.ok()?.into_data() else {
            continue;
        };
        bytes.extend_from_slice(&data);
        while let Some(length) = bytes.get(1..5) {
            let length = u32::from_be_bytes(length.try_into().expect("four bytes")) as usize;
            if bytes.len() < 5 + length {
                break;
            }
            let message = bytes.split_to(5 + length).freeze();
            count += 1;
            sender.send(Ok(Frame::data(message))).await.ok()?;
        }
    }
    sender
        .send(Ok(end(&[("x-count", &count.to_string())])))
        .await
        .ok()
}

fn frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::new();
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).expect("a small message"));
    frame.put_slice(message);
    frame.freeze()
}

fn end(extra: &[(&'static str, &str)]) -> Frame<Bytes> {
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    for (name, value) in extra {
        trailers.insert(*name, value.parse().expect("a value"));
    }
    Frame::trailers(trailers)
}

fn response(body: Body) -> Response<Body> {
    Response::builder()
        .header("content-type", "application/grpc")
        .header("x-initial", "yes")
        .body(body)
        .expect("response")
}

/// A head that is the whole answer.
fn alone(status: u16, message: &str) -> Response<Body> {
    Response::builder()
        .header("content-type", "application/grpc")
        .header("grpc-status", status)
        .header("grpc-message", message)
        .body(full(""))
        .expect("response")
}
