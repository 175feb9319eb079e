//! A proxy-wasm host (ABI 0.1.0, 0.2.0, 0.2.1 and the 0.2.100 marker) on Wasmtime, usable by any proxy.
//!
//! An embedder makes one [`Engine`], loads each [`Module`] once, describes a [`Plugin`] and starts one [`Vm`] of it
//! per worker thread. It implements [`Stream`] (what a guest sees of one exchange) and [`Host`] (logs, metrics,
//! callouts, timers). Invariants:
//!
//! - a guest is never re-entered from a hostcall, except its allocator;
//! - what a guest asks for is recorded in the hostcall and done after its callback returned;
//! - no number, pointer or size of a guest can make the host panic or allocate more than the guest's own memory;
//! - a fault kills exactly one VM.
#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::as_conversions,
        reason = "a test may fail loudly"
    )
)]

mod cache;
pub mod callbacks;
pub mod engine;
pub mod grants;
pub mod grpc;
pub mod host;
pub mod hostcalls;
mod image;
pub mod inspect;
pub mod limits;
mod memory;
pub mod module;
pub mod plugin;
pub mod shared;
pub mod stream;
pub mod vm;
pub mod wire;

pub use callbacks::Callbacks;
pub use engine::{Engine, EngineError, EngineOptions};
pub use grants::{Access, Grants, ReadWrite};
pub use grpc::{GrpcCall, GrpcEvent, GrpcKind, GrpcMessages, GrpcNext, GrpcTarget};
pub use host::{ForeignCall, Host, HostAction, HttpCall, HttpCallResponse, Metric, Refusal};
pub use inspect::{AbiVersion, GrantNeeds, Import, Report, inspect};
pub use limits::Limits;
pub use module::{LoadError, Module};
pub use plugin::Plugin;
pub use shared::{Space, Spaces};
pub use stream::{Declaration, HeaderError, LocalResponse, SharedStream, Span, Stream};
pub use vm::{Beginning, ContextId, Fault, FaultKind, Role, Snapshot, SnapshotError, Vm};
pub use wire::types::{
    BufferType, ConnectionAction, DataAction, HeadersAction, LogLevel, MapType, MetricType,
    PeerType, Status, StreamType, TrailersAction,
};
