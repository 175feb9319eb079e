//! Why a VM was discarded.

use std::fmt::Write;

use wasmtime::{FrameInfo, Trap, WasmBacktrace};

use super::bounds::Exhausted;
use super::state::State;
use crate::limits::FAULT_MESSAGE_BYTES_MAX;

/// A fault of a guest. Its VM is dead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} fault in {callback}: {message}", kind.as_str())]
pub struct Fault {
    /// For the counter.
    pub kind: FaultKind,
    /// The ABI's name of the callback.
    pub callback: &'static str,
    /// What happened, and the guest's backtrace in lines: function names from the name section, source places where
    /// the module has debug information.
    pub message: String,
}

/// Kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// `unreachable`, a bad access, a division by zero, a forbidden call...
    Trap,
    /// More CPU time than the limit.
    Cpu,
    /// A trap in a callback that was refused memory.
    Memory,
    /// The native stack is used up.
    Stack,
    /// Anything at the start, and a start that the guest itself called a failure.
    Start,
}

impl FaultKind {
    /// The name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Trap => "trap",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Stack => "stack",
            Self::Start => "start",
        }
    }
}

impl Fault {
    /// What an error of the runtime means, by what the VM was doing.
    pub(super) fn of(error: &wasmtime::Error, state: &State, callback: &'static str) -> Self {
        let (kind, reason) = if let Some(exhausted) = state.cpu.exhausted() {
            let reason = match exhausted {
                Exhausted::Call(limit) => format!("used more than {limit:?} of CPU time"),
                Exhausted::Exchange(limit) => {
                    format!("used more than {limit:?} of CPU time in one exchange")
                }
            };
            (FaultKind::Cpu, reason)
        } else if matches!(error.downcast_ref::<Trap>(), Some(Trap::StackOverflow)) {
            (
                FaultKind::Stack,
                "the stack is used up (an endless recursion?)".to_owned(),
            )
        } else if state.bounds.memory_refused {
            let limit = state.bounds.memory();
            (
                FaultKind::Memory,
                format!(
                    "refused memory beyond the limit of {limit} bytes, then: {}",
                    cause(error)
                ),
            )
        } else {
            (FaultKind::Trap, cause(error))
        };
        let mut message = reason;
        if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
            for frame in backtrace.frames() {
                write_frame(&mut message, frame);
            }
        }
        Self {
            kind,
            callback,
            message: bounded(message),
        }
    }

    /// The embedder panicked while the guest called it: nobody knows what state the guest is in.
    pub(super) fn host_panicked(callback: &'static str) -> Self {
        Self {
            kind: FaultKind::Trap,
            callback,
            message: "the host failed in an earlier callback".to_owned(),
        }
    }

    /// The VM was retired.
    pub(super) fn stopped() -> Self {
        Self {
            kind: FaultKind::Trap,
            callback: "proxy_on_delete",
            message: "the VM was stopped".to_owned(),
        }
    }

    /// The embedder asked for a root context that the plugin does not have.
    pub(super) fn no_root(callback: &'static str) -> Self {
        Self {
            kind: FaultKind::Start,
            callback,
            message: "the plugin has no such root context".to_owned(),
        }
    }

    /// The guest itself answered that it cannot start.
    pub(super) fn refused_start(callback: &'static str) -> Self {
        Self {
            kind: FaultKind::Start,
            callback,
            message: format!("{callback} answered false"),
        }
    }

    /// The same at the start, with what the guest said last.
    pub(super) fn at_start(self, last_error: Option<&str>) -> Self {
        let Self {
            kind,
            callback,
            message,
        } = self;
        let message = match kind {
            FaultKind::Start => message,
            kind => format!("{}: {message}", kind.as_str()),
        };
        let message = match last_error {
            Some(line) if !line.is_empty() => {
                format!("{message}\n  the guest's last error: {line}")
            }
            _ => message,
        };
        Self {
            kind: FaultKind::Start,
            callback,
            message: bounded(message),
        }
    }
}

fn cause(error: &wasmtime::Error) -> String {
    match error.downcast_ref::<Trap>() {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    }
}

/// `  at name (file:line)`; inlined calls come as symbols of their own, the innermost first.
fn write_frame(message: &mut String, frame: &FrameInfo) {
    let name = frame.func_name();
    // Writing to a String cannot fail.
    if frame.symbols().is_empty() {
        let _ = match name {
            Some(name) => write!(message, "\n  at {name}"),
            None => write!(message, "\n  at function {}", frame.func_index()),
        };
    }
    for symbol in frame.symbols() {
        let _ = write!(message, "\n  at {}", symbol.name().or(name).unwrap_or("?"));
        if let Some(file) = symbol.file() {
            let _ = write!(message, " ({file}:{})", symbol.line().unwrap_or_default());
        }
    }
}

fn bounded(mut message: String) -> String {
    if message.len() > FAULT_MESSAGE_BYTES_MAX {
        let end = message.floor_char_boundary(FAULT_MESSAGE_BYTES_MAX);
        message.truncate(end);
        message.push_str("...");
    }
    message
}
