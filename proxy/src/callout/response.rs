//! What the origin answered, as a guest reads it.

use std::time::Duration;

use http::response::Parts;
use http::{HeaderMap, Response, StatusCode, header};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use portcullis_abi::host::HttpCallResponse;
use tokio::time::timeout;

use super::CallError;

/// Largest body of a response. It is held until the guest has read it, at most `limits.callouts` of them for one VM,
/// and copied into a memory that has 64 MiB by default: more could not be used.
pub(super) const BODY_BYTES_MAX: usize = 16 << 20;

/// Reads a response to its end. `read` bounds the wait for each part of the body.
///
/// # Errors
/// Cut off, too slow, or larger than [`BODY_BYTES_MAX`].
pub(super) async fn collect(
    response: Response<Incoming>,
    read: Duration,
) -> Result<HttpCallResponse, CallError> {
    let (
        Parts {
            status, headers, ..
        },
        mut incoming,
    ) = response.into_parts();
    if status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(CallError::Switched);
    }
    let too_large =
        |bytes: u64| usize::try_from(bytes).map_or(true, |bytes| bytes > BODY_BYTES_MAX);
    if too_large(incoming.size_hint().lower()) {
        return Err(CallError::TooLarge);
    }
    let mut body = Vec::new();
    let mut trailers = HeaderMap::new();
    loop {
        let frame = timeout(read, incoming.frame())
            .await
            .map_err(|_| CallError::TimedOut)?;
        let Some(frame) = frame.transpose()? else {
            break;
        };
        match frame.into_data() {
            Ok(data) if body.len() + data.len() > BODY_BYTES_MAX => {
                return Err(CallError::TooLarge);
            }
            Ok(data) => body.extend_from_slice(&data),
            Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
        }
    }
    let mut pairs = vec![(b":status".to_vec(), status.as_str().as_bytes().to_vec())];
    pairs.extend(pairs_of(&headers));
    Ok(HttpCallResponse {
        headers: pairs,
        body,
        trailers: pairs_of(&trailers).collect(),
        status: (0, String::new()),
    })
}

/// Names are lower case already. Fields about the connection are left out: the guest has nothing to do with it.
fn pairs_of(fields: &HeaderMap) -> impl Iterator<Item = (Vec<u8>, Vec<u8>)> {
    let about_connection = |name: &&str| {
        matches!(
            *name,
            "connection" | "keep-alive" | "proxy-connection" | "transfer-encoding" | "upgrade"
        )
    };
    let kept = fields
        .iter()
        .filter(move |(name, _)| !about_connection(&name.as_str()) && *name != header::TRAILER);
    kept.map(|(name, value)| (name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()))
}
