//! A proxy-wasm module that does what its configuration says: the guest of the end-to-end tests, by the Rust SDK.
//!
//! The plugin configuration is JSON: `{"tick_ms": 20, "on": {"request_headers": [OP, ..], ..}}`, one list of
//! operations ([`op::Op`]) for each callback ([`op::Event`]). `on.vm_start` is read from the VM configuration, because
//! that is all a plugin may read there. So a test states what the guest does next to what it expects of the proxy.

mod op;
mod run;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext, StreamContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, PeerType};

use op::{Event, Half, Script};
use run::Scope;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Trace);
    proxy_wasm::set_root_context(|id| Box::new(Root { id, plugin: Rc::default() }));
}}

/// What a plugin's contexts share.
#[derive(Default)]
struct Plugin {
    script: RefCell<Script>,
    vm_config: RefCell<Vec<u8>>,
    plugin_config: RefCell<Vec<u8>>,
    metrics: RefCell<HashMap<String, u32>>,
    /// The stream context that called a foreign function last.
    foreign: Cell<u32>,
    /// The gRPC stream opened last.
    grpc: Cell<u32>,
    /// Stream contexts that wait for a tick.
    waiting: RefCell<Vec<(u32, Direction)>>,
}

/// Which half of an exchange a stream context was last called for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Direction {
    #[default]
    Request,
    Response,
}

struct Root {
    id: u32,
    plugin: Rc<Plugin>,
}

impl Root {
    fn run(&self, event: Event) -> bool {
        self.scope().run(event);
        true
    }

    fn scope(&self) -> Scope<'_> {
        Scope::root(&self.plugin, self.id)
    }
}

impl Context for Root {
    fn on_http_call_response(
        &mut self,
        _token: u32,
        _headers: usize,
        _body: usize,
        _trailers: usize,
    ) {
        self.run(Event::CallResponse);
    }

    fn on_foreign_function(&mut self, _token: u32, size: usize) {
        let stream = self.plugin.foreign.get();
        // The stream may have ended since; then nobody waits.
        if proxy_wasm::hostcalls::set_effective_context(stream).is_ok() {
            let mut scope = Scope::root(&self.plugin, stream);
            scope.size = size;
            scope.run(Event::ForeignFunction);
        }
    }

    fn on_grpc_call_response(&mut self, _token: u32, _status: u32, _size: usize) {
        self.run(Event::GrpcAnswer);
    }

    fn on_grpc_stream_message(&mut self, _token: u32, _size: usize) {
        self.run(Event::GrpcMessage);
    }

    fn on_grpc_stream_close(&mut self, _token: u32, _status: u32) {
        self.run(Event::GrpcClose);
    }

    fn on_done(&mut self) -> bool {
        let mut scope = self.scope();
        scope.run(Event::PluginDone);
        !scope.failed
    }
}

impl RootContext for Root {
    fn on_vm_start(&mut self, _size: usize) -> bool {
        let config = self.get_vm_configuration().unwrap_or_default();
        if let Ok(script) = serde_json::from_slice(&config) {
            self.plugin.script.replace(script);
        }
        self.plugin.vm_config.replace(config);
        let mut scope = self.scope();
        scope.run(Event::VmStart);
        !scope.failed
    }

    fn on_configure(&mut self, _size: usize) -> bool {
        let config = self.get_plugin_configuration().unwrap_or_default();
        match serde_json::from_slice::<Script>(&config) {
            Ok(script) => {
                if let Some(period) = script.tick_ms {
                    self.set_tick_period(Duration::from_millis(period));
                }
                self.plugin.script.replace(script);
            }
            Err(_) if config.is_empty() => {}
            Err(error) => {
                log::error!("bad script: {error}");
                return false;
            }
        }
        self.plugin.plugin_config.replace(config);
        let mut scope = self.scope();
        scope.run(Event::Configure);
        !scope.failed
    }

    fn on_tick(&mut self) {
        self.run(Event::Tick);
        for (stream, direction) in self.plugin.waiting.take() {
            // The stream may have ended since; then there is nothing to wake.
            if proxy_wasm::hostcalls::set_effective_context(stream).is_err() {
                continue;
            }
            let mut scope = Scope::root(&self.plugin, stream);
            scope.direction = direction;
            scope.run(Event::Woken);
            let half = match direction {
                Direction::Request => Half::Request,
                Direction::Response => Half::Response,
            };
            let tcp = self.plugin.script.borrow().tcp;
            run::resume(tcp, half);
        }
    }

