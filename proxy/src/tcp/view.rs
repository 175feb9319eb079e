//! A connection as one plugin sees it: an implementation of the ABI's [`Stream`].
//!
//! Each plugin has a view of its own, because each may hold bytes of its own; what they share is the [`Relay`].

use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_abi::stream::{Declaration, HeaderError, LocalResponse, Span, Stream};
use portcullis_abi::wire::types::{BufferType, MapType, StreamType};

use super::flow::Direction;
use super::relay::Relay;
use crate::chain::Body;

/// What a plugin asked for since it was last looked at.
#[derive(Debug, Default)]
pub(super) struct Signals {
    /// By [`Direction`].
    pub(super) continued: [bool; 2],
    /// Its VM was discarded.
    pub(super) lost: bool,
    /// It made its bytes longer than it may hold.
    pub(super) overflowed: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct View {
    pub(super) relay: Arc<Mutex<Relay>>,
    /// Bytes the plugin sees now, by [`Direction`]; `None` where none are with it.
    pub(super) held: [Option<Body>; 2],
    /// The most it may hold in one direction, in bytes.
    held_max: usize,
    pub(super) signals: Signals,
}

impl View {
    pub(super) fn new(relay: Arc<Mutex<Relay>>, held_max: usize) -> Self {
        Self {
            relay,
            held: [None, None],
            held_max,
            signals: Signals::default(),
        }
    }

    pub(super) fn held_bytes(&self, direction: Direction) -> (usize, usize) {
        let held = self.held[direction as usize].as_ref().map_or(0, Body::len);
        (held, self.held_max)
    }

    fn wake(&self) {
        self.relay.lock().wake.notify_one();
    }
}

fn index(buffer: BufferType) -> Option<usize> {
    match buffer {
        BufferType::DownstreamData => Some(Direction::Downstream as usize),
        BufferType::UpstreamData => Some(Direction::Upstream as usize),
        _ => None,
    }
}

/// A connection has no header maps, no route to choose and no reply; the writes answer that nothing came of them.
impl Stream for View {
    fn header(&self, _: MapType, _: &[u8]) -> Option<Vec<u8>> {
        None
    }

    fn each_header(&self, _: MapType, _: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        false
    }

    fn add_header(&mut self, _: MapType, _: &[u8], _: &[u8]) -> Result<(), HeaderError> {
        Err(HeaderError::Unavailable)
    }

    fn replace_header(&mut self, _: MapType, _: &[u8], _: &[u8]) -> Result<(), HeaderError> {
        Err(HeaderError::Unavailable)
    }

    fn remove_header(&mut self, _: MapType, _: &[u8]) -> Result<(), HeaderError> {
        Err(HeaderError::Unavailable)
    }

    fn set_headers(&mut self, _: MapType, _: &[(&[u8], &[u8])]) -> Result<(), HeaderError> {
        Err(HeaderError::Unavailable)
    }

    fn body(&self, buffer: BufferType) -> Option<&[u8]> {
        self.held[index(buffer)?].as_ref().map(Body::as_slice)
    }

    fn splice_body(
        &mut self,
        buffer: BufferType,
        start: usize,
        length: usize,
        data: &[u8],
    ) -> bool {
        let Some(body) = index(buffer).and_then(|index| self.held[index].as_mut()) else {
            return false;
        };
        // What was read may be a little more than the plugin may hold, so that alone is no reason.
        if (body.len() - length).saturating_add(data.len()) > self.held_max.max(body.len()) {
            self.signals.overflowed = true;
            self.wake();
            return false;
        }
        body.splice(start, length, data);
        true
    }

    fn property(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        self.relay.lock().read_property(path, out)
    }

    fn set_property(&mut self, path: &[u8], value: &[u8]) -> bool {
        let mut relay = self.relay.lock();
        relay.filter_state.set_property(path, value, false)
    }

    fn set_declared_property(
        &mut self,
        path: &[u8],
        value: &[u8],
        declaration: Declaration,
    ) -> bool {
        // A connection has no exchanges: all spans are its own.
        let mut relay = self.relay.lock();
        relay
            .filter_state
            .set_property(path, value, declaration.read_only)
    }

    fn set_filter_state(&mut self, key: &str, value: &[u8], _: Span) -> bool {
        self.relay.lock().filter_state.set_object(key, value)
    }

    fn continue_stream(&mut self, _slot: u16, direction: StreamType) -> bool {
        let index = match direction {
            StreamType::Downstream => Direction::Downstream as usize,
            StreamType::Upstream => Direction::Upstream as usize,
            StreamType::HttpRequest | StreamType::HttpResponse => return false,
        };
        self.signals.continued[index] = true;
        self.wake();
        true
    }

    fn close_stream(&mut self, slot: u16, direction: StreamType) -> bool {
        if matches!(
            direction,
            StreamType::HttpRequest | StreamType::HttpResponse
        ) {
            return false;
        }
        let mut relay = self.relay.lock();
        relay.closed_by.get_or_insert(slot);
        relay.wake.notify_one();
        true
    }

    fn send_local_response(&mut self, _slot: u16, _response: LocalResponse) -> bool {
        false
    }

    fn clear_route_cache(&mut self, _slot: u16) {}

    /// Only headers can be refused, of which there are none.
    fn refuse(&mut self, _slot: u16, _error: HeaderError) {}

    fn vm_lost(&mut self, _slot: u16) {
        self.signals.lost = true;
        self.wake();
    }
}
