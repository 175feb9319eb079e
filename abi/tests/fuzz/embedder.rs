//! An embedder that has a little of everything, and forgets what it was told.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use portcullis_abi::{
    BufferType, HeaderError, Host, HostAction, LocalResponse, LogLevel, MapType, Metric,
    MetricType, Plugin, Refusal, Span, Stream, StreamType, Vm,
};

type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

/// An exchange with all its maps and buffers at once.
pub(crate) struct Exchange {
    maps: HashMap<MapType, Pairs>,
    bodies: HashMap<BufferType, Vec<u8>>,
    properties: HashMap<Vec<u8>, Vec<u8>>,
}

impl Exchange {
    pub(crate) fn new() -> Self {
        let pair = |name: &str, value: &str| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
        let pairs = vec![pair(":path", "/a"), pair("x-one", "1"), pair("x-one", "2")];
        let maps = [
            MapType::RequestHeaders,
            MapType::RequestTrailers,
            MapType::ResponseHeaders,
            MapType::ResponseTrailers,
        ];
        let bodies = [
            BufferType::RequestBody,
            BufferType::ResponseBody,
            BufferType::DownstreamData,
            BufferType::UpstreamData,
        ];
        Self {
            maps: maps.into_iter().map(|map| (map, pairs.clone())).collect(),
            bodies: bodies
                .into_iter()
                .map(|body| (body, b"0123456789".to_vec()))
                .collect(),
            properties: HashMap::from([(b"request\0path".to_vec(), b"/a".to_vec())]),
        }
    }

    fn pairs(&mut self, map: MapType) -> Result<&mut Pairs, HeaderError> {
        self.maps.get_mut(&map).ok_or(HeaderError::Unavailable)
    }
}

impl Stream for Exchange {
    fn header(&self, map: MapType, name: &[u8]) -> Option<Vec<u8>> {
        let mut pairs = self.maps.get(&map)?.iter();
        pairs
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    }

    fn each_header(&self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        let pairs = self.maps.get(&map);
        for (key, value) in pairs.into_iter().flatten() {
            visit(key, value);
        }
        pairs.is_some()
    }

    fn add_header(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
        if name.contains(&b'\n') || value.contains(&b'\n') {
            return Err(HeaderError::Invalid);
        }
        self.pairs(map)?.push((name.to_vec(), value.to_vec()));
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
        self.pairs(map)?.retain(|(key, _)| key != name);
        Ok(())
    }

    fn set_headers(&mut self, map: MapType, pairs: &[(&[u8], &[u8])]) -> Result<(), HeaderError> {
        let pairs = pairs
            .iter()
            .map(|(key, value)| (key.to_vec(), value.to_vec()));
        *self.pairs(map)? = pairs.collect();
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
        // In bounds, as the host promises: this panics otherwise.
        let body = self.bodies.get_mut(&buffer);
        body.map(|body| {
            body.splice(start..start + length, data.iter().copied())
                .count()
        })
        .is_some()
    }

    fn property(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        let value = self.properties.get(path);
        out.extend_from_slice(value.map_or(&[], Vec::as_slice));
        value.is_some()
    }

    fn set_property(&mut self, path: &[u8], value: &[u8]) -> bool {
        self.properties.insert(path.to_vec(), value.to_vec());
        true
    }

    fn set_filter_state(&mut self, key: &str, _: &[u8], _: Span) -> bool {
        !key.is_empty()
    }

    fn upstream_hosts(&self, visit: &mut dyn FnMut(&str)) -> bool {
        visit("127.0.0.1:80");
        true
    }

    fn override_upstream_host(&mut self, address: &str) -> bool {
        address == "127.0.0.1:80"
    }

    fn inject_response_body(&mut self, _: u16, _: &[u8], end: bool) -> bool {
        !end
    }

    fn continue_stream(&mut self, _: u16, _: StreamType) -> bool {
        true
    }
    fn close_stream(&mut self, _: u16, _: StreamType) -> bool {
        true
    }
    fn send_local_response(&mut self, _: u16, response: LocalResponse) -> bool {
        assert!(response.grpc_status.is_none_or(|status| status <= 16));
        true
    }
    fn clear_route_cache(&mut self, _: u16) {}
    fn refuse(&mut self, _: u16, _: HeaderError) {}
    fn vm_lost(&mut self, _: u16) {}
}

/// The rest: it keeps what it is asked to do.
#[derive(Default)]
pub(crate) struct Embedder {
    actions: Mutex<Vec<HostAction>>,
    metrics: Mutex<HashMap<String, Arc<Number>>>,
}

impl Embedder {
    /// What was asked for since the last time.
    pub(crate) fn take(&self) -> Vec<HostAction> {
        mem::take(&mut *self.actions.lock())
    }
}

impl Host for Embedder {
    fn log(&self, _: &Plugin, _: LogLevel, message: &str) {
        let control = |char: char| char.is_control() && char != '\t';
        assert!(!message.contains(control), "{message:?} would forge a line");
    }

    fn log_level(&self) -> LogLevel {
        LogLevel::Trace
    }

    fn define_metric(&self, _: &Plugin, kind: MetricType, name: &str) -> Option<Arc<dyn Metric>> {
        let mut metrics = self.metrics.lock();
        let metric = metrics.entry(name.to_owned()).or_insert_with(|| {
            Arc::new(Number {
                kind,
                value: AtomicU64::new(0),
            })
        });
        (metric.kind == kind).then(|| Arc::clone(metric) as Arc<dyn Metric>)
    }

    fn has_upstream(&self, upstream: &str) -> bool {
        upstream == "auth"
    }

    fn has_foreign_function(&self, name: &str) -> bool {
        name == "portcullis.test"
    }

    fn property(&self, _: &Plugin, path: &[u8], out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(b"node");
        path == b"node"
    }

    fn refused(&self, _: &Plugin, _: Refusal) {}

    fn act(&self, _: &Arc<Vm>, action: HostAction) {
        self.actions.lock().push(action);
    }
}

struct Number {
    kind: MetricType,
    value: AtomicU64,
}

impl Metric for Number {
    fn kind(&self) -> MetricType {
        self.kind
    }

    fn increment(&self, offset: i64) {
        self.value
            .fetch_add(offset.cast_unsigned(), Ordering::Relaxed);
    }

    fn record(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.value.load(Ordering::Relaxed)
    }
}
