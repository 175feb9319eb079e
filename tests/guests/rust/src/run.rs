//! Runs a list of operations inside one callback.

mod foreign;
mod grpc;
mod state;

use std::cell::Cell;
use std::time::{Duration, UNIX_EPOCH};

use proxy_wasm::hostcalls;
use proxy_wasm::types::{Action, BufferType, LogLevel, MapType};

use crate::op::{Call, Event, Half, Level, Map, Op, Reply};
use crate::{Direction, Plugin};

/// What the operations of one callback see.
pub(crate) struct Scope<'a> {
    plugin: &'a Plugin,
    context: u32,
    pub(crate) asked: &'a str,
    pub(crate) direction: Direction,
    /// Outstanding callouts of the stream; none in a root context.
    pub(crate) calls: Option<&'a Cell<usize>>,
    pub(crate) size: usize,
    pub(crate) end: bool,
    pub(crate) queue: u32,
    pub(crate) failed: bool,
    tcp: bool,
    map: MapType,
    event: Event,
}

/// Whether the next operation runs.
enum Step {
    Next,
    Pause,
}

impl<'a> Scope<'a> {
    pub(crate) fn root(plugin: &'a Plugin, context: u32) -> Self {
        Self {
            plugin,
            context,
            asked: "",
            direction: Direction::Request,
            calls: None,
            size: 0,
            end: true,
            queue: 0,
            failed: false,
            tcp: plugin.script.borrow().tcp,
            map: MapType::HttpRequestHeaders,
            event: Event::Tick,
        }
    }

    pub(crate) fn run(&mut self, event: Event) -> Action {
        let Some(ops) = self.plugin.script.borrow().on.get(&event).cloned() else {
            return Action::Continue;
        };
        self.event = event;
        self.map = match (event, self.direction) {
            (Event::RequestTrailers, _) => MapType::HttpRequestTrailers,
            (Event::ResponseTrailers, _) => MapType::HttpResponseTrailers,
            (_, Direction::Request) => MapType::HttpRequestHeaders,
            (_, Direction::Response) => MapType::HttpResponseHeaders,
        };
        match self.all(&ops) {
            Step::Next => Action::Continue,
            Step::Pause => Action::Pause,
        }
    }

    fn all(&mut self, ops: &[Op]) -> Step {
        for op in ops {
            if let Step::Pause = self.one(op) {
                return Step::Pause;
            }
        }
        Step::Next
    }

    fn one(&mut self, op: &Op) -> Step {
        match op {
            Op::When(asked, ops) if self.asked == asked => return self.all(ops),
            Op::AtEnd(ops) if self.end => return self.all(ops),
            Op::If(name, value, ops) if self.header(name).as_deref() == Some(value) => {
                return self.all(ops);
            }
            Op::IfBody(text, ops) if contains(&self.body(), text.as_bytes()) => {
                return self.all(ops);
            }
            Op::Unless(name, value, ops) if self.header(name).as_deref() != Some(value) => {
                return self.all(ops);
            }
            Op::When(..) | Op::AtEnd(_) | Op::If(..) | Op::IfBody(..) | Op::Unless(..) => {}

            Op::Buffer if self.end => {}
            Op::Gather(bytes) if self.body().len() >= *bytes => {}
            Op::Buffer | Op::Gather(_) | Op::Pause => return Step::Pause,
            Op::ReplyIfBody(text, status) => {
                if contains(&self.body(), text.as_bytes()) {
                    return reply(&Reply {
                        status: *status,
                        headers: Vec::new(),
                        body: "found".to_owned(),
                    });
                }
            }
            Op::Reply(answer) => return reply(answer),
            Op::ResumeOnTick => {
                self.plugin
                    .waiting
                    .borrow_mut()
                    .push((self.context, self.direction));
                return Step::Pause;
            }
            Op::Resume(half) => resume(self.tcp, *half),
            Op::Close(half) => close(self.tcp, *half),
            Op::Call(call) => self.call(call),

            Op::Fail => self.failed = true,
            Op::Panic => panic!("asked to panic"),
            Op::Trap => trap(),
            Op::Loop => spin(),
            Op::EatMemory => eat_memory(),
            op => self.plain(op),
        }
        Step::Next
    }

