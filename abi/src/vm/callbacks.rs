//! The callbacks of a VM, one method each. An unknown context (one that was ended) is no fault: nothing is called.

mod tcp;

use std::sync::Arc;

use wasmtime::{TypedFunc, WasmParams};

use super::exports::{Exports, OnHeaders};
use super::retire::Retirement;
use super::{Context, ContextId, Entry, Fault, Vm};
use crate::host::HostAction;
use crate::stream::SharedStream;
use crate::wire::types::{DataAction, HeadersAction, TrailersAction};

impl Vm {
    /// Makes a stream context of the root context at place `root` of [`Plugin::roots`](crate::Plugin::roots). The VM
    /// holds `stream` until [`Vm::end_stream`] or a fault.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn create_stream(
        self: &Arc<Self>,
        root: usize,
        stream: &SharedStream,
        slot: u16,
    ) -> Result<ContextId, Fault> {
        const CALLBACK: &str = "proxy_on_context_create";
        let created = self.run(CALLBACK, Entry::Root(root), |live, root| {
            let state = live.store.data_mut();
            let context = Context::Stream {
                root,
                stream: SharedStream::clone(stream),
                slot,
            };
            let context = state
                .contexts
                .create(context)
                .ok_or_else(|| wasmtime::Error::msg("no context id is left"))?;
            state.enter(context);
            if let Some(context_create) = &live.exports.context_create {
                context_create.call(&mut live.store, (context.0, root.0))?;
            }
            Ok(context)
        })?;
        created.ok_or_else(|| Fault::no_root(CALLBACK))
    }

    /// `headers` is their number.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_request_headers(
        self: &Arc<Self>,
        context: ContextId,
        headers: u32,
        end_of_stream: bool,
    ) -> Result<HeadersAction, Fault> {
        self.on_headers(
            "proxy_on_request_headers",
            context,
            headers,
            end_of_stream,
            |exports| exports.request_headers.as_ref(),
        )
    }

    /// `size` is the number of bytes now visible.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_request_body(
        self: &Arc<Self>,
        context: ContextId,
        size: u32,
        end_of_stream: bool,
    ) -> Result<DataAction, Fault> {
        let params = (context.0, size, u32::from(end_of_stream));
        self.ask(
            "proxy_on_request_body",
            context,
            |exports| exports.request_body.as_ref(),
            params,
        )
        .map(data_action)
    }

    /// `trailers` is their number.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_request_trailers(
        self: &Arc<Self>,
        context: ContextId,
        trailers: u32,
    ) -> Result<TrailersAction, Fault> {
        self.ask(
            "proxy_on_request_trailers",
            context,
            |exports| exports.request_trailers.as_ref(),
            (context.0, trailers),
        )
        .map(trailers_action)
    }

    /// `headers` is their number.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_response_headers(
        self: &Arc<Self>,
        context: ContextId,
        headers: u32,
        end_of_stream: bool,
    ) -> Result<HeadersAction, Fault> {
        self.on_headers(
            "proxy_on_response_headers",
            context,
            headers,
            end_of_stream,
            |exports| exports.response_headers.as_ref(),
        )
    }

    /// `size` is the number of bytes now visible.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_response_body(
        self: &Arc<Self>,
        context: ContextId,
        size: u32,
        end_of_stream: bool,
    ) -> Result<DataAction, Fault> {
        let params = (context.0, size, u32::from(end_of_stream));
        self.ask(
            "proxy_on_response_body",
            context,
            |exports| exports.response_body.as_ref(),
            params,
        )
        .map(data_action)
    }

    /// `trailers` is their number.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_response_trailers(
        self: &Arc<Self>,
        context: ContextId,
        trailers: u32,
    ) -> Result<TrailersAction, Fault> {
        self.ask(
            "proxy_on_response_trailers",
            context,
            |exports| exports.response_trailers.as_ref(),
            (context.0, trailers),
        )
        .map(trailers_action)
    }

    /// `proxy_on_done`, `proxy_on_log`, `proxy_on_delete`, the stream readable in all three; then the context is
    /// forgotten.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn end_stream(self: &Arc<Self>, context: ContextId) -> Result<(), Fault> {
        let cpu = self.plugin.limits.cpu_per_call;
        let ended = self.run("proxy_on_done", Entry::Stream(context), |live, context| {
            if let Some(done) = &live.exports.done {
                done.call(&mut live.store, context.0)?;
            }
            // Taken out and put back: a clone of a typed function costs more than the call. After a fault nobody misses it.
            if let Some(log) = live.exports.log.take() {
                live.begin("proxy_on_log", context, cpu);
                log.call(&mut live.store, context.0)?;
                live.exports.log = Some(log);
            }
            if let Some(delete) = live.exports.delete.take() {
                live.begin("proxy_on_delete", context, cpu);
                delete.call(&mut live.store, context.0)?;
                live.exports.delete = Some(delete);
            }
            // Returned, to be dropped after the VM is unlocked: the embedder's stream may go with it.
            Ok((
                live.store.data_mut().contexts.remove(context),
                matches!(live.retirement, Retirement::Asked),
            ))
        })?;
        if let Some((_stream, true)) = ended {
            self.retire_if_idle();
        }
        Ok(())
    }

    /// The tick of a root context.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_tick(self: &Arc<Self>, root: ContextId) -> Result<(), Fault> {
        self.run(
            "proxy_on_tick",
            Entry::Context(root),
            |live, root| match &live.exports.tick {
                Some(callback) => callback.call(&mut live.store, root.0),
                None => Ok(()),
            },
        )?;
        Ok(())
    }

    /// An item waits in a queue that `root` consumes. Before activation the notice is kept.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_queue_ready(self: &Arc<Self>, root: ContextId, queue: u32) -> Result<(), Fault> {
        if let Some(kept) = &mut *self.kept.lock() {
            kept.push(HostAction::QueueReady {
                consumer: Arc::downgrade(self),
                root,
                queue,
            });
            return Ok(());
        }
        self.run(
            "proxy_on_queue_ready",
            Entry::Context(root),
            |live, root| match &live.exports.queue_ready {
                Some(callback) => callback.call(&mut live.store, (root.0, queue)),
                None => Ok(()),
            },
        )?;
        Ok(())
    }

    fn on_headers(
        self: &Arc<Self>,
        callback: &'static str,
        context: ContextId,
        headers: u32,
        end_of_stream: bool,
        select: fn(&Exports) -> Option<&OnHeaders>,
    ) -> Result<HeadersAction, Fault> {
        let answer = self.run(
            callback,
            Entry::Context(context),
            |live, context| match select(&live.exports) {
                Some(callback) => callback.call(&mut live.store, context, headers, end_of_stream),
                None => Ok(0),
            },
        )?;
        Ok(headers_action(answer.unwrap_or_default()))
    }

    /// A callback that answers an action; 0 (go on) where the module does not have it.
    fn ask<P: WasmParams>(
        self: &Arc<Self>,
        callback: &'static str,
        context: ContextId,
        select: fn(&Exports) -> Option<&TypedFunc<P, u32>>,
        params: P,
    ) -> Result<u32, Fault> {
        let answer = self.run(callback, Entry::Context(context), |live, _| {
            match select(&live.exports) {
                Some(callback) => callback.call(&mut live.store, params),
                None => Ok(0),
            }
        })?;
        Ok(answer.unwrap_or_default())
    }
}

