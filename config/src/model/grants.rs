//! What a plugin may do to the outside, and what of its exchange it may not.

use super::UpstreamId;

/// Grants of one plugin. The default: its whole exchange, and nothing outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grants {
    /// Everything; for a module one trusts.
    pub all: bool,
    /// Upstreams that may be called by HTTP.
    pub http_call: Vec<UpstreamId>,
    /// Upstreams that may be called by gRPC.
    pub grpc_call: Vec<UpstreamId>,
    /// Foreign functions that may be called.
    pub foreign: Vec<String>,
    /// `vm_id`s of other plugins whose queues may be used.
    pub queues: Vec<String>,
    /// Headers and trailers of the request. Names in lower case; a star at the end stands for any rest.
    pub request_headers: ReadWrite<Access>,
    /// Headers and trailers of the response.
    pub response_headers: ReadWrite<Access>,
    /// The request's body: whether it may be read, and changed.
    pub request_body: ReadWrite<bool>,
    /// The response's body.
    pub response_body: ReadWrite<bool>,
    /// Property paths, with dots: each with all below it.
    pub properties: Access,
    /// Keys of shared data, by their beginnings.
    pub shared_data: Access,
}

/// The two sides of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadWrite<T> {
    pub read: T,
    pub write: T,
}

/// What of something is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Access {
    All,
    /// These, and nothing where there are none.
    Only(Vec<String>),
}

impl<T: Clone> ReadWrite<T> {
    /// The same both ways.
    pub fn both(value: T) -> Self {
        Self {
            read: value.clone(),
            write: value,
        }
    }
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            all: false,
            http_call: Vec::new(),
            grpc_call: Vec::new(),
            foreign: Vec::new(),
            queues: Vec::new(),
            request_headers: ReadWrite::both(Access::All),
            response_headers: ReadWrite::both(Access::All),
            request_body: ReadWrite::both(true),
            response_body: ReadWrite::both(true),
            properties: Access::All,
            shared_data: Access::All,
        }
    }
}