    fn on_queue_ready(&mut self, queue: u32) {
        let mut scope = self.scope();
        scope.queue = queue;
        scope.run(Event::QueueReady);
    }

    fn create_http_context(&self, id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream {
            id,
            plugin: Rc::clone(&self.plugin),
            asked: String::new(),
            direction: Direction::Request,
            calls: Cell::new(0),
        }))
    }

    fn create_stream_context(&self, id: u32) -> Option<Box<dyn StreamContext>> {
        Some(Box::new(Stream {
            id,
            plugin: Rc::clone(&self.plugin),
            asked: String::new(),
            direction: Direction::Request,
            calls: Cell::new(0),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        let tcp = self.plugin.script.borrow().tcp;
        Some(if tcp {
            ContextType::StreamContext
        } else {
            ContextType::HttpContext
        })
    }
}

/// One exchange or connection, seen by one plugin.
struct Stream {
    id: u32,
    plugin: Rc<Plugin>,
    /// The request's `x-do` header, which [`op::Op::When`] looks at in every later callback.
    asked: String,
    direction: Direction,
    /// Callouts not answered yet.
    calls: Cell<usize>,
}

impl Stream {
    fn run(&self, event: Event, size: usize, end: bool) -> Action {
        let mut scope = Scope::root(&self.plugin, self.id);
        scope.asked = &self.asked;
        scope.direction = self.direction;
        scope.calls = Some(&self.calls);
        scope.size = size;
        scope.end = end;
        scope.run(event)
    }
}

impl Context for Stream {
    fn on_http_call_response(
        &mut self,
        _token: u32,
        _headers: usize,
        body: usize,
        _trailers: usize,
    ) {
        self.calls.set(self.calls.get().saturating_sub(1));
        self.run(Event::CallResponse, body, false);
        if self.calls.get() == 0 {
            self.run(Event::CallsDone, body, false);
        }
    }

    fn on_grpc_call_response(&mut self, _token: u32, _status: u32, size: usize) {
        self.run(Event::GrpcAnswer, size, true);
    }

    fn on_grpc_stream_initial_metadata(&mut self, _token: u32, count: u32) {
        self.run(Event::GrpcInitialMetadata, count as usize, false);
    }

    fn on_grpc_stream_message(&mut self, _token: u32, size: usize) {
        self.run(Event::GrpcMessage, size, false);
    }

    fn on_grpc_stream_trailing_metadata(&mut self, _token: u32, count: u32) {
        self.run(Event::GrpcTrailingMetadata, count as usize, false);
    }

    fn on_grpc_stream_close(&mut self, _token: u32, _status: u32) {
        self.run(Event::GrpcClose, 0, true);
    }

    fn on_done(&mut self) -> bool {
        self.run(Event::Done, 0, true);
        true
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, end: bool) -> Action {
        self.asked = self.get_http_request_header("x-do").unwrap_or_default();
        self.run(Event::RequestHeaders, count, end)
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        self.run(Event::RequestBody, size, end)
    }

    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        self.run(Event::RequestTrailers, count, true)
    }

    fn on_http_response_headers(&mut self, count: usize, end: bool) -> Action {
        self.direction = Direction::Response;
        self.run(Event::ResponseHeaders, count, end)
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        self.run(Event::ResponseBody, size, end)
    }

    fn on_http_response_trailers(&mut self, count: usize) -> Action {
        self.run(Event::ResponseTrailers, count, true)
    }

    fn on_log(&mut self) {
        self.run(Event::Log, 0, true);
    }
}

impl StreamContext for Stream {
    fn on_new_connection(&mut self) -> Action {
        self.run(Event::NewConnection, 0, false)
    }

    fn on_downstream_data(&mut self, size: usize, end: bool) -> Action {
        self.direction = Direction::Request;
        self.run(Event::DownstreamData, size, end)
    }

    fn on_upstream_data(&mut self, size: usize, end: bool) -> Action {
        self.direction = Direction::Response;
        self.run(Event::UpstreamData, size, end)
    }

    fn on_downstream_close(&mut self, peer: PeerType) {
        self.run(Event::DownstreamClose, peer as usize, true);
    }

    fn on_upstream_close(&mut self, peer: PeerType) {
        self.run(Event::UpstreamClose, peer as usize, true);
    }

    fn on_log(&mut self) {
        self.run(Event::Log, 0, true);
    }
}

/// The SDK has no hook for `proxy_on_delete`; it drops the context there.
impl Drop for Stream {
    fn drop(&mut self) {
        self.run(Event::Delete, 0, true);
    }
}
