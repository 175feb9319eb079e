//! What an end-to-end test is made of: an [`Origin`], a [`Proxy`] between, a [`Client`] in front, all over real sockets
//! on ports chosen by the system, and guest modules that do what the test's configuration says.
//!
//! ```ignore
//! let origin = Origin::echo().await;
//! let guest = Filter::rust(json!({ "request_headers": [{ "add": ["x-a", "1"] }] }));
//! let proxy = Config::new().origin(origin.address()).filter("guest", guest).start().await;
//! let answer = proxy.client().await.get("/").await;
//! assert_eq!(origin.next().await.header("x-a"), Some("1"));
//! ```
//!
//! Nothing sleeps to wait: tests wait on sockets and channels, and where the proxy gives no event, they ask it again
//! until a deadline ([`deadline::until`]).

pub mod artifacts;
pub mod client;
pub mod config;
pub mod deadline;
pub mod dns;
pub mod envoy;
pub mod grpc;
pub mod hostile;
pub mod metrics;
pub mod origin;
pub mod pausing;
pub mod proxy;
pub mod raw;
pub mod tls;

pub use client::{Answer, Client};
pub use config::{Config, Filter};
pub use origin::{Origin, Recorded};
pub use proxy::Proxy;
pub use raw::{RawClient, RawOrigin};
pub use tls::Authority;

#[cfg(test)]
mod tests;