    /// The operations that never end the list.
    fn plain(&mut self, op: &Op) {
        match op {
            Op::Map(map) => self.map = map_type(*map),
            Op::Add(..)
            | Op::Set(..)
            | Op::Remove(_)
            | Op::SetAll(_)
            | Op::Copy(..)
            | Op::List(..)
            | Op::Count(_)
            | Op::BadHeader => {
                self.headers(op);
            }
            Op::Append(text) => self.write_body(usize::MAX >> 1, 0, text.as_bytes()),
            Op::Prepend(text) => self.write_body(0, 0, text.as_bytes()),
            Op::Replace(text) => self.write_body(0, usize::MAX >> 1, text.as_bytes()),
            Op::Upper => self.write_body(0, usize::MAX >> 1, &self.body().to_ascii_uppercase()),
            Op::Size(to) => self.tell(to, &self.size.to_string()),
            Op::CallStatus(to) => {
                let status =
                    hostcalls::get_map_value(MapType::HttpCallResponseHeaders, ":status").unwrap();
                self.tell(to, status.as_deref().unwrap_or("none"));
            }
            Op::CallBody(to) => {
                let body =
                    hostcalls::get_buffer(BufferType::HttpCallResponseBody, 0, usize::MAX >> 1)
                        .unwrap();
                self.tell(to, &String::from_utf8_lossy(&body.unwrap_or_default()));
            }
            Op::Foreign(..) | Op::Expression(..) | Op::ForeignResult(_) => self.foreign(op),
            Op::GrpcCall(_)
            | Op::GrpcStream(_)
            | Op::GrpcSend(..)
            | Op::GrpcClose
            | Op::GrpcCancel
            | Op::GrpcMessage(_)
            | Op::GrpcMetadata(..)
            | Op::GrpcStatus(_) => self.grpc(op),
            Op::Property(..)
            | Op::PropertyNumber(..)
            | Op::PropertyFlag(..)
            | Op::PropertySize(..)
            | Op::SetProperty(..) => self.properties(op),
            Op::ShareIncrement(_) | Op::ShareGet(..) | Op::ShareSet(..) | Op::ShareStale(..) => {
                self.shared_data(op)
            }
            Op::QueueRegister(_) | Op::Enqueue(..) | Op::Dequeue(_) => self.queues(op),
            Op::Counter(..) | Op::Gauge(..) | Op::Histogram(..) | Op::MetricValue(..) => {
                self.metrics(op)
            }
            op => self.surroundings(op),
        }
    }

    fn headers(&mut self, op: &Op) {
        let map = self.map;
        match op {
            Op::Add(name, value) => hostcalls::add_map_value(map, name, value).unwrap(),
            Op::Set(name, value) => self.tell(name, value),
            Op::Remove(name) => hostcalls::set_map_value(map, name, None).unwrap(),
            Op::SetAll(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(name, value)| (name.as_str(), value.as_str()))
                    .collect();
                hostcalls::set_map(map, pairs).unwrap();
            }
            Op::Copy(from, to) => {
                let value = self.header(from);
                self.tell(to, value.as_deref().unwrap_or("-"));
            }
            Op::List(name, to) => {
                let pairs = hostcalls::get_map(map).unwrap();
                let values: Vec<_> = pairs
                    .iter()
                    .filter(|(key, _)| key == name)
                    .map(|(_, value)| value.as_str())
                    .collect();
                self.tell(to, &values.join("|"));
            }
            Op::Count(to) => {
                let count = hostcalls::get_map(map).unwrap().len();
                self.tell(to, &count.to_string());
            }
            Op::BadHeader => self.tell("x-bad", "a\r\nx-injected: b"),
            other => unreachable!("not about headers: {other:?}"),
        }
    }

    fn properties(&mut self, op: &Op) {
        match op {
            Op::Property(path, to) => {
                let value = property(path).map_or_else(
                    || "-".to_owned(),
                    |value| String::from_utf8_lossy(&value).into_owned(),
                );
                self.tell(to, &value);
            }
            Op::PropertyNumber(path, to) => {
                let value = property(path).and_then(|value| <[u8; 8]>::try_from(value).ok());
                self.tell(
                    to,
                    &value.map_or_else(
                        || "-".to_owned(),
                        |value| i64::from_le_bytes(value).to_string(),
                    ),
                );
            }
            Op::PropertyFlag(path, to) => {
                let value =
                    property(path).map_or_else(|| "-".to_owned(), |value| format!("{value:?}"));
                self.tell(to, &value);
            }
            Op::PropertySize(path, to) => {
                let size = property(path).map(|value| value.len().to_string());
                self.tell(to, size.as_deref().unwrap_or("-"));
            }
            Op::SetProperty(path, value) => {
                hostcalls::set_property(path.split('.').collect(), Some(value.as_bytes())).unwrap()
            }
            other => unreachable!("not about properties: {other:?}"),
        }
    }

    fn surroundings(&mut self, op: &Op) {
        match op {
            Op::Done => hostcalls::done().unwrap(),
            Op::Tick(period) => hostcalls::set_tick_period(Duration::from_millis(*period)).unwrap(),
            Op::Log(level, text) => hostcalls::log(log_level(*level), text).unwrap(),
            Op::LogFlood(lines) => (0..*lines)
                .for_each(|line| hostcalls::log(LogLevel::Warn, &format!("flood {line}")).unwrap()),
            Op::VmConfig(to) => self.tell(
                to,
                &String::from_utf8_lossy(&self.plugin.vm_config.borrow()),
            ),
            Op::PluginConfig(to) => self.tell(
                to,
                &String::from_utf8_lossy(&self.plugin.plugin_config.borrow()),
            ),
            Op::Env(name, to) => {
                self.tell(to, &std::env::var(name).unwrap_or_else(|_| "-".to_owned()))
            }
            Op::Clock(to) => {
                let now = hostcalls::get_current_time().unwrap();
                self.tell(
                    to,
                    &now.duration_since(UNIX_EPOCH)
                        .unwrap()
                        .as_secs()
                        .to_string(),
                );
            }
            other => unreachable!("handled before: {other:?}"),
        }
    }

    fn call(&self, call: &Call) {
        let mut headers = vec![
            (":method", call.method.as_str()),
            (":path", &call.path),
            (":authority", "callout.test"),
        ];
        headers.extend(
            call.headers
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let body = (!call.body.is_empty()).then_some(call.body.as_bytes());
        let outcome = hostcalls::dispatch_http_call(
            &call.upstream,
            headers,
            body,
            Vec::new(),
            Duration::from_millis(call.timeout_ms),
        );
        match (outcome, &call.refused) {
            (Ok(_), _) => {
                if let Some(calls) = self.calls {
                    calls.set(calls.get() + 1);
                }
            }
            (Err(status), Some(to)) => self.tell(to, &format!("{status:?}")),
            (Err(status), None) => log::warn!("callout refused: {status:?}"),
        }
    }

    fn header(&self, name: &str) -> Option<String> {
        hostcalls::get_map_value(self.map, name).unwrap()
    }

    fn add(&self, name: &str, value: &str) {
        hostcalls::add_map_value(self.map, name, value).unwrap();
    }

    fn tell(&self, name: &str, value: &str) {
        if self.tcp {
            return hostcalls::log(LogLevel::Info, &format!("{name}={value}")).unwrap();
        }
        hostcalls::set_map_value(self.map, name, Some(value)).unwrap();
    }

    fn body(&self) -> Vec<u8> {
        hostcalls::get_buffer(self.buffer(), 0, usize::MAX >> 1)
            .unwrap()
            .unwrap_or_default()
    }

    fn write_body(&self, start: usize, length: usize, bytes: &[u8]) {
        hostcalls::set_buffer(self.buffer(), start, length, bytes).unwrap();
    }

    fn buffer(&self) -> BufferType {
        match (self.tcp, self.direction) {
            (false, Direction::Request) => BufferType::HttpRequestBody,
            (false, Direction::Response) => BufferType::HttpResponseBody,
            (true, Direction::Request) => BufferType::DownstreamData,
            (true, Direction::Response) => BufferType::UpstreamData,
        }
    }
}

