//! Portcullis: a programmable reverse proxy. Chains of proxy-wasm filters run on Pingora, phase by phase.
//!
//! `docs/ARCHITECTURE.md` has the map; [`gateway`] is the table of contents of one request.

pub mod access_log;
pub mod admin;
pub mod audit_log;
pub mod builtin;
pub mod callout;
pub mod chain;
pub mod cli;
pub mod exchange;
pub mod foreign;
pub mod gateway;
pub mod generation;
pub mod lines;
pub mod listener;
pub mod metrics;
pub mod pool;
pub mod reload;
pub mod rescue;
pub mod route;
pub mod rules;
pub mod server;
pub mod tcp;
pub mod upstream;
pub mod waf;
pub mod workers;
pub mod wrapped;
