//! One JSON line for each exchange, refused ones included, and for each TCP connection.
//!
//! A worker formats the line and appends it to a bounded buffer; one thread writes. Where the output is slower than the
//! traffic, lines are dropped whole and counted: an exchange never waits for its log. Whatever a client sent, a line is
//! one line of valid JSON: control characters are escaped, bytes that are no UTF-8 appear as the text `\xNN`.

mod connection;
mod entry;
mod json;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::Output;
use prometheus::IntCounter;

pub use connection::ConnectionEntry;
pub use entry::{ChainOutcome, Entry, Tls, Upstream};

use crate::lines::{Queue, Sink};

thread_local! {
    /// A worker's line under construction; its capacity is kept from line to line.
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What can be a line of the log.
pub trait Line {
    /// Appends the line, without its end.
    fn format(&self, out: &mut Vec<u8>);
}

/// An open access log. Dropping it does not wait: its thread writes what is left and ends. Before the process ends,
/// [`AccessLog::flush`] waits.
pub struct AccessLog {
    /// `None` where the output is off.
    queue: Option<Arc<Queue>>,
}

impl fmt::Debug for AccessLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessLog")
            .field("enabled", &self.enabled())
            .finish_non_exhaustive()
    }
}

impl AccessLog {
    /// Opens the output ([`Sink::open`]) and starts the thread that writes. `dropped` counts lines that did not get out.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread started.
    pub fn open(output: &Output, dropped: IntCounter) -> io::Result<Self> {
        let Some(sink) = Sink::open("access log", output)? else {
            return Ok(Self { queue: None });
        };
        let queue = Queue::start(sink, dropped)?;
        Ok(Self { queue: Some(queue) })
    }

    /// Whether lines go anywhere: building an [`Entry`] can be saved where not.
    pub fn enabled(&self) -> bool {
        self.queue.is_some()
    }

    /// Queues the line of an exchange, or of a TCP connection. Never waits for the output.
    pub fn write(&self, entry: &impl Line) {
        let Some(queue) = &self.queue else {
            return;
        };
        LINE.with_borrow_mut(|line| {
            line.clear();
            entry.format(line);
            line.push(b'\n');
            queue.push(line);
        });
    }

    /// Waits until everything queued so far has been written, at most `timeout`. False: it was not.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.flush(timeout))
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }
}

#[cfg(test)]
mod tests;
