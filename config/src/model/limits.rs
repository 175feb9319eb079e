//! What a filter may use.

use std::time::Duration;

use crate::units::Rate;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterLimits {
    /// Linear memory of one VM, bytes (default 64 MiB).
    pub memory: usize,
    /// Elements of each of a VM's tables (default 131,072).
    pub table: usize,
    /// Thread CPU time of one callback (default 10 ms).
    pub cpu_per_call: Duration,
    /// Thread CPU time of all callbacks of one exchange (default 10 s).
    pub cpu_per_exchange: Duration,
    /// Thread CPU time of a VM's start: `_initialize`, on_vm_start, on_configure (default 10 s).
    pub cpu_start: Duration,
    /// Wall time a plugin may hold an exchange (default 5 s). Beyond: 504.
    pub pause: Duration,
    /// Body bytes held back for it (default 16 MiB). Beyond: 413 on a request, 500 on a response.
    pub body_held: usize,
    /// Bytes of shared data under its vm_id (default 16 MiB). Beyond: the least recently used entries go.
    pub shared_data: usize,
    /// Bytes waiting in one shared queue (default 4 MiB). Beyond: an item is dropped.
    pub queue: usize,
    /// Callouts in flight of one VM (default 50).
    pub callouts: usize,
    /// VMs at once, where each exchange has one of its own (default 1000). Beyond: waits for as long as it may `pause`.
    pub vms: usize,
    /// Log lines of one VM (default 100 a second). Beyond: dropped and counted.
    pub log: Rate,
}
