//! An embedder that remembers everything it was asked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_abi::{
    BufferType, ContextId, Declaration, Engine, EngineOptions, Grants, HeaderError, Host,
    HostAction, Limits, LocalResponse, LogLevel, MapType, Metric, MetricType, Module, Plugin,
    Refusal, SharedStream, Spaces, Span, Stream, StreamType, Vm,
};

use crate::guest::Guest;

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// One exchange.
#[derive(Default)]
pub(crate) struct FakeStream {
    pub(crate) maps: HashMap<MapType, Pairs>,
    pub(crate) bodies: HashMap<BufferType, Vec<u8>>,
    pub(crate) properties: HashMap<Vec<u8>, Vec<u8>>,
    pub(crate) read_only: bool,
    /// A connection: the other two directions, and no responses.
    pub(crate) is_tcp: bool,
    pub(crate) continued: Vec<(u16, StreamType)>,
    pub(crate) closed: Vec<(u16, StreamType)>,
    pub(crate) replies: Vec<(u16, LocalResponse)>,
    pub(crate) routes_cleared: u32,
    pub(crate) hosts: Vec<String>,
    pub(crate) chosen_host: Option<String>,
    /// What was added to a response body; after an end there is no more of it.
    pub(crate) injected: Vec<(u16, Vec<u8>, bool)>,
    pub(crate) declared: Vec<(Vec<u8>, Declaration)>,
    /// The one object it knows is called "known".
    pub(crate) filter_state: Vec<(String, Vec<u8>, Span)>,
    pub(crate) refused: Vec<(u16, HeaderError)>,
    pub(crate) lost: Vec<u16>,
}

fn invalid(bytes: &[u8]) -> bool {
    bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}

impl FakeStream {
    fn has(&self, direction: StreamType) -> bool {
        let of_tcp = matches!(direction, StreamType::Downstream | StreamType::Upstream);
        of_tcp == self.is_tcp
    }

