//! A VM's callbacks, resolved once.

use wasmtime::{AsContextMut, Instance, Store, TypedFunc, WasmParams, WasmResults};

use super::context::ContextId;
use super::state::State;

/// Root context, token, and the numbers of headers, bytes of the body, and trailers.
type OnHttpCallResponse = TypedFunc<(u32, u32, u32, u32, u32), ()>;

/// Root context, token, and a number: of pairs or bytes, or the status.
pub(super) type OnGrpc = TypedFunc<(u32, u32, u32), ()>;

/// Of our own: a guest draws new randomness in a VM that began from a snapshot.
pub(super) const RESEED: &str = "portcullis_reseed";

/// All are optional in the ABI.
pub(super) struct Exports {
    pub(super) context_create: Option<TypedFunc<(u32, u32), ()>>,
    pub(super) vm_start: Option<TypedFunc<(u32, u32), u32>>,
    pub(super) configure: Option<TypedFunc<(u32, u32), u32>>,
    pub(super) request_headers: Option<OnHeaders>,
    pub(super) request_body: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(super) request_trailers: Option<TypedFunc<(u32, u32), u32>>,
    pub(super) response_headers: Option<OnHeaders>,
    pub(super) response_body: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(super) response_trailers: Option<TypedFunc<(u32, u32), u32>>,
    pub(super) new_connection: Option<TypedFunc<u32, u32>>,
    pub(super) downstream_data: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(super) upstream_data: Option<TypedFunc<(u32, u32, u32), u32>>,
    pub(super) downstream_connection_close: Option<TypedFunc<(u32, u32), ()>>,
    pub(super) upstream_connection_close: Option<TypedFunc<(u32, u32), ()>>,
    pub(super) done: Option<TypedFunc<u32, u32>>,
    pub(super) log: Option<TypedFunc<u32, ()>>,
    pub(super) delete: Option<TypedFunc<u32, ()>>,
    pub(super) tick: Option<TypedFunc<u32, ()>>,
    pub(super) queue_ready: Option<TypedFunc<(u32, u32), ()>>,
    pub(super) http_call_response: Option<OnHttpCallResponse>,
    pub(super) grpc_initial_metadata: Option<OnGrpc>,
    pub(super) grpc_receive: Option<OnGrpc>,
    pub(super) grpc_trailing_metadata: Option<OnGrpc>,
    pub(super) grpc_close: Option<OnGrpc>,
    pub(super) reseed: Option<TypedFunc<(), ()>>,
    /// Root context, token, and the size of the result.
    pub(super) foreign_function: Option<TypedFunc<(u32, u32, u32), ()>>,
}

impl Exports {
    pub(super) fn of(instance: &Instance, store: &mut Store<State>) -> Self {
        Self {
            context_create: find(instance, store, "proxy_on_context_create"),
            vm_start: find(instance, store, "proxy_on_vm_start"),
            configure: find(instance, store, "proxy_on_configure"),
            request_headers: OnHeaders::find(instance, store, "proxy_on_request_headers"),
            request_body: find(instance, store, "proxy_on_request_body"),
            request_trailers: find(instance, store, "proxy_on_request_trailers"),
            response_headers: OnHeaders::find(instance, store, "proxy_on_response_headers"),
            response_body: find(instance, store, "proxy_on_response_body"),
            response_trailers: find(instance, store, "proxy_on_response_trailers"),
            new_connection: find(instance, store, "proxy_on_new_connection"),
            downstream_data: find(instance, store, "proxy_on_downstream_data"),
            upstream_data: find(instance, store, "proxy_on_upstream_data"),
            downstream_connection_close: find(
                instance,
                store,
                "proxy_on_downstream_connection_close",
            ),
            upstream_connection_close: find(instance, store, "proxy_on_upstream_connection_close"),
            done: find(instance, store, "proxy_on_done"),
            log: find(instance, store, "proxy_on_log"),
            delete: find(instance, store, "proxy_on_delete"),
            tick: find(instance, store, "proxy_on_tick"),
            queue_ready: find(instance, store, "proxy_on_queue_ready"),
            http_call_response: find(instance, store, "proxy_on_http_call_response"),
            grpc_initial_metadata: find(instance, store, "proxy_on_grpc_receive_initial_metadata"),
            grpc_receive: find(instance, store, "proxy_on_grpc_receive"),
            grpc_trailing_metadata: find(
                instance,
                store,
                "proxy_on_grpc_receive_trailing_metadata",
            )
            // AssemblyScript's spelling.
            .or_else(|| find(instance, store, "proxy_on_grpc_trailing_metadata")),
            grpc_close: find(instance, store, "proxy_on_grpc_close"),
            reseed: find(instance, store, RESEED),
            foreign_function: find(instance, store, "proxy_on_foreign_function"),
        }
    }
}

/// A headers callback: by its real signature, whatever the marker says.
pub(super) enum OnHeaders {
    /// ABI 0.2: context, count, end of stream.
    WithEnd(TypedFunc<(u32, u32, u32), u32>),
    /// ABI 0.1.0: context, count.
    WithoutEnd(TypedFunc<(u32, u32), u32>),
}

impl OnHeaders {
    fn find(instance: &Instance, store: &mut Store<State>, name: &str) -> Option<Self> {
        find(instance, store, name)
            .map(Self::WithEnd)
            .or_else(|| find(instance, store, name).map(Self::WithoutEnd))
    }

    pub(super) fn call(
        &self,
        store: impl AsContextMut<Data = State>,
        context: ContextId,
        headers: u32,
        end_of_stream: bool,
    ) -> wasmtime::Result<u32> {
        match self {
            Self::WithEnd(callback) => {
                callback.call(store, (context.0, headers, end_of_stream.into()))
            }
            Self::WithoutEnd(callback) => callback.call(store, (context.0, headers)),
        }
    }
}

/// An export of that name and signature. Loading has refused other signatures of the names that matter.
pub(super) fn find<P: WasmParams, R: WasmResults>(
    instance: &Instance,
    store: &mut Store<State>,
    name: &str,
) -> Option<TypedFunc<P, R>> {
    instance.get_typed_func(store, name).ok()
}
