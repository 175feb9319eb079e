//! HTTP calls that filters make to upstreams (`proxy_http_call`).
//!
//! What a guest is told follows Envoy, because guests were written against it:
//!
//! | what happened | headers | `proxy_get_status` |
//! |---|---|---|
//! | a response, whatever its status | it | 0 |
//! | the guest's, the connect or a read timeout | `:status: 504` alone | 0 |
//! | the upstream has no address, or none takes a connection | `:status: 503` alone | 0 |
//! | reset, cut off, too large, not HTTP, or a request that HTTP cannot carry | none | 11, `reset: ` and the reason |
//!
//! Redirects are the guest's business: a 302 is a response like any other.

mod body;
mod connections;
pub mod grpc;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use hyper::body::Incoming;
use portcullis_abi::host::{HttpCall, HttpCallResponse};
use portcullis_config::model::{UpstreamId, UpstreamTimeouts};
use tokio::time::timeout;

use crate::upstream::{Picked, Upstreams};
use connections::{ConnectError, Connection, Connections, SendError};
use request::{CallRequest, InvalidRequest};

/// Longest time of one call, also where the guest set no timeout: an origin that sends a byte now and then keeps within
/// every read timeout, and its call would hold memory for ever.
const CALL_TIME_MAX: Duration = Duration::from_secs(300);

/// Addresses tried for one call. A few stale ones are bridged; a whole upstream that is down is told soon.
const ADDRESSES_MAX: usize = 3;

/// Pooled connections tried for one call before a new one is opened: an origin that restarts closes them all.
const POOLED_MAX: usize = 3;

/// `WasmResult::BrokenConnection` of the C++ host, which guests see for every failed call.
const STATUS_BROKEN_CONNECTION: u32 = 11;

/// Why a call brought no response.
#[derive(Debug, thiserror::Error)]
enum CallError {
    #[error("the upstream has no address")]
    NoneHealthy,
    #[error("timeout")]
    TimedOut,
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Invalid(#[from] InvalidRequest),
    /// Also a response that is cut off or no HTTP.
    #[error("{}", root_cause(.0))]
    Broken(#[from] hyper::Error),
    #[error(
        "the body of the response is larger than {} bytes",
        response::BODY_BYTES_MAX
    )]
    TooLarge,
    /// 101, though no upgrade was asked for.
    #[error("the origin switched the protocol")]
    Switched,
}

/// Makes callouts and keeps their connections. One for each worker: connections live on the runtime of their first call.
#[derive(Default)]
pub struct Callouts {
    connections: Arc<Connections>,
}

impl Callouts {
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes one call; the table above says how it may end. Dropping the future ends the call.
    ///
    /// That the plugin may call this upstream was checked before (`grants.http_call`).
    pub async fn call(&self, upstreams: &Upstreams, call: HttpCall) -> HttpCallResponse {
        let HttpCall {
            token: _,
            upstream,
            headers,
            body,
            trailers,
            timeout: limit,
        } = call;
        // A reload may have taken the upstream away since the guest asked.
        let Some(id) = upstreams.id(&upstream) else {
            return answer(Err(CallError::NoneHealthy));
        };
        let request = match CallRequest::new(&headers, body.into(), &trailers) {
            Ok(request) => request,
            Err(error) => return answer(Err(error.into())),
        };
        let limit = limit.map_or(CALL_TIME_MAX, |limit| limit.min(CALL_TIME_MAX));
        let sent = timeout(limit, self.send(upstreams, id, &request)).await;
        answer(sent.unwrap_or(Err(CallError::TimedOut)))
    }

    /// Tries addresses until one takes a connection.
    async fn send(
        &self,
        upstreams: &Upstreams,
        id: UpstreamId,
        request: &CallRequest,
    ) -> Result<HttpCallResponse, CallError> {
        let mut failed: Vec<SocketAddr> = Vec::new();
        let mut last = CallError::NoneHealthy;
        while failed.len() < ADDRESSES_MAX {
            let Ok(picked) = upstreams.pick_other(id, &failed) else {
                break;
            };
            match self.send_to(&picked, request).await {
                // Nothing was sent yet, so another address may be asked whatever the method.
                Err(error @ CallError::Connect(_)) => {
                    failed.push(picked.address);
                    last = error;
                }
                ended => return ended,
            }
        }
        Err(last)
    }

    async fn send_to(
        &self,
        picked: &Picked<'_>,
        request: &CallRequest,
    ) -> Result<HttpCallResponse, CallError> {
        for _ in 0..POOLED_MAX {
            let Some(mut pooled) = self.connections.take(picked) else {
                break;
            };
            match respond(&mut pooled, request, &picked.upstream.timeouts).await {
                Ok(response) => return self.finish(pooled, response, picked).await,
                Err(SendError::Unsent) => {}
                // The origin closed it while the request was on its way (RFC 9110 section 9.2.2, RFC 9112 section 9.3.1).
                Err(SendError::Lost(_)) if request.is_idempotent() => break,
                Err(error) => return Err(error.into()),
            }
        }
        let mut connection = self.connections.open(picked).await?;
        let response = respond(&mut connection, request, &picked.upstream.timeouts).await?;
        self.finish(connection, response, picked).await
    }

    /// Reads the rest of a response and keeps the connection for the next call.
    async fn finish(
        &self,
        connection: Connection,
        response: Response<Incoming>,
        picked: &Picked<'_>,
    ) -> Result<HttpCallResponse, CallError> {
        let response = response::collect(response, picked.upstream.timeouts.read).await?;
        self.connections.put(connection, picked);
        Ok(response)
    }
}

/// Sends a request and waits for the head of its response.
async fn respond(
    connection: &mut Connection,
    request: &CallRequest,
    timeouts: &UpstreamTimeouts,
) -> Result<Response<Incoming>, SendError> {
    // Until the head comes, the client writes and reads: what is still being written cannot be answered yet.
    let limit = if request.has_body() {
        timeouts.write.saturating_add(timeouts.read)
    } else {
        timeouts.read
    };
    timeout(limit, connection.send(request))
        .await
        .unwrap_or(Err(SendError::TimedOut))
}

impl From<SendError> for CallError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Unsent => Self::Connect(ConnectError::Closed),
            SendError::Lost(error) | SendError::Broken(error) => Self::Broken(error),
            SendError::TimedOut => Self::TimedOut,
        }
    }
}

/// The innermost reason: the outer ones say only that something went wrong while sending.
fn root_cause(error: &hyper::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

fn answer(result: Result<HttpCallResponse, CallError>) -> HttpCallResponse {
    let status = |code: &[u8]| HttpCallResponse {
        headers: vec![(b":status".to_vec(), code.to_vec())],
        ..HttpCallResponse::default()
    };
    match result {
        Ok(response) => response,
        Err(CallError::TimedOut | CallError::Connect(ConnectError::TimedOut)) => status(b"504"),
        Err(CallError::NoneHealthy | CallError::Connect(_)) => status(b"503"),
        Err(error) => HttpCallResponse {
            status: (STATUS_BROKEN_CONNECTION, format!("reset: {error}")),
            ..HttpCallResponse::default()
        },
    }
}
