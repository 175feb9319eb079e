//! Callouts of a VM that wait for an answer, and the answer being given.

use std::collections::HashMap;

use super::context::ContextId;
use crate::host::HttpCallResponse;
use crate::wire::types::MapType;

#[derive(Default)]
pub(crate) struct Callouts {
    /// The root context that each token belongs to.
    in_flight: HashMap<u32, ContextId>,
    last_token: u32,
    response: Option<HttpCallResponse>,
}

impl Callouts {
    /// A new token; tokens are never used again. `None`: `limit` are in flight.
    pub(crate) fn open(&mut self, root: ContextId, limit: usize) -> Option<u32> {
        if self.in_flight.len() >= limit {
            return None;
        }
        self.last_token = self.last_token.checked_add(1)?;
        self.in_flight.insert(self.last_token, root);
        Some(self.last_token)
    }

    /// The root that waits for a token; it waits no more.
    pub(crate) fn close(&mut self, token: u32) -> Option<ContextId> {
        self.in_flight.remove(&token)
    }

    /// What the callback of an answer may read; `None` after it.
    pub(crate) fn show(&mut self, response: Option<HttpCallResponse>) {
        self.response = response;
    }

    pub(crate) fn response(&self) -> Option<&HttpCallResponse> {
        self.response.as_ref()
    }

    /// A header map of the answer.
    pub(crate) fn map(&self, map: MapType) -> Option<&Vec<(Vec<u8>, Vec<u8>)>> {
        match map {
            MapType::HttpCallResponseHeaders => self.response().map(|response| &response.headers),
            MapType::HttpCallResponseTrailers => self.response().map(|response| &response.trailers),
            MapType::RequestHeaders
            | MapType::RequestTrailers
            | MapType::ResponseHeaders
            | MapType::ResponseTrailers
            | MapType::GrpcCallInitialMetadata
            | MapType::GrpcCallTrailingMetadata => None,
        }
    }
}
