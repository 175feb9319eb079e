//! Every bound of the host: its unit, its value and why.

use std::time::Duration;

/// Limits of one plugin; the defaults are those of the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Linear memory of one VM, in bytes: beyond it `memory.grow` answers -1.
    pub memory: usize,
    /// Elements of each table: beyond it `table.grow` answers -1.
    pub table: usize,
    /// CPU time of the thread that one callback may use.
    pub cpu_per_call: Duration,
    /// CPU time that all callbacks of one exchange may use together.
    pub cpu_per_exchange: Duration,
    /// CPU time for all of a VM's start: instantiation, `main`, and every root context's configuration.
    pub cpu_start: Duration,
    /// Shared data of the plugin's space, in bytes of keys and values (and [`SHARED_ENTRY_OVERHEAD_BYTES`] an entry).
    pub shared_data: usize,
    /// Bytes waiting in one shared queue of the plugin's space. Beyond: an item is dropped.
    pub queue: usize,
    /// Callouts in flight of one VM.
    pub callouts: usize,
    /// Log lines of one VM in [`Limits::log_period`]; more are dropped and counted.
    pub log_lines: u64,
    /// See [`Limits::log_lines`].
    pub log_period: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            table: 1 << 17,
            cpu_per_call: Duration::from_millis(10),
            cpu_per_exchange: Duration::from_secs(10),
            cpu_start: Duration::from_secs(10),
            shared_data: 16 << 20,
            queue: 4 << 20,
            callouts: 50,
            log_lines: 100,
            log_period: Duration::from_secs(1),
        }
    }
}

/// Period of the epoch: how late a CPU limit may be noticed.
pub const EPOCH_TICK: Duration = Duration::from_millis(5);

/// Bytes of a WebAssembly page.
pub const PAGE_BYTES: u64 = 64 << 10;

/// Address space of one VM's memory: all that 32 bits can name, so that compiled code needs no bounds checks. 47 bits
/// hold some thirty thousand.
pub const MEMORY_RESERVATION_BYTES: usize = 4 << 30;

/// Address space without access before and behind it.
pub const MEMORY_GUARD_BYTES: usize = 32 << 20;

/// Memories of ended VMs that wait to be used again for the same snapshot: address space only, their pages are gone.
pub const MAPPINGS_KEPT: usize = 64;

/// A module's size. A Go module with the whole Core Rule Set has 25 MiB.
pub const MODULE_BYTES_MAX: usize = 64 << 20;

/// Native stack of a guest. Worker threads have 2 MiB; hostcalls run above this.
pub const WASM_STACK_BYTES: usize = 512 << 10;

/// Elements of one table as a module declares it (8 bytes each). Large Go modules have some ten thousand.
pub const TABLE_ELEMENTS_MAX: usize = 1 << 17;

/// Tables of a module.
pub const TABLES_MAX: usize = 4;

/// Globals of a module: compilers of SDKs emit below 100.
pub const GLOBALS_MAX: u32 = 10_000;

/// A serialized header map taken from a guest, in bytes.
pub const PAIRS_BYTES_MAX: usize = 1 << 20;

/// Pairs of a serialized header map taken from a guest.
pub const PAIRS_MAX: usize = 1024;

/// The name and value of one header that a guest sets, in bytes: no more than a whole map may have.
pub const HEADER_BYTES_MAX: usize = PAIRS_BYTES_MAX;

/// The path and value of one property that a guest sets, in bytes.
pub const PROPERTY_BYTES_MAX: usize = 1 << 20;

/// The details of a local reply, in bytes; the rest is cut.
pub const REPLY_DETAILS_BYTES_MAX: usize = 1 << 10;

/// The body of one callout, in bytes: a filter may send on a whole body that it held.
pub const CALLOUT_BODY_BYTES_MAX: usize = 16 << 20;

/// One gRPC message, in bytes, in either direction: what gRPC libraries take by default.
pub const GRPC_MESSAGE_BYTES_MAX: usize = 4 << 20;

/// gRPC messages of one call that wait to be sent, in bytes: room for the largest one.
pub const GRPC_QUEUED_BYTES_MAX: usize = GRPC_MESSAGE_BYTES_MAX;

/// gRPC messages of one call that wait to be sent: empty ones count as well.
pub const GRPC_QUEUED_MESSAGES_MAX: usize = 1024;

/// The argument of one foreign function, in bytes: compressing so much takes some ten milliseconds.
pub const FOREIGN_ARGUMENT_BYTES_MAX: usize = 1 << 20;

/// What `uncompress` gives, in bytes.
pub const UNCOMPRESSED_BYTES_MAX: usize = 16 << 20;

/// The text of a CEL expression, in bytes: the depth of its tree is bounded by that.
pub const EXPRESSION_BYTES_MAX: usize = 2 << 10;

/// Opening brackets and conditions of a CEL expression: parsing recurses at each.
pub const EXPRESSION_BRACKETS_MAX: usize = 64;

/// Comprehensions inside each other, in a CEL expression: what they cost multiplies.
pub const EXPRESSION_NESTING_MAX: usize = 2;

/// CEL expressions kept by one VM.
pub const EXPRESSIONS_MAX: usize = 256;

/// Properties declared in one VM.
pub const DECLARATIONS_MAX: usize = 1024;

/// A metric's name, in bytes.
pub const METRIC_NAME_BYTES_MAX: usize = 1 << 10;

/// A shared queue's name, in bytes.
pub const QUEUE_NAME_BYTES_MAX: usize = 1 << 10;

/// One value of shared data, in bytes.
pub const SHARED_VALUE_BYTES_MAX: usize = 1 << 20;

/// What an entry of shared data costs beside its bytes: without it, empty values would not count.
pub const SHARED_ENTRY_OVERHEAD_BYTES: usize = 128;

/// Items waiting in one shared queue.
pub const QUEUE_ITEMS_MAX: usize = 10_000;

/// Queues of one space.
pub const QUEUES_MAX: usize = 1024;

/// Definitions of metrics by one VM.
pub const METRICS_MAX: usize = 10_000;

/// Actions one callback may leave behind (callouts, ticks, queue notices).
pub const ACTIONS_MAX: usize = 10_000;

/// A log line, in bytes as the guest wrote it; the rest is cut.
pub const LOG_LINE_BYTES_MAX: usize = 16 << 10;

/// Bytes of one `random_get` (as other hosts: more is EINVAL).
pub const RANDOM_BYTES_MAX: usize = 64 << 10;

/// Frames of a fault's backtrace.
pub const BACKTRACE_FRAMES_MAX: usize = 32;

/// A fault's message, in bytes.
pub const FAULT_MESSAGE_BYTES_MAX: usize = 8 << 10;

/// Buffer kept between hostcalls for answers; a larger one is given back.
pub(crate) const SCRATCH_KEPT_BYTES: usize = 64 << 10;

/// How long a root of a stopped VM may take from its `proxy_on_done` to its `proxy_done`.
pub(crate) const DONE_TIME_MAX: Duration = Duration::from_secs(30);
