//! One immutable built configuration: routes, chains with running plugins, upstreams.
//!
//! A candidate is built completely before it serves anybody; what did not change is taken over from before.

mod build;
mod grants;
mod live;
mod unfit;

pub use build::{Built, check};
pub use live::{Generation, LiveRoute, LiveTarget, LiveTcp};