    fn map(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<&mut Pairs, HeaderError> {
        if invalid(name) || invalid(value) {
            return Err(HeaderError::Invalid);
        }
        if name == b"content-length" {
            return Err(HeaderError::Reserved);
        }
        self.maps.get_mut(&map).ok_or(HeaderError::Unavailable)
    }
}

impl Stream for FakeStream {
    fn header(&self, map: MapType, name: &[u8]) -> Option<Vec<u8>> {
        let pairs = self.maps.get(&map)?;
        pairs
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    fn each_header(&self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        let Some(pairs) = self.maps.get(&map) else {
            return false;
        };
        pairs.iter().for_each(|(key, value)| visit(key, value));
        true
    }

    fn add_header(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
        self.map(map, name, value)?
            .push((name.to_vec(), value.to_vec()));
        Ok(())
    }

    fn replace_header(
        &mut self,
        map: MapType,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HeaderError> {
        self.remove_header(map, name)?;
        self.add_header(map, name, value)
    }

    fn remove_header(&mut self, map: MapType, name: &[u8]) -> Result<(), HeaderError> {
        self.map(map, name, b"")?.retain(|(key, _)| key != name);
        Ok(())
    }

    fn set_headers(&mut self, map: MapType, pairs: &[(&[u8], &[u8])]) -> Result<(), HeaderError> {
        for (name, value) in pairs {
            self.map(map, name, value)?;
        }
        let pairs = pairs
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        *self.map(map, b"", b"")? = pairs;
        Ok(())
    }

    fn body(&self, buffer: BufferType) -> Option<&[u8]> {
        self.bodies.get(&buffer).map(Vec::as_slice)
    }

    fn splice_body(
        &mut self,
        buffer: BufferType,
        start: usize,
        length: usize,
        data: &[u8],
    ) -> bool {
        let Some(body) = self.bodies.get_mut(&buffer) else {
            return false;
        };
        body.splice(start..start + length, data.iter().copied());
        true
    }

    fn property(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        self.properties
            .get(path)
            .map(|value| out.extend_from_slice(value))
            .is_some()
    }

    fn set_property(&mut self, path: &[u8], value: &[u8]) -> bool {
        if !self.read_only {
            self.properties.insert(path.to_vec(), value.to_vec());
        }
        !self.read_only
    }

    fn upstream_hosts(&self, visit: &mut dyn FnMut(&str)) -> bool {
        self.hosts.iter().for_each(|host| visit(host));
        !self.hosts.is_empty()
    }

    fn override_upstream_host(&mut self, address: &str) -> bool {
        let known = self.hosts.iter().any(|host| host == address);
        if known {
            self.chosen_host = Some(address.to_owned());
        }
        known
    }

    fn inject_response_body(&mut self, slot: u16, data: &[u8], end: bool) -> bool {
        let open = self.injected.iter().all(|(_, _, end)| !end);
        if open {
            self.injected.push((slot, data.to_vec(), end));
        }
        open
    }

    fn set_declared_property(
        &mut self,
        path: &[u8],
        value: &[u8],
        declaration: Declaration,
    ) -> bool {
        self.declared.push((path.to_vec(), declaration));
        self.set_property(path, value)
    }

    fn set_filter_state(&mut self, key: &str, value: &[u8], span: Span) -> bool {
        let known = key == "known";
        if known {
            self.filter_state
                .push((key.to_owned(), value.to_vec(), span));
        }
        known
    }

    fn continue_stream(&mut self, slot: u16, direction: StreamType) -> bool {
        let has = self.has(direction);
        if has {
            self.continued.push((slot, direction));
        }
        has
    }

    fn close_stream(&mut self, slot: u16, direction: StreamType) -> bool {
        // An exchange is closed by whatever name.
        let has = !self.is_tcp || self.has(direction);
        if has {
            self.closed.push((slot, direction));
        }
        has
    }

    fn send_local_response(&mut self, slot: u16, response: LocalResponse) -> bool {
        if !self.is_tcp {
            self.replies.push((slot, response));
        }
        !self.is_tcp
    }

    fn clear_route_cache(&mut self, _: u16) {
        self.routes_cleared += 1;
    }

    fn refuse(&mut self, slot: u16, error: HeaderError) {
        self.refused.push((slot, error));
    }

    fn vm_lost(&mut self, slot: u16) {
        self.lost.push(slot);
    }
}

/// The rest of the embedder.
pub(crate) struct FakeHost {
    pub(crate) lines: Mutex<Vec<(LogLevel, String)>>,
    pub(crate) level: Mutex<LogLevel>,
    pub(crate) metrics: Mutex<HashMap<String, Arc<FakeMetric>>>,
    pub(crate) upstreams: Vec<String>,
    pub(crate) refusals: Mutex<Vec<Refusal>>,
    pub(crate) actions: Mutex<Vec<HostAction>>,
    /// How long each line of log keeps the guest waiting.
    pub(crate) log_takes: Mutex<Duration>,
}

impl FakeHost {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            lines: Mutex::default(),
            level: Mutex::new(LogLevel::Trace),
            metrics: Mutex::default(),
            upstreams: vec!["auth".to_owned(), "other".to_owned()],
            refusals: Mutex::default(),
            actions: Mutex::default(),
            log_takes: Mutex::default(),
        })
    }

    /// What the guest said since the last time, in order.
    pub(crate) fn said(&self) -> Vec<String> {
        self.lines.lock().drain(..).map(|(_, line)| line).collect()
    }

    pub(crate) fn refused(&self) -> Vec<Refusal> {
        self.refusals.lock().drain(..).collect()
    }

    pub(crate) fn asked(&self) -> Vec<HostAction> {
        self.actions.lock().drain(..).collect()
    }
}

impl Host for FakeHost {
    fn log(&self, _: &Plugin, level: LogLevel, message: &str) {
        let takes = *self.log_takes.lock();
        if !takes.is_zero() {
            // Blocks without CPU time, as a host waiting for a disk would.
            let (_sender, receiver) = std::sync::mpsc::channel::<()>();
            let waited = receiver.recv_timeout(takes);
            assert!(waited.is_err());
        }
        self.lines.lock().push((level, message.to_owned()));
    }

    fn log_level(&self) -> LogLevel {
        *self.level.lock()
    }

    fn define_metric(&self, _: &Plugin, kind: MetricType, name: &str) -> Option<Arc<dyn Metric>> {
        let mut metrics = self.metrics.lock();
        let metric = metrics.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(FakeMetric {
                kind,
                value: AtomicU64::new(0),
            })
        });
        (metric.kind == kind).then(|| Arc::clone(metric) as Arc<dyn Metric>)
    }

    fn has_upstream(&self, upstream: &str) -> bool {
        self.upstreams.iter().any(|known| known == upstream)
    }

    fn has_foreign_function(&self, name: &str) -> bool {
        name == "portcullis.test"
    }

    fn property(&self, _: &Plugin, path: &[u8], out: &mut Vec<u8>) -> bool {
        let found = path == b"node";
        if found {
            out.extend_from_slice(b"this node");
        }
        found
    }

    fn refused(&self, _: &Plugin, refusal: Refusal) {
        self.refusals.lock().push(refusal);
    }

    fn act(&self, vm: &Arc<Vm>, action: HostAction) {
        // The VM must be free by now: this would not return otherwise.
        vm.on_tick(ContextId(0)).ok();
        self.actions.lock().push(action);
    }
}

