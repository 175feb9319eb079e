//! The two proxies, driven alike.

use std::net::SocketAddr;

use portcullis_tests::envoy::Envoy;
use portcullis_tests::{Config, Proxy};

/// A running proxy.
pub(crate) enum Host {
    Portcullis(Box<Proxy>),
    Envoy(Envoy),
}

impl Host {
    pub(crate) async fn portcullis(config: &Config) -> Option<Self> {
        Some(Self::Portcullis(Box::new(Proxy::start(config).await)))
    }

    /// None where there is no Envoy, which is said.
    pub(crate) async fn envoy(config: &Config) -> Option<Self> {
        Envoy::start(config).await.map(Self::Envoy)
    }

    /// Where a listener for TCP is.
    pub(crate) fn listener(&self, name: &str) -> SocketAddr {
        match self {
            Self::Portcullis(proxy) => proxy.listener(name),
            Self::Envoy(envoy) => envoy.address(name),
        }
    }

    /// Where a route is reached: here by the host name alone, in Envoy by a listener of its own.
    pub(crate) fn address(&self, route: &str) -> SocketAddr {
        match self {
            Self::Portcullis(proxy) => proxy.address(),
            Self::Envoy(envoy) => envoy.address(route),
        }
    }

    pub(crate) fn log(&self) -> String {
        match self {
            Self::Portcullis(proxy) => proxy.log(),
            Self::Envoy(envoy) => envoy.log(),
        }
    }
}
