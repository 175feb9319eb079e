//! The exchange as guests see it: an implementation of the ABI's [`Stream`].

use bytes::Bytes;
use portcullis_abi::stream::{Declaration, HeaderError, LocalResponse, Span, Stream};
use portcullis_abi::wire::types::{BufferType, MapType, StreamType};

use super::headers::{Map, MapMut};
use super::{Exchange, INJECTED_BYTES_MAX, INJECTED_PIECES_MAX, Injected, MapState};
use crate::chain::Body;

impl Exchange {
    fn map(&self, map: MapType) -> Option<Map<'_>> {
        match map {
            MapType::RequestHeaders => Some(Map::Request {
                head: &self.request,
                scheme: self.scheme(),
            }),
            MapType::ResponseHeaders => self.response.as_deref().map(Map::Response),
            MapType::ResponseTrailers => self.response_trailers.as_deref().map(Map::Trailers),
            // Pingora 0.9.1 gives no request trailers; the others belong to callouts, which the host holds.
            _ => None,
        }
    }

    fn map_mut(&mut self, map: MapType) -> Result<MapMut<'_>, HeaderError> {
        match map {
            MapType::RequestHeaders if self.request_state == MapState::Open => {
                self.route_stale = true;
                Ok(MapMut::Request(std::sync::Arc::make_mut(&mut self.request)))
            }
            MapType::ResponseHeaders if self.response_state == MapState::Open => self
                .response
                .as_deref_mut()
                .map(MapMut::Response)
                .ok_or(HeaderError::Unavailable),
            MapType::ResponseTrailers if self.response_trailers_state == MapState::Open => self
                .response_trailers
                .as_deref_mut()
                .map(MapMut::Trailers)
                .ok_or(HeaderError::Unavailable),
            _ => Err(HeaderError::Unavailable),
        }
    }

    fn visible_body(&mut self, buffer: BufferType) -> Option<&mut Body> {
        match buffer {
            BufferType::RequestBody => self.request_body.as_mut(),
            BufferType::ResponseBody => self.response_body.as_mut(),
            _ => None,
        }
    }
}

impl Stream for Exchange {
    fn header(&self, map: MapType, name: &[u8]) -> Option<Vec<u8>> {
        self.map(map)?.get(name)
    }

    fn each_header(&self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> bool {
        match self.map(map) {
            Some(map) => {
                map.each(visit);
                true
            }
            None => false,
        }
    }

    fn add_header(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), HeaderError> {
        self.map_mut(map)?.add(name, value)
    }

    fn replace_header(
        &mut self,
        map: MapType,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HeaderError> {
        self.map_mut(map)?.replace(name, value)
    }

    fn remove_header(&mut self, map: MapType, name: &[u8]) -> Result<(), HeaderError> {
        self.map_mut(map)?.remove(name)
    }

    fn set_headers(&mut self, map: MapType, pairs: &[(&[u8], &[u8])]) -> Result<(), HeaderError> {
        self.map_mut(map)?.set(pairs)
    }

    fn body(&self, buffer: BufferType) -> Option<&[u8]> {
        let body = match buffer {
            BufferType::RequestBody => self.request_body.as_ref(),
            BufferType::ResponseBody => self.response_body.as_ref(),
            _ => None,
        };
        body.map(Body::as_slice)
    }

    fn splice_body(
        &mut self,
        buffer: BufferType,
        start: usize,
        length: usize,
        data: &[u8],
    ) -> bool {
        match self.visible_body(buffer) {
            Some(body) => {
                body.splice(start, length, data);
                true
            }
            None => false,
        }
    }

    fn property(&self, path: &[u8], out: &mut Vec<u8>) -> bool {
        self.read_property(path, out)
    }

    fn set_property(&mut self, path: &[u8], value: &[u8]) -> bool {
        self.filter_state.set_property(path, value, false)
    }

    fn set_declared_property(
        &mut self,
        path: &[u8],
        value: &[u8],
        declaration: Declaration,
    ) -> bool {
        let Declaration { read_only, span } = declaration;
        match span {
            Span::FilterChain | Span::Request => {
                self.filter_state.set_property(path, value, read_only)
            }
            Span::Connection => {
                let mut kept = self.connection.filter_state();
                kept.set_property(path, value, read_only)
            }
        }
    }

    fn upstream_hosts(&self, visit: &mut dyn FnMut(&str)) -> bool {
        let Some(cluster) = &self.cluster else {
            return false;
        };
        for address in cluster.addresses() {
            visit(&address.to_string());
        }
        true
    }

    fn override_upstream_host(&mut self, address: &str) -> bool {
        let address = address.parse().ok();
        let endpoint = address.filter(|address| {
            let cluster = self.cluster.as_ref();
            cluster.is_some_and(|cluster| cluster.addresses().contains(address))
        });
        if endpoint.is_some() {
            self.wanted_host = endpoint;
        }
        endpoint.is_some()
    }

    fn set_filter_state(&mut self, key: &str, value: &[u8], span: Span) -> bool {
        match span {
            Span::FilterChain | Span::Request => self.filter_state.set_object(key, value),
            Span::Connection => self.connection.filter_state().set_object(key, value),
        }
    }

    fn inject_response_body(&mut self, slot: u16, data: &[u8], end: bool) -> bool {
        let waiting: usize = self.injected.iter().map(|piece| piece.bytes.len()).sum();
        if self.response_state == MapState::Absent
            || self.injected.len() >= INJECTED_PIECES_MAX
            || waiting.saturating_add(data.len()) > INJECTED_BYTES_MAX
        {
            return false;
        }
        self.injected.push(Injected {
            slot,
            bytes: Bytes::copy_from_slice(data),
            end,
        });
        self.wake.notify_one();
        true
    }

    fn continue_stream(&mut self, slot: u16, direction: StreamType) -> bool {
        let Some(signals) = self.signals.get_mut(usize::from(slot)) else {
            return false;
        };
        match direction {
            StreamType::HttpRequest => signals.continue_request = true,
            StreamType::HttpResponse => signals.continue_response = true,
            StreamType::Downstream | StreamType::Upstream => return false,
        }
        self.wake.notify_one();
        true
    }

    fn close_stream(&mut self, _slot: u16, _direction: StreamType) -> bool {
        self.closed = true;
        self.wake.notify_one();
        true
    }

    fn send_local_response(&mut self, slot: u16, response: LocalResponse) -> bool {
        if self.reply.is_none() {
            self.response_code_details.clone_from(&response.details);
            self.reply = Some((slot, response));
            self.wake.notify_one();
        }
        true
    }

    fn clear_route_cache(&mut self, _slot: u16) {
        self.route_stale = true;
    }

    fn refuse(&mut self, slot: u16, error: HeaderError) {
        if let Some(signals) = self.signals.get_mut(usize::from(slot)) {
            signals.refused = Some(error);
            self.wake.notify_one();
        }
    }

    fn vm_lost(&mut self, slot: u16) {
        if let Some(signals) = self.signals.get_mut(usize::from(slot)) {
            signals.lost = true;
            self.wake.notify_one();
        }
    }
}
