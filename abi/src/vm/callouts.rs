//! Callouts of a VM that wait for an answer, and the answer being given.

use std::collections::HashMap;

use super::context::ContextId;
use crate::grpc::{GrpcEvent, GrpcKind, GrpcSender, SendError};
use crate::host::HttpCallResponse;
use crate::wire::types::MapType;

/// Calls of all kinds: tokens and the limit are theirs together.
#[derive(Default)]
pub(crate) struct Callouts {
    in_flight: HashMap<u32, Waiting>,
    last_token: u32,
    shown: Shown,
}

struct Waiting {
    /// Who asked.
    root: ContextId,
    kind: Kind,
}

/// What is being waited for.
pub(crate) enum Kind {
    Http,
    /// Dropped, the sender resets the call.
    Grpc(GrpcKind, GrpcSender),
    /// A foreign function.
    Foreign,
}

/// What the callback that runs may read of a callout.
#[derive(Default)]
pub(crate) enum Shown {
    #[default]
    Nothing,
    Http(HttpCallResponse),
    Grpc(GrpcEvent),
    Foreign(Vec<u8>),
}

/// Why a message was not taken.
pub(crate) enum Unsent {
    /// No gRPC stream of that token, or no more.
    NoStream,
    Refused(SendError),
}

impl Callouts {
    /// A new token; tokens are never used again. `None`: `limit` are in flight.
    pub(crate) fn open(&mut self, root: ContextId, limit: usize, kind: Kind) -> Option<u32> {
        if self.in_flight.len() >= limit {
            return None;
        }
        self.last_token = self.last_token.checked_add(1)?;
        self.in_flight
            .insert(self.last_token, Waiting { root, kind });
        Some(self.last_token)
    }

    /// No callouts, after so many.
    pub(super) fn after(last_token: u32) -> Self {
        Self {
            last_token,
            ..Self::default()
        }
    }

    /// The last token that was given.
    pub(super) fn last_token(&self) -> u32 {
        self.last_token
    }

    /// The root that waits for what has a token.
    pub(super) fn root(&self, token: u32) -> Option<ContextId> {
        self.in_flight.get(&token).map(|waiting| waiting.root)
    }

    /// A root waits for a callout of an earlier VM, which is made again.
    pub(super) fn wait(&mut self, token: u32, root: ContextId, kind: Kind) {
        self.in_flight.insert(token, Waiting { root, kind });
    }

    /// The root that waits for the answer of an HTTP call; it waits no more.
    pub(crate) fn close_http(&mut self, token: u32) -> Option<ContextId> {
        match self.in_flight.get(&token)?.kind {
            Kind::Http => self.in_flight.remove(&token).map(|waiting| waiting.root),
            Kind::Grpc(..) | Kind::Foreign => None,
        }
    }

    /// The root that waits for the result of a foreign function; it waits no more.
    pub(crate) fn close_foreign(&mut self, token: u32) -> Option<ContextId> {
        match self.in_flight.get(&token)?.kind {
            Kind::Foreign => self.in_flight.remove(&token).map(|waiting| waiting.root),
            Kind::Http | Kind::Grpc(..) => None,
        }
    }

    /// The root that waits for what a gRPC call brings; with the `last` it waits no more.
    pub(crate) fn receive_grpc(&mut self, token: u32, last: bool) -> Option<ContextId> {
        let waiting = self.in_flight.get(&token)?;
        let root = waiting.root;
        match waiting.kind {
            Kind::Grpc(..) => {}
            Kind::Http | Kind::Foreign => return None,
        }
        if last {
            self.in_flight.remove(&token);
        }
        Some(root)
    }

    /// A message of the guest for a stream that it opened, and perhaps the last one.
    pub(crate) fn send_grpc(
        &mut self,
        token: u32,
        message: &[u8],
        end_of_stream: bool,
    ) -> Result<(), Unsent> {
        let sender = match self.in_flight.get(&token).map(|waiting| &waiting.kind) {
            Some(Kind::Grpc(GrpcKind::Stream, sender)) => sender,
            Some(Kind::Grpc(GrpcKind::Unary, _) | Kind::Http | Kind::Foreign) | None => {
                return Err(Unsent::NoStream);
            }
        };
        sender.send(message).map_err(Unsent::Refused)?;
        if end_of_stream {
            sender.close();
        }
        Ok(())
    }

    /// The guest sends nothing more on a stream, or does not want the answer to a call. False: neither of that token.
    pub(crate) fn close_grpc(&mut self, token: u32) -> bool {
        match self.in_flight.get(&token).map(|waiting| &waiting.kind) {
            Some(Kind::Grpc(GrpcKind::Stream, sender)) => {
                sender.close();
                true
            }
            Some(Kind::Grpc(GrpcKind::Unary, _)) => self.cancel_grpc(token),
            Some(Kind::Http | Kind::Foreign) | None => false,
        }
    }

    /// The guest wants nothing more to do with a gRPC call or stream. False: none of that token.
    pub(crate) fn cancel_grpc(&mut self, token: u32) -> bool {
        let is_grpc = matches!(
            self.in_flight.get(&token).map(|waiting| &waiting.kind),
            Some(Kind::Grpc(..))
        );
        is_grpc && self.in_flight.remove(&token).is_some()
    }

    /// What the callback of an answer may read; nothing after it.
    pub(crate) fn show(&mut self, shown: Shown) {
        self.shown = shown;
    }

    pub(crate) fn http_body(&self) -> Option<&[u8]> {
        match &self.shown {
            Shown::Http(response) => Some(&response.body),
            Shown::Grpc(_) | Shown::Foreign(_) | Shown::Nothing => None,
        }
    }

    pub(crate) fn grpc_message(&self) -> Option<&[u8]> {
        match &self.shown {
            Shown::Grpc(GrpcEvent::Message(message) | GrpcEvent::Answer(message)) => Some(message),
            Shown::Grpc(
                GrpcEvent::InitialMetadata(_)
                | GrpcEvent::TrailingMetadata(_)
                | GrpcEvent::Close { .. },
            )
            | Shown::Http(_)
            | Shown::Foreign(_)
            | Shown::Nothing => None,
        }
    }

    /// The result of a foreign function.
    pub(crate) fn call_data(&self) -> Option<&[u8]> {
        match &self.shown {
            Shown::Foreign(result) => Some(result),
            Shown::Http(_) | Shown::Grpc(_) | Shown::Nothing => None,
        }
    }

    /// A code and a text; (0, "") where nothing failed.
    pub(crate) fn status(&self) -> (u32, &str) {
        match &self.shown {
            Shown::Http(HttpCallResponse {
                status: (code, message),
                ..
            }) => (*code, message),
            Shown::Grpc(GrpcEvent::Close { status, message }) => (*status, message),
            Shown::Grpc(_) | Shown::Foreign(_) | Shown::Nothing => (0, ""),
        }
    }

    /// A header map of the answer.
    pub(crate) fn map(&self, map: MapType) -> Option<&Vec<(Vec<u8>, Vec<u8>)>> {
        match (map, &self.shown) {
            (MapType::HttpCallResponseHeaders, Shown::Http(response)) => Some(&response.headers),
            (MapType::HttpCallResponseTrailers, Shown::Http(response)) => Some(&response.trailers),
            (
                MapType::GrpcCallInitialMetadata,
                Shown::Grpc(GrpcEvent::InitialMetadata(metadata)),
            )
            | (
                MapType::GrpcCallTrailingMetadata,
                Shown::Grpc(GrpcEvent::TrailingMetadata(metadata)),
            ) => Some(metadata),
            _ => None,
        }
    }
}
