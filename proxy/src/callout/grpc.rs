//! gRPC calls that filters make to upstreams (`proxy_grpc_call`, `proxy_grpc_stream`), over HTTP/2.
//!
//! | what happened | the guest's status |
//! |---|---|
//! | the origin said how it ended | what it said |
//! | the guest's timeout, or for a call the upstream's read timeout | 4 DEADLINE_EXCEEDED |
//! | no address, no connection, a connection that broke, an upstream without `protocol: h2` | 14 UNAVAILABLE |
//! | a stream that the origin reset; an HTTP status other than 200 | by the tables of gRPC |
//! | a message larger than [`GRPC_MESSAGE_BYTES_MAX`](portcullis_abi::limits::GRPC_MESSAGE_BYTES_MAX) | 8 RESOURCE_EXHAUSTED |
//! | no gRPC, or no status at the end | 2 UNKNOWN |
//! | a compressed message, one that is cut off, none or two for a call, metadata that HTTP cannot carry | 13 INTERNAL |
//!
//! A call is answered by its message, or by the status alone. A stream is told initial metadata, messages, trailing
//! metadata and the status, in this order; one that fails early has empty trailing metadata, as in Envoy.

pub(super) mod frame;
mod status;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::time::Duration;

use http::header::{self, HeaderName};
use http::response::Parts;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use portcullis_abi::grpc::{GrpcCall, GrpcEvent, GrpcKind, Metadata};
use portcullis_config::model::{UpstreamId, UpstreamProtocol};
use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::body::CallBody;
use super::connections::{ConnectError, Connection};
use super::request::{InvalidRequest, fields_of, remove_own_fields};
use super::{ADDRESSES_MAX, CALL_TIME_MAX, Callouts};
use crate::upstream::{Picked, Upstreams};
use frame::Decoder;
use status::Said;

/// Fields of the protocol itself, which are ours to set.
const PROTOCOL_FIELDS: [HeaderName; 4] = [
    header::CONTENT_TYPE,
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("grpc-encoding"),
    HeaderName::from_static("grpc-accept-encoding"),
];

/// Why a call ended without the origin's word.
#[derive(Debug, thiserror::Error)]
enum GrpcError {
    #[error("the upstream has no address")]
    NoneHealthy,
    #[error("the upstream speaks HTTP/1.1, and gRPC needs `protocol: h2`")]
    NotHttp2,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("timeout")]
    TimedOut,
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    #[error("the call broke")]
    Broken(#[from] hyper::Error),
    #[error("HTTP status {}", .0.as_u16())]
    Http(StatusCode),
    #[error("the answer is no gRPC")]
    NotGrpc,
    #[error("the answer ended without a status")]
    NoStatus,
    #[error("a message is compressed, which was not offered")]
    Compressed,
    #[error("a message is too large")]
    TooLarge,
    #[error("a message is cut off")]
    CutOff,
    #[error("the answer has no message")]
    NoMessage,
    #[error("the answer to a call has a second message")]
    SecondMessage,
}

/// How a call ended, for its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrpcEnd {
    /// The origin said how.
    Answered,
    TimedOut,
    Failed,
    /// The guest did not want it any more, or is gone.
    Cancelled,
}

/// Gives an event to the guest; false where nobody waits for it any more.
pub type Deliver<'a> = dyn FnMut(GrpcEvent) -> bool + Send + 'a;

/// A call that went through its protocol.
struct Done {
    said: Said,
    trailers: Metadata,
    /// Of a call.
    answer: Option<Vec<u8>>,
}

impl Callouts {
    /// Makes one gRPC call or holds one stream, to its end; the table above says how that may be.
    ///
    /// That the plugin may call this upstream was checked before (`grants.grpc_call`).
    pub async fn grpc(
        &self,
        upstreams: &Upstreams,
        call: GrpcCall,
        deliver: &mut Deliver<'_>,
    ) -> GrpcEnd {
        let (kind, messages) = (call.kind, call.messages.clone());
        let limit = match kind {
            GrpcKind::Unary => Some(
                call.timeout
                    .map_or(CALL_TIME_MAX, |limit| limit.min(CALL_TIME_MAX)),
            ),
            // A stream lasts as long as both sides want.
            GrpcKind::Stream => None,
        };
        let exchange = self.exchange(upstreams, call, deliver);
        let ended = tokio::select! {
            biased;
            () = messages.reset() => return GrpcEnd::Cancelled,
            ended = at_most(limit, exchange) => ended.and_then(|done| done),
        };
        conclude(kind, ended, deliver)
    }

