//! The listener over real sockets: a small proxy behind it, a recording origin behind that, raw clients in front.

#![allow(
    unreachable_pub,
    reason = "the modules of a test program have nobody outside to reach them"
)]

mod client;
mod deadlines;
mod lifecycle;
mod origin;
mod protocols;
mod proxy;
mod refusals;
mod requests;
mod upgrades;