pub(crate) struct FakeMetric {
    pub(crate) kind: MetricType,
    pub(crate) value: AtomicU64,
}

impl Metric for FakeMetric {
    fn kind(&self) -> MetricType {
        self.kind
    }

    fn increment(&self, offset: i64) {
        self.value.fetch_add(offset as u64, Ordering::Relaxed);
    }

    fn record(&self, value: u64) {
        match self.kind {
            MetricType::Counter => self.value.fetch_add(value, Ordering::Relaxed),
            MetricType::Gauge | MetricType::Histogram => self.value.swap(value, Ordering::Relaxed),
        };
    }

    fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}

/// One engine for all tests of the process.
pub(crate) fn engine() -> &'static Arc<Engine> {
    static ENGINE: OnceLock<Arc<Engine>> = OnceLock::new();
    ENGINE.get_or_init(|| Engine::new(EngineOptions::default()).unwrap())
}

/// A plugin of that guest with two roots, no grants, and generous CPU limits (tests run in unoptimised crowds).
pub(crate) fn plugin(guest: &Guest) -> Plugin {
    plugin_of(&guest.wasm())
}

/// The same of any module.
pub(crate) fn plugin_of(wasm: &[u8]) -> Plugin {
    Plugin {
        name: "hello".to_owned(),
        root_id: "my_root".to_owned(),
        vm_id: "my_vm".to_owned(),
        vm_config: b"vm config".to_vec(),
        roots: vec![b"base".to_vec(), b"override".to_vec()],
        env: vec![("KEY".to_owned(), "value".to_owned())],
        grants: Grants::default(),
        limits: Limits {
            cpu_per_call: Duration::from_secs(5),
            ..Limits::default()
        },
        module: Module::load(engine(), wasm).unwrap(),
        shared: Spaces::new().space("my_vm"),
    }
}

/// A started VM with one exchange in it.
pub(crate) struct Bench {
    pub(crate) vm: Arc<Vm>,
    pub(crate) host: Arc<FakeHost>,
    pub(crate) stream: Arc<Mutex<FakeStream>>,
    pub(crate) context: ContextId,
}

pub(crate) const SLOT: u16 = 7;

impl Bench {
    pub(crate) fn of(guest: &Guest) -> Self {
        Self::with(plugin(guest))
    }

    /// Starts and activates; what was said on the way is kept.
    pub(crate) fn with(plugin: Plugin) -> Self {
        let host = FakeHost::new();
        let vm = start(plugin, &host).unwrap();
        vm.activate();
        let stream = stream();
        let context = vm.create_stream(0, &shared(&stream), SLOT).unwrap();
        Self {
            vm,
            host,
            stream,
            context,
        }
    }

    /// Runs the request headers callback and answers what the guest said.
    pub(crate) fn headers(&self) -> Vec<String> {
        self.host.said();
        self.vm.on_request_headers(self.context, 2, false).unwrap();
        self.host.said()
    }
}

pub(crate) fn start(
    plugin: Plugin,
    host: &Arc<FakeHost>,
) -> Result<Arc<Vm>, portcullis_abi::Fault> {
    let host: Arc<dyn Host> = Arc::clone(host) as Arc<dyn Host>;
    Vm::start(&Arc::new(plugin), &host, 3)
}

pub(crate) fn shared(stream: &Arc<Mutex<FakeStream>>) -> SharedStream {
    Arc::clone(stream) as SharedStream
}

/// A request with two headers, a body and a property.
pub(crate) fn stream() -> Arc<Mutex<FakeStream>> {
    let mut stream = FakeStream {
        hosts: vec!["10.0.0.1:80".to_owned(), "10.0.0.2:80".to_owned()],
        ..FakeStream::default()
    };
    let pair = |key: &str, value: &str| (key.as_bytes().to_vec(), value.as_bytes().to_vec());
    stream.maps.insert(
        MapType::RequestHeaders,
        vec![pair(":path", "/a"), pair("x-one", "1"), pair("x-one", "2")],
    );
    stream
        .bodies
        .insert(BufferType::RequestBody, b"0123456789".to_vec());
    stream
        .properties
        .insert(b"request\0path".to_vec(), b"/a".to_vec());
    Arc::new(Mutex::new(stream))
}