/// Unknown numbers hold everything, as in Envoy.
fn headers_action(answer: u32) -> HeadersAction {
    match answer {
        0 => HeadersAction::Continue,
        1 => HeadersAction::StopIteration,
        2 => HeadersAction::ContinueAndEndStream,
        3 => HeadersAction::StopAllIterationAndBuffer,
        _ => HeadersAction::StopAllIterationAndWatermark,
    }
}

/// Unknown numbers hold the data: none of it gets past a filter that wanted to stop it.
fn data_action(answer: u32) -> DataAction {
    match answer {
        0 => DataAction::Continue,
        2 => DataAction::StopIterationAndWatermark,
        3 => DataAction::StopIterationNoBuffer,
        _ => DataAction::StopIterationAndBuffer,
    }
}

fn trailers_action(answer: u32) -> TrailersAction {
    match answer {
        0 => TrailersAction::Continue,
        _ => TrailersAction::StopIteration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_envoys_numbers() {
        let headers: Vec<_> = (0..6).map(headers_action).collect();
        assert_eq!(
            headers,
            [
                HeadersAction::Continue,
                HeadersAction::StopIteration,
                HeadersAction::ContinueAndEndStream,
                HeadersAction::StopAllIterationAndBuffer,
                HeadersAction::StopAllIterationAndWatermark,
                HeadersAction::StopAllIterationAndWatermark,
            ]
        );
        let data: Vec<_> = (0..5).map(data_action).collect();
        assert_eq!(
            data,
            [
                DataAction::Continue,
                DataAction::StopIterationAndBuffer,
                DataAction::StopIterationAndWatermark,
                DataAction::StopIterationNoBuffer,
                DataAction::StopIterationAndBuffer,
            ]
        );
        assert_eq!(trailers_action(0), TrailersAction::Continue);
        assert_eq!(trailers_action(7), TrailersAction::StopIteration);
    }
}
