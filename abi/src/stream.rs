//! What a guest may see and change of one exchange: the embedder implements it.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::wire::types::{BufferType, MapType, StreamType};

/// An exchange as the host shares it with the VMs of its chain.
///
/// It is locked by each hostcall that touches it and by the embedder, never while a guest runs, so a tick or a
/// callout's answer can act on a paused exchange through `proxy_set_effective_context`. The embedder runs all
/// callbacks of one exchange on one thread: the lock is never contended.
pub type SharedStream = Arc<Mutex<dyn Stream>>;

/// Why a change of a header map was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// There is no such map in this phase, or it was already sent on.
    #[error("the header map is not available in this phase")]
    Unavailable,
    /// A name or value that HTTP cannot carry (RFC 9110 section 5): CR, LF, NUL and the like.
    #[error("invalid header name or value")]
    Invalid,
    /// The host owns framing and hop-by-hop fields (content-length, transfer-encoding, connection...).
    #[error("the header belongs to the host")]
    Reserved,
}

/// A reply that a guest asks for (`proxy_send_local_response`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalResponse {
    pub status: u32,
    /// Text for logs (`response.code_details`), blanks replaced.
    pub details: String,
    pub body: Vec<u8>,
    /// As the guest gave them, not yet validated.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// 0 to 16, or none.
    pub grpc_status: Option<u32>,
}

/// What a plugin declared of a property before it sets it (`declare_property`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declaration {
    /// It can be set once.
    pub read_only: bool,
    pub span: Span,
}

/// How long filter state lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    FilterChain,
    Request,
    /// Also in later exchanges of the client's connection.
    Connection,
}

/// One exchange, seen by the plugin at `slot` of its chain.
///
/// Implementations only record what a guest asks for (continue, close, reply) and act after the callback has
/// returned: a hostcall never re-enters a guest.
pub trait Stream: Send {
    /// The first value of `name` (compared without case; pseudo headers such as `:path` included).
    /// `None`: no such header, or no such map now.
    fn header(&self, map: MapType, name: &[u8]) -> Option<Vec<u8>>;

    /// Every pair in order, pseudo headers first. False where the map does not exist now.
    fn each_header(&self, map: MapType, visit: &mut dyn FnMut(&[u8], &[u8])) -> bool;

    /// Appends a pair, keeping those of the same name.
    fn add_header(&mut self, map: MapType, name: &[u8], value: &[u8]) -> Result<(), HeaderError>;

    /// Replaces all pairs of that name by one, or adds it.
    fn replace_header(
        &mut self,
        map: MapType,
        name: &[u8],
        value: &[u8],
    ) -> Result<(), HeaderError>;

    /// Removes all pairs of that name; absent is fine.
    fn remove_header(&mut self, map: MapType, name: &[u8]) -> Result<(), HeaderError>;

    /// Replaces the whole map. On an error nothing was changed.
    fn set_headers(&mut self, map: MapType, pairs: &[(&[u8], &[u8])]) -> Result<(), HeaderError>;

    /// The bytes now visible of a body; `None` outside of that body's phase.
    fn body(&self, buffer: BufferType) -> Option<&[u8]>;

    /// Replaces `length` bytes at `start` by `data`, both already clamped to the visible bytes by the host. False outside of the phase.
    fn splice_body(&mut self, buffer: BufferType, start: usize, length: usize, data: &[u8])
    -> bool;

    /// Appends the value of the property at `path` (segments joined by NUL) in Envoy's encoding to `out`. False: not found.
    fn property(&self, path: &[u8], out: &mut Vec<u8>) -> bool;

    /// Stores a property for later plugins of this exchange. False: read-only.
    fn set_property(&mut self, path: &[u8], value: &[u8]) -> bool;

    /// As [`Stream::set_property`], for a property that the plugin has declared. False: it is set, and read-only.
    fn set_declared_property(
        &mut self,
        path: &[u8],
        value: &[u8],
        declaration: Declaration,
    ) -> bool {
        let _ = declaration;
        self.set_property(path, value)
    }

    /// Stores an object of the proxy's own (`set_envoy_filter_state`). False: there is no such object.
    fn set_filter_state(&mut self, key: &str, value: &[u8], span: Span) -> bool {
        let _ = (key, value, span);
        false
    }

    /// The addresses of the upstream that the exchange is routed to. False: there is none.
    fn upstream_hosts(&self, visit: &mut dyn FnMut(&str)) -> bool {
        let _ = visit;
        false
    }

    /// Chooses one of these addresses, if it is not tried in vain already. False: it is none of them.
    fn override_upstream_host(&mut self, address: &str) -> bool {
        let _ = address;
        false
    }

    /// Sends `data` to the plugins that see the response after this one, and to the client, the head before it where this
    /// plugin holds it. `end`: the response ends with it. False: this plugin has seen no response, or one that has
    /// ended, or too much waits already.
    fn inject_response_body(&mut self, slot: u16, data: &[u8], end: bool) -> bool {
        let _ = (slot, data, end);
        false
    }

    /// `proxy_continue_stream`: this plugin lets the paused direction go on. False: there is no such direction.
    fn continue_stream(&mut self, slot: u16, direction: StreamType) -> bool;

    /// `proxy_close_stream`: end the exchange, without a response where none was sent. False: there is no such direction.
    fn close_stream(&mut self, slot: u16, direction: StreamType) -> bool;

    /// The first of an exchange wins; later ones are ignored. False: what this is has no responses.
    fn send_local_response(&mut self, slot: u16, response: LocalResponse) -> bool;

    /// `proxy_clear_route_cache`
    fn clear_route_cache(&mut self, slot: u16);

    /// The guest passed a header name or value that must not be sent on: this exchange fails by the plugin's fault policy, its VM goes on.
    fn refuse(&mut self, slot: u16, error: HeaderError);

    /// The VM holding this plugin's stream context was discarded. Called once for each context that it held, after the guest stopped.
    fn vm_lost(&mut self, slot: u16);
}
