//! The host from outside: guests written as text, an embedder that remembers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may fail loudly"
)]

mod backtraces;
mod callouts;
mod compile_cache;
mod contexts;
mod exchange;
mod fakes;
mod faults;
mod foreign;
mod grpc;
mod guest;
mod headers;
mod inspection;
mod isolation;
mod pointers;
mod quotas;
mod retirement;
mod sharing;
mod snapshots;
mod start;
mod statuses;
mod tcp;
mod wasi;
