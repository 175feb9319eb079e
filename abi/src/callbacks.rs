//! The exports that the host calls: names, signatures, and which of them a module has.

use crate::hostcalls::{Signature, Type};

use Type::I32;

/// Which callbacks a module exports. A proxy may skip the work for those that are absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Callbacks {
    /// `proxy_on_request_headers`
    pub request_headers: bool,
    /// `proxy_on_request_body`
    pub request_body: bool,
    /// `proxy_on_request_trailers`
    pub request_trailers: bool,
    /// `proxy_on_response_headers`
    pub response_headers: bool,
    /// `proxy_on_response_body`
    pub response_body: bool,
    /// `proxy_on_response_trailers`
    pub response_trailers: bool,
    /// `proxy_on_done`
    pub done: bool,
    /// `proxy_on_log`
    pub log: bool,
    /// `proxy_on_delete`
    pub delete: bool,
    /// `proxy_on_tick`
    pub tick: bool,
    /// `proxy_on_queue_ready`
    pub queue_ready: bool,
    /// `proxy_on_http_call_response`
    pub http_call_response: bool,
    /// `proxy_on_foreign_function`
    pub foreign_function: bool,
    /// Any of the four callbacks for gRPC callouts.
    pub grpc: bool,
    /// Any of the callbacks for TCP connections.
    pub tcp: bool,
    /// `portcullis_reseed`: the module knows that VMs of it may begin from a snapshot.
    pub reseed: bool,
}

impl Callbacks {
    /// Looks the names up among a module's exports.
    pub(crate) fn of(exports: &[String]) -> Self {
        let has = |name: &str| exports.iter().any(|export| export == name);
        Self {
            request_headers: has("proxy_on_request_headers"),
            request_body: has("proxy_on_request_body"),
            request_trailers: has("proxy_on_request_trailers"),
            response_headers: has("proxy_on_response_headers"),
            response_body: has("proxy_on_response_body"),
            response_trailers: has("proxy_on_response_trailers"),
            done: has("proxy_on_done"),
            log: has("proxy_on_log"),
            delete: has("proxy_on_delete"),
            tick: has("proxy_on_tick"),
            queue_ready: has("proxy_on_queue_ready"),
            http_call_response: has("proxy_on_http_call_response"),
            foreign_function: has("proxy_on_foreign_function"),
            grpc: exports
                .iter()
                .any(|export| export.starts_with("proxy_on_grpc_")),
            tcp: [
                "proxy_on_new_connection",
                "proxy_on_downstream_data",
                "proxy_on_upstream_data",
            ]
            .into_iter()
            .any(has),
            reseed: has("portcullis_reseed"),
        }
    }
}

const fn signature(params: &'static [Type], results: &'static [Type]) -> Signature {
    Signature { params, results }
}

const NOTHING: Signature = signature(&[], &[]);
const ONE: Signature = signature(&[I32], &[]);
const TWO: Signature = signature(&[I32; 2], &[]);
const THREE: Signature = signature(&[I32; 3], &[]);
const FOUR: Signature = signature(&[I32; 4], &[]);
const FIVE: Signature = signature(&[I32; 5], &[]);
const ONE_ANSWERED: Signature = signature(&[I32], &[I32]);
const TWO_ANSWERED: Signature = signature(&[I32; 2], &[I32]);
const THREE_ANSWERED: Signature = signature(&[I32; 3], &[I32]);

/// Every export with a meaning, and the signatures it may have.
const EXPORTS: &[(&str, &[Signature])] = &[
    ("_initialize", &[NOTHING]),
    ("_start", &[NOTHING]),
    ("proxy_on_memory_allocate", &[ONE_ANSWERED]),
    ("malloc", &[ONE_ANSWERED]),
    ("proxy_on_context_create", &[TWO]),
    ("proxy_on_vm_start", &[TWO_ANSWERED]),
    ("proxy_validate_configuration", &[TWO_ANSWERED]),
    ("proxy_on_configure", &[TWO_ANSWERED]),
    ("proxy_on_tick", &[ONE]),
    ("proxy_on_queue_ready", &[TWO]),
    ("proxy_on_new_connection", &[ONE_ANSWERED]),
    ("proxy_on_downstream_data", &[THREE_ANSWERED]),
    ("proxy_on_upstream_data", &[THREE_ANSWERED]),
    ("proxy_on_downstream_connection_close", &[TWO]),
    ("proxy_on_upstream_connection_close", &[TWO]),
    // Two parameters in ABI 0.1.0, which has no end of stream there.
    ("proxy_on_request_headers", &[THREE_ANSWERED, TWO_ANSWERED]),
    ("proxy_on_request_body", &[THREE_ANSWERED]),
    ("proxy_on_request_trailers", &[TWO_ANSWERED]),
    ("proxy_on_request_metadata", &[TWO_ANSWERED]),
    ("proxy_on_response_headers", &[THREE_ANSWERED, TWO_ANSWERED]),
    ("proxy_on_response_body", &[THREE_ANSWERED]),
    ("proxy_on_response_trailers", &[TWO_ANSWERED]),
    ("proxy_on_response_metadata", &[TWO_ANSWERED]),
    ("proxy_on_http_call_response", &[FIVE]),
    ("proxy_on_grpc_create_initial_metadata", &[THREE]),
    ("proxy_on_grpc_receive_initial_metadata", &[THREE]),
    ("proxy_on_grpc_receive", &[THREE]),
    ("proxy_on_grpc_receive_trailing_metadata", &[THREE]),
    ("proxy_on_grpc_trailing_metadata", &[THREE]), // AssemblyScript's spelling
    ("proxy_on_grpc_close", &[THREE]),
    ("proxy_on_foreign_function", &[THREE]),
    ("proxy_on_redis_call_response", &[FOUR]),
    ("proxy_on_done", &[ONE_ANSWERED]),
    ("proxy_on_log", &[ONE]),
    ("proxy_on_delete", &[ONE]),
    ("portcullis_reseed", &[NOTHING]),
];

/// The signatures that an export of that name may have; `None`: the name means nothing to the host.
pub(crate) fn signatures(name: &str) -> Option<&'static [Signature]> {
    EXPORTS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, signatures)| *signatures)
}
