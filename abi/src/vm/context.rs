//! The contexts of a VM: roots, streams, and the one that hostcalls act on.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::Duration;

use crate::stream::SharedStream;
use crate::wire::types::{BufferType, MapType};

/// A context of the ABI: unique in its VM for ever, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ContextId(pub u32);

pub(crate) enum Context {
    Root,
    Stream {
        root: ContextId,
        stream: SharedStream,
        slot: u16,
    },
}

#[derive(Default)]
pub(crate) struct Contexts {
    table: HashMap<ContextId, Context, BuildHasherDefault<IdHasher>>,
    roots: Vec<ContextId>,
    last: u32,
    /// CPU time of the streams that were seen at work by a tick of the epoch.
    used: HashMap<ContextId, Duration, BuildHasherDefault<IdHasher>>,
}

impl Contexts {
    /// Adds a context. `None`: four billion ids are used up.
    pub(crate) fn create(&mut self, context: Context) -> Option<ContextId> {
        self.last = self.last.checked_add(1)?;
        let id = ContextId(self.last);
        if let Context::Root = context {
            self.roots.push(id);
        }
        self.table.insert(id, context);
        Some(id)
    }

    /// The same root contexts, and the same ids to come; streams are of one VM.
    pub(super) fn of_roots(&self) -> Self {
        let roots = self.roots.iter().map(|root| (*root, Context::Root));
        Self {
            table: roots.collect(),
            roots: self.roots.clone(),
            last: self.last,
            used: HashMap::default(),
        }
    }

    /// Adds CPU time to a stream's account, and answers what is on it.
    pub(super) fn charge(&mut self, stream: ContextId, used: Duration) -> Duration {
        let account = self.used.entry(stream).or_default();
        *account = account.saturating_add(used);
        *account
    }

    /// Root contexts in the order of the plugin's `roots`.
    pub(crate) fn roots(&self) -> &[ContextId] {
        &self.roots
    }

    pub(crate) fn remove(&mut self, id: ContextId) -> Option<Context> {
        self.used.remove(&id);
        self.table.remove(&id)
    }

    pub(crate) fn streams(&self) -> usize {
        self.table.len() - self.roots.len()
    }

    /// Every stream that has a context here, with its slot.
    pub(crate) fn into_streams(self) -> Vec<(SharedStream, u16)> {
        let streams = self
            .table
            .into_values()
            .filter_map(|context| match context {
                Context::Stream { stream, slot, .. } => Some((stream, slot)),
                Context::Root => None,
            });
        streams.collect()
    }

    /// The context as hostcalls act on it.
    pub(crate) fn effective(&self, id: ContextId) -> Option<Effective> {
        Some(match self.table.get(&id)? {
            Context::Root => Effective {
                root: Some(id),
                context: None,
                stream: None,
            },
            Context::Stream { root, stream, slot } => Effective {
                root: Some(*root),
                context: Some(id),
                stream: Some((SharedStream::clone(stream), *slot)),
            },
        })
    }

    pub(crate) fn is_stream(&self, id: ContextId) -> bool {
        matches!(self.table.get(&id), Some(Context::Stream { .. }))
    }

    pub(crate) fn contains(&self, id: ContextId) -> bool {
        self.table.contains_key(&id)
    }
}

/// What hostcalls act on: set on entry to a callback, moved by `proxy_set_effective_context`, empty outside.
#[derive(Default)]
pub(crate) struct Effective {
    pub(crate) root: Option<ContextId>,
    /// That of the stream.
    pub(crate) context: Option<ContextId>,
    pub(crate) stream: Option<(SharedStream, u16)>,
}

impl Effective {
    /// The stream, for a map that belongs to streams.
    pub(crate) fn header_stream(&self, map: MapType) -> Option<&(SharedStream, u16)> {
        match map {
            MapType::RequestHeaders
            | MapType::RequestTrailers
            | MapType::ResponseHeaders
            | MapType::ResponseTrailers => self.stream.as_ref(),
            MapType::GrpcCallInitialMetadata
            | MapType::GrpcCallTrailingMetadata
            | MapType::HttpCallResponseHeaders
            | MapType::HttpCallResponseTrailers => None,
        }
    }

    /// The stream, for a buffer of it that can be changed.
    pub(crate) fn body_stream(&self, buffer: BufferType) -> Option<&(SharedStream, u16)> {
        match buffer {
            BufferType::RequestBody
            | BufferType::ResponseBody
            | BufferType::DownstreamData
            | BufferType::UpstreamData => self.stream.as_ref(),
            BufferType::HttpCallResponseBody
            | BufferType::GrpcCallMessage
            | BufferType::VmConfiguration
            | BufferType::PluginConfiguration
            | BufferType::CallData => None,
        }
    }
}

/// Spreads ids over the table. The host counts them itself, so nobody can choose ones that collide.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32((*byte).into());
        }
    }

    fn write_u32(&mut self, id: u32) {
        // The golden ratio, as in Fibonacci hashing.
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
