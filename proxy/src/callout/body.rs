//! What a callout sends.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use portcullis_abi::grpc::{GrpcMessages, GrpcNext};

use super::grpc::frame;

/// The body of a request.
#[derive(Debug)]
pub(super) enum CallBody {
    /// A whole body, then trailers if there are any.
    Whole {
        data: Option<Bytes>,
        trailers: Option<HeaderMap>,
    },
    /// gRPC messages, as the guest sends them.
    Messages(GrpcMessages),
}

impl Body for CallBody {
    type Data = Bytes;
    /// Resets the HTTP/2 stream.
    type Error = h2::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, h2::Error>>> {
        match &mut *self {
            Self::Whole { data, trailers } => {
                let data = data.take().map(Frame::data);
                Poll::Ready(
                    data.or_else(|| trailers.take().map(Frame::trailers))
                        .map(Ok),
                )
            }
            Self::Messages(messages) => messages.poll_next(cx).map(|next| match next {
                GrpcNext::Message(message) => Some(Ok(Frame::data(frame::encode(&message)))),
                GrpcNext::End => None,
                GrpcNext::Reset => Some(Err(h2::Reason::CANCEL.into())),
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { data, trailers } => data.is_none() && trailers.is_none(),
            Self::Messages(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole {
                data,
                trailers: None,
            } => {
                let bytes = data.as_ref().map_or(0, Bytes::len);
                SizeHint::with_exact(u64::try_from(bytes).unwrap_or(u64::MAX))
            }
            // An exact size would become a content-length, after which no trailers can follow.
            Self::Whole { .. } | Self::Messages(_) => SizeHint::default(),
        }
    }
}
