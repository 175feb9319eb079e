//! What the host knows of a VM while its guest runs: the store's data.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use wasmtime::{Memory, TypedFunc};

use super::Vm;
use super::bounds::{Bounds, CpuMeter, LogRate};
use super::callouts::{Callouts, Shown};
use super::context::{ContextId, Contexts, Effective};
use crate::host::{Host, HostAction, Metric, Refusal};
use crate::hostcalls::ForeignState;
use crate::inspect::AbiVersion;
use crate::limits::LOG_LINE_BYTES_MAX;
use crate::plugin::Plugin;
use crate::wire::types::LogLevel;

pub(crate) struct State {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) host: Arc<dyn Host>,
    pub(crate) vm: Weak<Vm>,
    /// The VM that works for the root contexts, where this one serves an exchange only.
    pub(crate) service: Option<Weak<Vm>>,
    /// None only in the wasm start section.
    pub(crate) memory: Option<Memory>,
    /// None only in the wasm start section, or where the module has none and needs none.
    pub(crate) allocate: Option<TypedFunc<u32, u32>>,
    /// The guest's allocator runs inside a hostcall.
    pub(crate) allocating: bool,
    pub(crate) contexts: Contexts,
    pub(crate) effective: Effective,
    /// The root whose `proxy_on_configure` runs: its place in the plugin's `roots`.
    pub(crate) configuring: Option<usize>,
    pub(crate) callouts: Callouts,
    /// Of foreign functions.
    pub(crate) foreign: ForeignState,
    pub(crate) metrics: Vec<Arc<dyn Metric>>,
    /// Roots that called `proxy_done`, of a VM that is being retired.
    pub(crate) done: Vec<ContextId>,
    /// Queues that were registered, each with the last root that did.
    pub(crate) queues: Vec<(u32, ContextId)>,
    /// Asked for in this callback (or since the start, before activation).
    pub(crate) actions: Vec<HostAction>,
    pub(crate) bounds: Bounds,
    pub(crate) cpu: CpuMeter,
    pub(crate) log_rate: LogRate,
    /// The guest's last line at error or above while it starts: often the reason of a failure.
    pub(crate) last_error: Option<String>,
    /// Buffer for answers.
    pub(crate) scratch: Vec<u8>,
    /// ABI 0.1.0 only: an absent header is an empty one.
    pub(crate) absent_header_is_empty: bool,
}

impl State {
    pub(crate) fn new(vm: &Arc<Vm>) -> Self {
        let plugin = Arc::clone(&vm.plugin);
        Self {
            host: Arc::clone(&vm.host),
            vm: Arc::downgrade(vm),
            service: vm.role.service().cloned(),
            memory: None,
            allocate: None,
            allocating: false,
            contexts: Contexts::default(),
            effective: Effective::default(),
            configuring: None,
            callouts: Callouts::default(),
            foreign: ForeignState::default(),
            metrics: Vec::new(),
            done: Vec::new(),
            queues: Vec::new(),
            actions: Vec::new(),
            bounds: Bounds::new(&plugin.limits),
            cpu: CpuMeter::default(),
            log_rate: LogRate::new(plugin.limits.log_lines, plugin.limits.log_period),
            last_error: None,
            scratch: Vec::new(),
            absent_header_is_empty: plugin.module.report().abi == [AbiVersion::V0_1_0],
            plugin,
        }
    }

    /// Makes a context the one that hostcalls act on. False: there is none of that id, and nothing changed.
    pub(crate) fn enter(&mut self, context: ContextId) -> bool {
        match self.contexts.effective(context) {
            Some(effective) => {
                self.effective = effective;
                true
            }
            None => false,
        }
    }

    /// The plugin configuration, inside the `proxy_on_configure` it is for.
    pub(crate) fn plugin_configuration(&self) -> Option<&[u8]> {
        self.plugin.roots.get(self.configuring?).map(Vec::as_slice)
    }

    /// The epoch ticked: whether the guest may go on. The CPU time goes to the account of the stream in effect.
    pub(super) fn tick(&mut self, now: Duration) -> bool {
        let used = self.cpu.tick(now);
        let limit = self.plugin.limits.cpu_per_exchange;
        if let Some(context) = self.effective.context
            && self.contexts.charge(context, used) >= limit
        {
            self.cpu.exhaust_exchange(limit);
        }
        self.cpu.exhausted().is_none()
    }

    /// A callback returned: forgets what only it may see.
    pub(crate) fn leave(&mut self) {
        self.effective = Effective::default();
        self.configuring = None;
        self.callouts.show(Shown::Nothing);
        self.bounds.memory_refused = false;
        let dropped = self.log_rate.take_dropped();
        if dropped > 0 {
            self.host
                .refused(&self.plugin, Refusal::LogRate { lines: dropped });
        }
    }

    /// A line of the guest: dropped below the host's level before anything is copied, then limited in rate and length,
    /// control characters escaped.
    pub(crate) fn log(&mut self, level: LogLevel, message: &[u8]) {
        let severe = level.number() >= LogLevel::Error.number();
        if level.number() < self.host.log_level().number() && !severe {
            return;
        }
        if !self.log_rate.admit(Instant::now()) {
            return;
        }
        let line = printable(message);
        if level.number() >= self.host.log_level().number() {
            self.host.log(&self.plugin, level, &line);
        }
        if severe && let Some(last) = &mut self.last_error {
            *last = line;
        }
    }
}

/// Text for one line of log: control characters (CR, LF and ESC above all) escaped, at most [`LOG_LINE_BYTES_MAX`].
fn printable(message: &[u8]) -> String {
    let (message, cut) = match message.get(..LOG_LINE_BYTES_MAX) {
        Some(head) if message.len() > LOG_LINE_BYTES_MAX => (head, true),
        _ => (message, false),
    };
    let text = String::from_utf8_lossy(message);
    let mut line = if text.contains(|char: char| char.is_control() && char != '\t') {
        text.chars()
            .fold(String::with_capacity(text.len() + 16), |mut line, char| {
                if char.is_control() && char != '\t' {
                    line.extend(char.escape_default())
                } else {
                    line.push(char)
                }
                line
            })
    } else {
        text.into_owned()
    };
    if cut {
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_cannot_forge_others() {
        assert_eq!(
            printable(b"a\r\nERROR b\x1b[31m\x00\x9b"),
            "a\\r\\nERROR b\\u{1b}[31m\\u{0}\u{fffd}"
        );
        assert_eq!(
            printable("tab\tand \u{85} \u{e9}".as_bytes()),
            "tab\tand \\u{85} \u{e9}"
        );
    }

    #[test]
    fn long_lines_are_cut() {
        let line = printable(&vec![b'x'; LOG_LINE_BYTES_MAX + 1]);
        assert_eq!(line.len(), LOG_LINE_BYTES_MAX + 3);
        assert_eq!(
            printable(&vec![b'x'; LOG_LINE_BYTES_MAX]).len(),
            LOG_LINE_BYTES_MAX
        );
    }
}
