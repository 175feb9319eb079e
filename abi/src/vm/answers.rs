//! The callbacks that bring the answers to callouts. They go to the root context that asked, which may have no stream of
//! that exchange any more; SDKs find the stream by the token.

use std::sync::Arc;

use super::callouts::Shown;
use super::{Entry, Fault, Vm};
use crate::grpc::GrpcEvent;
use crate::host::HttpCallResponse;

impl Vm {
    /// Gives the answer to an HTTP callout. A token that nobody waits for: nothing is called.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_http_call_response(
        self: &Arc<Self>,
        token: u32,
        response: HttpCallResponse,
    ) -> Result<(), Fault> {
        self.run(
            "proxy_on_http_call_response",
            Entry::HttpCall(token),
            |live, root| {
                let Some(callback) = &live.exports.http_call_response else {
                    return Ok(());
                };
                let HttpCallResponse {
                    headers,
                    body,
                    trailers,
                    status: _,
                } = &response;
                let params = (
                    root.0,
                    token,
                    size(headers.len()),
                    size(body.len()),
                    size(trailers.len()),
                );
                live.store.data_mut().callouts.show(Shown::Http(response));
                callback.call(&mut live.store, params)
            },
        )?;
        Ok(())
    }

    /// Gives what a gRPC callout brought. A token that nobody waits for: nothing is called, and false is answered.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_grpc(self: &Arc<Self>, token: u32, event: GrpcEvent) -> Result<bool, Fault> {
        let (name, number) = match &event {
            GrpcEvent::InitialMetadata(metadata) => (
                "proxy_on_grpc_receive_initial_metadata",
                size(metadata.len()),
            ),
            GrpcEvent::Message(message) | GrpcEvent::Answer(message) => {
                ("proxy_on_grpc_receive", size(message.len()))
            }
            GrpcEvent::TrailingMetadata(metadata) => (
                "proxy_on_grpc_receive_trailing_metadata",
                size(metadata.len()),
            ),
            GrpcEvent::Close { status, .. } => ("proxy_on_grpc_close", *status),
        };
        let entry = Entry::Grpc(token, event.is_last());
        let called = self.run(name, entry, |live, root| {
            let exports = &live.exports;
            let callback = match &event {
                GrpcEvent::InitialMetadata(_) => &exports.grpc_initial_metadata,
                GrpcEvent::Message(_) | GrpcEvent::Answer(_) => &exports.grpc_receive,
                GrpcEvent::TrailingMetadata(_) => &exports.grpc_trailing_metadata,
                GrpcEvent::Close { .. } => &exports.grpc_close,
            };
            let Some(callback) = callback else {
                return Ok(());
            };
            live.store.data_mut().callouts.show(Shown::Grpc(event));
            callback.call(&mut live.store, (root.0, token, number))
        })?;
        Ok(called.is_some())
    }

    /// Gives the result of a foreign function of the embedder's own. A token that nobody waits for: nothing is called.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_foreign_function(self: &Arc<Self>, token: u32, result: Vec<u8>) -> Result<(), Fault> {
        self.run(
            "proxy_on_foreign_function",
            Entry::Foreign(token),
            |live, root| {
                let Some(callback) = &live.exports.foreign_function else {
                    return Ok(());
                };
                let params = (root.0, token, size(result.len()));
                live.store.data_mut().callouts.show(Shown::Foreign(result));
                callback.call(&mut live.store, params)
            },
        )?;
        Ok(())
    }
}

fn size(size: usize) -> u32 {
    u32::try_from(size).unwrap_or(u32::MAX)
}