    async fn exchange(
        &self,
        upstreams: &Upstreams,
        call: GrpcCall,
        deliver: &mut Deliver<'_>,
    ) -> Result<Done, GrpcError> {
        // A reload may have taken the upstream away since the guest asked.
        let id = upstreams
            .id(&call.target.upstream)
            .ok_or(GrpcError::NoneHealthy)?;
        let upstream = upstreams.upstream(id).ok_or(GrpcError::NoneHealthy)?;
        if upstream.protocol != UpstreamProtocol::H2 {
            return Err(GrpcError::NotHttp2);
        }
        let read = match call.kind {
            GrpcKind::Unary => Some(upstream.timeouts.read),
            GrpcKind::Stream => None,
        };
        let kind = call.kind;
        let head = self.begin(upstreams, id, request(call)?);
        let response = at_most(read, head).await??;
        receive(response, kind, read, deliver).await
    }

    /// Tries addresses until one takes the request; returns when the head of the response is there.
    async fn begin(
        &self,
        upstreams: &Upstreams,
        id: UpstreamId,
        mut request: Request<CallBody>,
    ) -> Result<Response<Incoming>, GrpcError> {
        let mut failed: Vec<SocketAddr> = Vec::new();
        let mut last = GrpcError::NoneHealthy;
        while failed.len() < ADDRESSES_MAX {
            let Ok(picked) = upstreams.pick_other(id, &failed) else {
                break;
            };
            match self.begin_at(&picked, request).await {
                Ok(response) => return Ok(response),
                Err((error, Some(unsent))) => {
                    failed.push(picked.address);
                    last = error;
                    request = *unsent;
                }
                Err((error, None)) => return Err(error),
            }
        }
        Err(last)
    }

    /// On an error with the request not a byte of it was sent.
    async fn begin_at(
        &self,
        picked: &Picked<'_>,
        mut request: Request<CallBody>,
    ) -> Result<Response<Incoming>, (GrpcError, Option<Box<Request<CallBody>>>)> {
        if let Some(Connection::Http2(mut pooled)) = self.connections.take(picked) {
            match pooled.try_send_request(request).await {
                Ok(response) => return Ok(response),
                Err(mut error) => match error.take_message() {
                    Some(unsent) => request = unsent,
                    None => return Err((error.into_error().into(), None)),
                },
            }
        }
        let mut sender = match self.connections.open(picked).await {
            Ok(Connection::Http2(sender)) => sender,
            Ok(Connection::Http1(_)) => return Err((GrpcError::NotHttp2, None)),
            Err(error) => return Err((error.into(), Some(Box::new(request)))),
        };
        sender
            .try_send_request(request)
            .await
            .map_err(|mut error| match error.take_message() {
                Some(unsent) => (ConnectError::Closed.into(), Some(Box::new(unsent))),
                None => (error.into_error().into(), None),
            })
    }
}

/// Waits for `future` for so long, or as long as it takes.
async fn at_most<F: Future>(limit: Option<Duration>, future: F) -> Result<F::Output, GrpcError> {
    match limit {
        Some(limit) => timeout(limit, future)
            .await
            .map_err(|_| GrpcError::TimedOut),
        None => Ok(future.await),
    }
}

fn request(call: GrpcCall) -> Result<Request<CallBody>, GrpcError> {
    let GrpcCall {
        token: _,
        kind: _,
        target,
        service,
        method,
        metadata,
        timeout,
        messages,
    } = call;
    let authority = if target.authority.is_empty() {
        target.upstream
    } else {
        target.authority
    };
    let authority =
        Authority::try_from(authority).map_err(|_| InvalidRequest::Pseudo(":authority"))?;
    let path = PathAndQuery::try_from(format!("/{service}/{method}"))
        .map_err(|_| InvalidRequest::Pseudo(":path"))?;
    let uri = Uri::builder()
        .scheme(Scheme::HTTP)
        .authority(authority)
        .path_and_query(path)
        .build()
        .map_err(|_| InvalidRequest::Pseudo(":path"))?;
    let mut headers = fields_of(metadata.iter())?;
    remove_own_fields(&mut headers);
    for name in &PROTOCOL_FIELDS {
        headers.remove(name);
    }
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/grpc"),
    );
    if let Some(timeout) = timeout {
        headers.insert("grpc-timeout", grpc_timeout(timeout));
    }
    let mut request = Request::new(CallBody::Messages(messages));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    Ok(request)
}