fn property(path: &str) -> Option<Vec<u8>> {
    hostcalls::get_property(path.split('.').collect()).unwrap()
}

fn reply(reply: &Reply) -> Step {
    let headers = reply
        .headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    hostcalls::send_http_response(reply.status, headers, Some(reply.body.as_bytes())).unwrap();
    Step::Pause
}

pub(crate) fn resume(tcp: bool, half: Half) {
    match (tcp, half) {
        (false, Half::Request) => hostcalls::resume_http_request(),
        (false, Half::Response) => hostcalls::resume_http_response(),
        (true, Half::Request) => hostcalls::resume_downstream(),
        (true, Half::Response) => hostcalls::resume_upstream(),
    }
    .unwrap();
}

fn close(tcp: bool, half: Half) {
    match (tcp, half) {
        (false, Half::Request) => hostcalls::reset_http_request(),
        (false, Half::Response) => hostcalls::reset_http_response(),
        (true, Half::Request) => hostcalls::close_downstream(),
        (true, Half::Response) => hostcalls::close_upstream(),
    }
    .unwrap();
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

fn map_type(map: Map) -> MapType {
    match map {
        Map::RequestHeaders => MapType::HttpRequestHeaders,
        Map::RequestTrailers => MapType::HttpRequestTrailers,
        Map::ResponseHeaders => MapType::HttpResponseHeaders,
        Map::ResponseTrailers => MapType::HttpResponseTrailers,
        Map::CallHeaders => MapType::HttpCallResponseHeaders,
        Map::CallTrailers => MapType::HttpCallResponseTrailers,
    }
}

fn log_level(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
        Level::Critical => LogLevel::Critical,
    }
}

/// The `unreachable` instruction, without a panic message before it.
fn trap() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = std::hint::black_box(turns + 1);
    }
}

fn eat_memory() {
    let mut eaten = Vec::new();
    loop {
        eaten.push(vec![1_u8; 1 << 20]);
        std::hint::black_box(&eaten);
    }
}
