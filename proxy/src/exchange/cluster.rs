//! The upstream that an exchange is routed to, as guests see it.

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_config::model::UpstreamId;

use crate::upstream::Upstreams;

/// An upstream of the exchange's generation.
#[derive(Clone)]
pub struct Cluster {
    upstreams: Arc<Upstreams>,
    id: UpstreamId,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cluster")
            .field("name", &self.name())
            .finish()
    }
}

impl Cluster {
    pub fn new(upstreams: Arc<Upstreams>, id: UpstreamId) -> Self {
        Self { upstreams, id }
    }

    pub fn name(&self) -> &str {
        self.upstreams
            .upstream(self.id)
            .map_or("", |upstream| upstream.name.as_str())
    }

    /// The addresses known now.
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.upstreams.addresses(self.id)
    }
}