/// At most eight digits and a unit.
fn grpc_timeout(timeout: Duration) -> HeaderValue {
    let text = match timeout.as_millis() {
        millis @ ..=99_999_999 => format!("{millis}m"),
        _ => format!("{}S", timeout.as_secs().min(99_999_999)),
    };
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static("0m"))
}

/// Reads a response to its end, and delivers what a stream brings on the way.
async fn receive(
    response: Response<Incoming>,
    kind: GrpcKind,
    read: Option<Duration>,
    deliver: &mut Deliver<'_>,
) -> Result<Done, GrpcError> {
    let (
        Parts {
            status, headers, ..
        },
        mut incoming,
    ) = response.into_parts();
    // The head may stand for the trailers, where there is nothing between them.
    let alone = incoming.is_end_stream();
    if kind == GrpcKind::Stream {
        let metadata = if alone {
            Metadata::new()
        } else {
            metadata_of(Some(status), &headers)
        };
        deliver(GrpcEvent::InitialMetadata(metadata));
    }
    if alone && let Some(said) = Said::of(&headers) {
        return Ok(Done {
            said,
            trailers: metadata_of(Some(status), &headers),
            answer: None,
        });
    }
    if status != StatusCode::OK {
        return Err(GrpcError::Http(status));
    }
    let content = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if !content.is_some_and(|content| content.starts_with(b"application/grpc")) {
        return Err(GrpcError::NotGrpc);
    }
    let mut decoder = Decoder::default();
    let mut answer = None;
    loop {
        let frame = at_most(read, incoming.frame()).await?;
        let Some(frame) = frame.transpose()? else {
            return Err(if decoder.is_partial() {
                GrpcError::CutOff
            } else {
                GrpcError::NoStatus
            });
        };
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                return finish(&trailers, answer, &decoder);
            }
        };
        decoder.push(&data);
        while let Some(message) = decoder.next()? {
            match kind {
                GrpcKind::Stream => {
                    deliver(GrpcEvent::Message(message));
                    // Many small messages must not hold up the others on this worker.
                    consume_budget().await;
                }
                GrpcKind::Unary if answer.is_none() => answer = Some(message),
                GrpcKind::Unary => return Err(GrpcError::SecondMessage),
            }
        }
    }
}

fn finish(
    trailers: &HeaderMap,
    answer: Option<Vec<u8>>,
    decoder: &Decoder,
) -> Result<Done, GrpcError> {
    let said = Said::of(trailers).ok_or(GrpcError::NoStatus)?;
    if said.is_ok() && decoder.is_partial() {
        return Err(GrpcError::CutOff);
    }
    Ok(Done {
        said,
        trailers: metadata_of(None, trailers),
        answer,
    })
}

/// As a guest reads it.
fn metadata_of(status: Option<StatusCode>, fields: &HeaderMap) -> Metadata {
    let pair = |name: &str, value: &[u8]| (name.as_bytes().to_vec(), value.to_vec());
    let status = status.map(|status| pair(":status", status.as_str().as_bytes()));
    let fields = fields
        .iter()
        .map(|(name, value)| pair(name.as_str(), value.as_bytes()));
    status.into_iter().chain(fields).collect()
}

/// Gives the guest the end of its call.
fn conclude(kind: GrpcKind, ended: Result<Done, GrpcError>, deliver: &mut Deliver<'_>) -> GrpcEnd {
    let ended = ended.and_then(|done| match kind {
        GrpcKind::Unary if done.said.is_ok() && done.answer.is_none() => Err(GrpcError::NoMessage),
        GrpcKind::Unary | GrpcKind::Stream => Ok(done),
    });
    let end = match &ended {
        Ok(_) => GrpcEnd::Answered,
        Err(GrpcError::TimedOut) => GrpcEnd::TimedOut,
        Err(_) => GrpcEnd::Failed,
    };
    let (status, message, trailers, answer) = match ended {
        Ok(Done {
            said: Said { status, message },
            trailers,
            answer,
        }) => (status, message, trailers, answer),
        Err(error) => (error.status(), error.text(), Metadata::new(), None),
    };
    if kind == GrpcKind::Stream {
        deliver(GrpcEvent::TrailingMetadata(trailers));
    }
    let last = match answer {
        Some(answer) if status == 0 => GrpcEvent::Answer(answer),
        _ => GrpcEvent::Close { status, message },
    };
    if deliver(last) {
        end
    } else {
        GrpcEnd::Cancelled
    }
}
