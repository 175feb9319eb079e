//! One run of the host on arbitrary bytes: events for a VM, and a program for its guest.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_abi::grpc::GrpcEvent;
use portcullis_abi::{
    Beginning, ContextId, Engine, EngineOptions, Fault, Grants, Host, HostAction, HttpCallResponse,
    Limits, Module, PeerType, Plugin, Role, SharedStream, Spaces, Vm,
};

use crate::embedder::{Embedder, Exchange};
use crate::guest;

/// Events of one run; what follows them in the input is the guest's program.
const EVENTS_MAX: usize = 48;

/// Panics only where the host has a mistake.
pub(crate) fn hostcalls(input: &[u8]) {
    let count = input.first().map_or(0, |byte| usize::from(*byte)) % EVENTS_MAX;
    let rest = input.get(1..).unwrap_or_default();
    let (events, program) = rest.split_at(count.min(rest.len()));
    // A fault is an answer like another: it ends the VM, and with it the run.
    let _ = run(events, program);
}

/// One compiled module for all runs.
fn module() -> &'static Module {
    static MODULE: OnceLock<(Arc<Engine>, Module)> = OnceLock::new();
    let (_, module) = MODULE.get_or_init(|| {
        let engine = Engine::new(EngineOptions::default()).unwrap();
        let module = Module::load(&engine, &guest::wasm()).unwrap();
        (engine, module)
    });
    module
}

/// All is granted, so that nothing hides behind a refusal; limits are low, so that they are met.
fn plugin(program: &[u8]) -> Plugin {
    let grants = Grants {
        all: program.first().is_none_or(|byte| byte % 4 != 0),
        ..Grants::default()
    };
    Plugin {
        name: "fuzz".to_owned(),
        root_id: "root".to_owned(),
        vm_id: "vm".to_owned(),
        vm_config: b"vm config".to_vec(),
        roots: vec![program.to_vec(), b"override".to_vec()],
        env: vec![("KEY".to_owned(), "value".to_owned())],
        grants,
        limits: Limits {
            cpu_per_call: Duration::from_secs(5),
            memory: 1 << 20,
            shared_data: 4 << 10,
            queue: 1 << 10,
            callouts: 4,
            ..Limits::default()
        },
        module: module().clone(),
        shared: Spaces::new().space("vm"),
    }
}

fn run(events: &[u8], program: &[u8]) -> Result<(), Fault> {
    let embedder = Arc::new(Embedder::default());
    let host: Arc<dyn Host> = Arc::clone(&embedder) as Arc<dyn Host>;
    let service = Vm::start(&Arc::new(plugin(program)), &host, 0)?;
    // Every other program runs in a VM made from a snapshot, beside the one that was started.
    let snapshot = match program.get(1) {
        Some(byte) if byte % 2 == 1 => service.snapshot().ok(),
        _ => None,
    };
    service.activate();
    let vm = match &snapshot {
        Some(snapshot) => {
            let role = Role::Exchange {
                service: Arc::downgrade(&service),
                lease: None,
            };
            Vm::begin(Beginning::Snapshot(snapshot), &host, 0, role)?
        }
        None => Arc::clone(&service),
    };
    let mut streams = Vec::new();
    let mut events = events.iter();
    let ended = events.try_for_each(|event| happens(*event, &vm, &embedder, &mut streams));
    // A VM whose roots are not done holds itself until it is given up.
    for vm in [service, vm] {
        vm.stop();
        vm.give_up();
    }
    ended
}

fn happens(
    event: u8,
    vm: &Arc<Vm>,
    embedder: &Embedder,
    streams: &mut Vec<ContextId>,
) -> Result<(), Fault> {
    let (kind, detail) = (event % 22, u32::from(event / 22));
    // The latest stream, or one that there is not.
    let stream = streams.last().copied().unwrap_or(ContextId(detail));
    let (size, end) = (detail * 1000, detail == 0);
    let peer = if end {
        PeerType::Local
    } else {
        PeerType::Remote
    };
    match kind {
        0 | 1 => {
            let exchange: SharedStream = Arc::new(Mutex::new(Exchange::new()));
            let slot = u16::try_from(streams.len()).unwrap();
            streams.push(vm.create_stream(usize::from(kind), &exchange, slot)?);
        }
        2 => drop(vm.on_request_headers(stream, detail, end)?),
        3 => drop(vm.on_request_body(stream, size, end)?),
        4 => drop(vm.on_request_trailers(stream, detail)?),
        5 => drop(vm.on_response_headers(stream, detail, end)?),
        6 => drop(vm.on_response_body(stream, size, end)?),
        7 => drop(vm.on_response_trailers(stream, detail)?),
        8 => {
            vm.end_stream(stream)?;
            streams.pop();
        }
        9 => vm.on_tick(ContextId(detail))?,
        10 => vm.on_queue_ready(ContextId(detail), detail)?,
        11 => vm.on_http_call_response(detail, answer())?,
        12 => drop(vm.on_grpc(detail, grpc(detail))?),
        13 => vm.stop(),
        14 => drop(vm.on_new_connection(stream)?),
        15 => drop(vm.on_downstream_data(stream, size, end)?),
        16 => drop(vm.on_upstream_data(stream, size, end)?),
        17 => vm.on_downstream_connection_close(stream, peer)?,
        18 => vm.on_upstream_connection_close(stream, peer)?,
        19 => vm.on_foreign_function(detail, b"result".to_vec())?,
        _ => answer_all(vm, embedder)?,
    }
    Ok(())
}

/// What the guest asked for until now, done.
fn answer_all(vm: &Arc<Vm>, embedder: &Embedder) -> Result<(), Fault> {
    for action in embedder.take() {
        match action {
            HostAction::HttpCall(call) => vm.on_http_call_response(call.token, answer())?,
            HostAction::GrpcCall(call) => {
                for detail in 0..5 {
                    vm.on_grpc(call.token, grpc(detail))?;
                }
            }
            HostAction::SetTick { root, .. } => vm.on_tick(root)?,
            HostAction::QueueReady {
                consumer,
                root,
                queue,
            } => {
                if let Some(consumer) = consumer.upgrade() {
                    consumer.on_queue_ready(root, queue)?;
                }
            }
            HostAction::ForeignCall(call) => {
                vm.on_foreign_function(call.token, b"result".to_vec())?;
            }
            HostAction::AwaitDone { .. } => {
                vm.give_up();
            }
        }
    }
    Ok(())
}

fn answer() -> HttpCallResponse {
    let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    HttpCallResponse {
        headers: vec![pair(":status", "200"), pair("x-one", "1")],
        body: b"answer".to_vec(),
        trailers: vec![pair("x-trailer", "1")],
        status: (0, String::new()),
    }
}

fn grpc(detail: u32) -> GrpcEvent {
    let metadata = vec![(b"x-meta".to_vec(), b"1".to_vec())];
    match detail {
        0 => GrpcEvent::InitialMetadata(metadata),
        1 => GrpcEvent::Message(b"message".to_vec()),
        2 => GrpcEvent::TrailingMetadata(metadata),
        3 => GrpcEvent::Answer(b"answer".to_vec()),
        status => GrpcEvent::Close {
            status,
            message: "closed".to_owned(),
        },
    }
}
