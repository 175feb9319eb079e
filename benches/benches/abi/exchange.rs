//! An embedder without a proxy: an exchange in memory, and services that do nothing.

use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_abi::{
    BufferType, HeaderError, Host, HostAction, LocalResponse, LogLevel, MapType, Metric,
    MetricType, Plugin, Refusal, Stream, StreamType, Vm,
};

type Pair = (Vec<u8>, Vec<u8>);

/// A browser's request, with one property.
pub(crate) struct Memory {
    headers: Vec<Pair>,
    body: Vec<u8>,
}

impl Memory {
    pub(crate) fn request() -> Self {
        let headers = [
            (":method", "GET"),
            (":path", "/articles/2026/11/portcullis?from=feed"),
            (":scheme", "https"),
            (":authority", "www.example.com"),
            ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0)"),
            ("accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"),
            ("accept-language", "en-US,en;q=0.5"),
            ("accept-encoding", "gzip, deflate, br, zstd"),
            ("cookie", "session=0123456789abcdef0123456789abcdef"),
            ("referer", "https://www.example.com/"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-request-id", "0f8fad5b-d9cb-469f-a165-70867728950e"),
        ];
        let bytes = |text: &str| text.as_bytes().to_vec();
        Self {
            headers: headers
                .map(|(name, value)| (bytes(name), bytes(value)))
                .into(),
            body: vec![b'x'; 1024],
        }
    }

    /// The same with this body.
    #[allow(dead_code, reason = "one of the two programs made of this file posts")]
    pub(crate) fn posting(body: &[u8]) -> Self {
        Self {
            body: body.to_vec(),
            ..Self::request()
        }
    }
}

impl Stream for Memory {
    fn header(&self, _: MapType, name: &[u8]) -> Option<Vec<u8>> {
        let mut pairs = self.headers.iter();
        let (_, value) = pairs.find(|(found, _)| found.eq_ignore_ascii_case(name))?;
        Some(value.clone())
    }

    fn each_header(&self, _: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        self.headers
            .iter()
            .for_each(|(name, value)| visit(name, value));
        true
    }

    fn add_header(&mut self, _: MapType, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
        self.headers.push((name.to_vec(), value.to_vec()));
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

    fn remove_header(&mut self, _: MapType, name: &[u8]) -> Result<(), HeaderError> {
        self.headers
            .retain(|(found, _)| !found.eq_ignore_ascii_case(name));
        Ok(())
    }

    fn set_headers(&mut self, _: MapType, pairs: &[(&[u8], &[u8])]) -> Result<(), HeaderError> {
        self.headers = pairs
            .iter()
            .map(|(name, value)| (name.to_vec(), value.to_vec()))
            .collect();
        Ok(())
    }

    fn body(&self, _: BufferType) -> Option<&[u8]> {
        Some(&self.body)
    }

    fn splice_body(&mut self, _: BufferType, start: usize, length: usize, data: &[u8]) -> bool {
        self.body
            .splice(start..start + length, data.iter().copied());
        true
    }

    fn property(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(b"value");
        path == b"key"
    }

    fn set_property(&mut self, _: &[u8], _: &[u8]) -> bool {
        false
    }

    fn continue_stream(&mut self, _: u16, _: StreamType) -> bool {
        true
    }

    fn close_stream(&mut self, _: u16, _: StreamType) -> bool {
        true
    }

    fn send_local_response(&mut self, _: u16, _: LocalResponse) -> bool {
        true
    }

    fn clear_route_cache(&mut self, _: u16) {}

    fn refuse(&mut self, _: u16, error: HeaderError) {
        panic!("a benchmark measures what succeeds: {error}");
    }

    fn vm_lost(&mut self, _: u16) {}
}

/// Services of a process in which guests neither log nor measure; what they ask for is kept.
#[derive(Default)]
pub(crate) struct Quiet {
    pub(crate) asked: Mutex<Vec<HostAction>>,
}

impl Host for Quiet {
    fn log(&self, _: &Plugin, _: LogLevel, _: &str) {}

    fn log_level(&self) -> LogLevel {
        LogLevel::Critical
    }

    fn define_metric(&self, _: &Plugin, _: MetricType, _: &str) -> Option<Arc<dyn Metric>> {
        None
    }

    fn has_upstream(&self, _: &str) -> bool {
        true
    }

    fn property(&self, _: &Plugin, _: &[u8], _: &mut Vec<u8>) -> bool {
        false
    }

    fn refused(&self, _: &Plugin, refusal: Refusal) {
        panic!("a benchmark measures what succeeds: {refusal:?}");
    }

    fn act(&self, _: &Arc<Vm>, action: HostAction) {
        self.asked.lock().push(action);
    }
}
