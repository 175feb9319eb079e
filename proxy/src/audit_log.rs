//! What filters report for the record, by the foreign function `portcullis.audit`: the lines of a WAF.
//!
//! It is apart from the proxy's own log: a filter's rate of log lines does not bound it, and no line is cut, because
//! each says why a request was refused. Its buffer is its own too, so that a flood of other lines drops none of these.
//!
//! Order is what makes such a log useful: lines are queued during the callback that reports them, in the order of the
//! callbacks. A filter that reports what it found in a response before it lets the end of that response go has its line
//! in the queue before the client can send another request, and so before any line of that request.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::Output;
use prometheus::IntCounter;

use crate::lines::{Queue, Sink};

/// An open audit log; one that is off by default.
#[derive(Default)]
pub struct AuditLog {
    /// `None` where the output is off.
    queue: Option<Arc<Queue>>,
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog").finish_non_exhaustive()
    }
}

impl AuditLog {
    /// Opens the output ([`Sink::open`]) and starts the thread that writes. `dropped` counts lines that did not get out.
    ///
    /// # Errors
    /// The file cannot be opened, or no thread started.
    pub fn open(output: &Output, dropped: IntCounter) -> io::Result<Self> {
        let Some(sink) = Sink::open("audit log", output)? else {
            return Ok(Self { queue: None });
        };
        let queue = Queue::start(sink, dropped)?;
        Ok(Self { queue: Some(queue) })
    }

    /// Queues lines, separated by line feeds. Never waits for the output.
    pub fn write(&self, lines: &[u8]) {
        let Some(queue) = &self.queue else {
            return;
        };
        for line in lines.split(|byte| *byte == b'\n') {
            if !line.is_empty() {
                queue.push(&harmless(line));
            }
        }
    }

    /// Waits until everything queued so far has been written, at most `timeout`. False: it was not.
    pub fn flush(&self, timeout: Duration) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.flush(timeout))
    }
}

impl Drop for AuditLog {
    fn drop(&mut self) {
        if let Some(queue) = &self.queue {
            queue.close();
        }
    }
}

/// The line with its end; what could forge another line or move a terminal's cursor is spelt out.
fn harmless(line: &[u8]) -> Vec<u8> {
    let mut text = String::with_capacity(line.len() + 1);
    for chunk in line.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() {
                let mut bytes = [0; 4];
                spell(character.encode_utf8(&mut bytes).as_bytes(), &mut text);
            } else {
                text.push(character);
            }
        }
        spell(chunk.invalid(), &mut text);
    }
    text.push('\n');
    text.into_bytes()
}

fn spell(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        text.push_str(&format!("\\x{byte:02x}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(reports: &[&[u8]]) -> (Vec<u8>, u64) {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("audit.log");
        let dropped = IntCounter::new("dropped", "dropped").expect("counter");
        let log = AuditLog::open(&Output::File(path.clone()), dropped.clone()).expect("open");
        for report in reports {
            log.write(report);
        }
        assert!(log.flush(Duration::from_secs(10)));
        (std::fs::read(path).expect("log"), dropped.get())
    }

    #[test]
    fn lines_are_whole_and_in_order() {
        let long = [b'a'; 200_000];
        let (log, dropped) = written(&[b"one\ntwo\n", &long, b"three"]);
        let mut expected = b"one\ntwo\n".to_vec();
        expected.extend_from_slice(&long);
        expected.extend_from_slice(b"\nthree\n");
        assert_eq!((log, dropped), (expected, 0));
    }

    #[test]
    fn nothing_in_a_line_forges_another_or_drives_a_terminal() {
        let (log, _) = written(&[b"a\rb\x1b[2Jc\0d\xffe\xc2\x85f\tg"]);
        let expected = br"a\x0db\x1b[2Jc\x00d\xffe\xc2\x85f\x09g";
        assert_eq!(log, [&expected[..], b"\n"].concat());
    }

    #[test]
    fn a_line_without_room_is_dropped_whole_and_counted() {
        let huge = vec![b'a'; 5 << 20];
        let (log, dropped) = written(&[b"one", &huge, b"two"]);
        assert_eq!((log, dropped), (b"one\ntwo\n".to_vec(), 1));
    }
}
