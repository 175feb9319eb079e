//! Operations on gRPC callouts.

use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

use super::Scope;
use crate::op::{Event, GrpcCall, Op};

impl Scope<'_> {
    pub(super) fn grpc(&mut self, op: &Op) {
        let stream = self.plugin.grpc.get();
        match op {
            Op::GrpcCall(call) => {
                let sent = hostcalls::dispatch_grpc_call(
                    &call.upstream,
                    &call.service,
                    &call.method,
                    metadata(call),
                    Some(call.message.as_bytes()),
                    Duration::from_millis(call.timeout_ms),
                );
                self.asked_for(call, sent.map(drop));
            }
            Op::GrpcStream(call) => {
                let opened = hostcalls::open_grpc_stream(
                    &call.upstream,
                    &call.service,
                    &call.method,
                    metadata(call),
                );
                let opened = opened.map(|token| self.plugin.grpc.set(token));
                self.asked_for(call, opened);
            }
            Op::GrpcSend(message, last) => {
                hostcalls::send_grpc_stream_message(stream, Some(message.as_bytes()), *last)
                    .unwrap();
            }
            Op::GrpcClose => hostcalls::close_grpc_stream(stream).unwrap(),
            Op::GrpcCancel => hostcalls::cancel_grpc_stream(stream).unwrap(),
            Op::GrpcMessage(to) => {
                let message =
                    hostcalls::get_buffer(BufferType::GrpcReceiveBuffer, 0, usize::MAX >> 1);
                let message = message.unwrap().unwrap_or_default();
                self.add(to, &String::from_utf8_lossy(&message));
            }
            Op::GrpcMetadata(name, to) => {
                let map = match self.event {
                    Event::GrpcInitialMetadata => MapType::GrpcReceiveInitialMetadata,
                    _ => MapType::GrpcReceiveTrailingMetadata,
                };
                let value = hostcalls::get_map_value(map, name).unwrap();
                self.tell(to, value.as_deref().unwrap_or("-"));
            }
            Op::GrpcStatus(to) => {
                let (code, text) = hostcalls::get_grpc_status().unwrap();
                self.tell(to, &format!("{code} {}", text.unwrap_or_default()));
            }
            other => unreachable!("not about gRPC: {other:?}"),
        }
    }

    fn asked_for(&self, call: &GrpcCall, outcome: Result<(), proxy_wasm::types::Status>) {
        match (outcome, &call.refused) {
            (Ok(()), _) => {}
            (Err(status), Some(to)) => self.tell(to, &format!("{status:?}")),
            (Err(status), None) => log::warn!("gRPC callout refused: {status:?}"),
        }
    }
}

fn metadata(call: &GrpcCall) -> Vec<(&str, &[u8])> {
    let pairs = call.metadata.iter();
    pairs
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect()
}
