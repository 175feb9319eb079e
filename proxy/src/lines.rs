//! Logs in lines: the buffer between workers and the thread that writes, and where that thread writes to.
//!
//! A worker never waits for the output. Where that is slower than the traffic, lines are dropped whole and counted.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use portcullis_config::model::Output;
use prometheus::IntCounter;

/// Bytes that wait for the output: some ten thousand lines.
const QUEUED_BYTES_MAX: usize = 4 << 20;

/// How often a file is looked for under its name.
const ROTATION_PERIOD: Duration = Duration::from_secs(1);

/// Whole lines on their way to the output.
pub struct Queue {
    state: Mutex<State>,
    /// Lines came, or the end.
    filled: Condvar,
    /// A batch was written.
    written: Condvar,
    dropped: IntCounter,
}

#[derive(Default)]
struct State {
    pending: Vec<u8>,
    /// Lines in `pending`.
    lines: u64,
    /// Batches taken by the thread, and batches it is done with.
    taken: u64,
    done: u64,
    closing: bool,
}

impl Queue {
    /// Starts the thread that writes to the sink; `dropped` counts lines that did not get out.
    ///
    /// # Errors
    /// No thread was started.
    pub fn start(sink: Sink, dropped: IntCounter) -> io::Result<Arc<Self>> {
        let queue = Arc::new(Self {
            state: Mutex::new(State::default()),
            filled: Condvar::new(),
            written: Condvar::new(),
            dropped,
        });
        let theirs = Arc::clone(&queue);
        thread::Builder::new()
            .name(sink.name.replace(' ', "-"))
            .spawn(move || theirs.run(sink))?;
        Ok(queue)
    }

    /// Appends a whole line, its end included, or drops and counts it.
    pub fn push(&self, line: &[u8]) {
        let mut state = self.state.lock();
        if state.pending.len() + line.len() > QUEUED_BYTES_MAX {
            drop(state);
            self.dropped.inc();
            return;
        }
        let was_empty = state.pending.is_empty();
        state.pending.extend_from_slice(line);
        state.lines += 1;
        drop(state);
        if was_empty {
            self.filled.notify_one();
        }
    }

    /// Waits until everything queued so far has been written, at most `timeout`. False: it was not.
    pub fn flush(&self, timeout: Duration) -> bool {
        let mut state = self.state.lock();
        // What is pending goes out with the next batch, what is not, is in one already taken.
        let target = state.taken + u64::from(!state.pending.is_empty());
        let deadline = Instant::now() + timeout;
        while state.done < target {
            if self.written.wait_until(&mut state, deadline).timed_out() {
                return state.done >= target;
            }
        }
        true
    }

    /// Lets the thread end once it has written what is left. Does not wait: a worker may be the last to hold the log.
    pub fn close(&self) {
        self.state.lock().closing = true;
        self.filled.notify_one();
    }

    /// The thread: until closed, takes everything pending and writes it.
    fn run(&self, mut sink: Sink) {
        let mut batch = Vec::new();
        loop {
            let lines = {
                let mut state = self.state.lock();
                while state.pending.is_empty() && !state.closing {
                    self.filled.wait(&mut state);
                }
                if state.pending.is_empty() {
                    return;
                }
                std::mem::swap(&mut state.pending, &mut batch);
                state.taken += 1;
                std::mem::take(&mut state.lines)
            };
            if let Err(error) = sink.write(&batch) {
                self.dropped.inc_by(lines);
                sink.failed(&error);
            }
            batch.clear();
            self.state.lock().done += 1;
            self.written.notify_all();
        }
    }
}

/// An open output.
pub struct Sink {
    /// Of the log, for what is said of it.
    name: &'static str,
    target: Target,
    /// Bytes of a line may be out without its end: the next write begins with one.
    torn: bool,
    /// The last write failed; said once, until one works again.
    failing: bool,
}

enum Target {
    Stdout,
    Stderr,
    File {
        file: File,
        path: PathBuf,
        checked: Instant,
    },
}

impl Sink {
    /// Opens the output of the log `name`: a file is appended to, created where missing, and opened again when it was
    /// moved away or deleted (looked for each second), so log rotation needs no signal. `None` where the output is off.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(name: &'static str, output: &Output) -> io::Result<Option<Self>> {
        let target = match output {
            Output::Off => return Ok(None),
            Output::Stdout => Target::Stdout,
            Output::Stderr => Target::Stderr,
            Output::File(path) => Target::File {
                file: append(path)?,
                path: path.clone(),
                checked: Instant::now(),
            },
        };
        Ok(Some(Self {
            name,
            target,
            torn: false,
            failing: false,
        }))
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        let torn = std::mem::replace(&mut self.torn, true);
        let out: &mut dyn Write = match &mut self.target {
            Target::Stdout => &mut io::stdout().lock(),
            Target::Stderr => &mut io::stderr().lock(),
            Target::File {
                file,
                path,
                checked,
            } => {
                if checked.elapsed() >= ROTATION_PERIOD {
                    *checked = Instant::now();
                    if moved_away(file, path) {
                        *file = append(path)?;
                    }
                }
                file
            }
        };
        if torn {
            out.write_all(b"\n")?;
        }
        out.write_all(batch)?;
        out.flush()?;
        self.torn = false;
        if std::mem::take(&mut self.failing) {
            tracing::info!("{}: lines are written again", self.name);
        }
        Ok(())
    }

    fn failed(&mut self, error: &io::Error) {
        if !std::mem::replace(&mut self.failing, true) {
            tracing::error!("{}: lines are lost: {error}", self.name);
        }
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// Whether another file, or none, has the path by now.
fn moved_away(file: &File, path: &Path) -> bool {
    match (file.metadata(), path.metadata()) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) != (named.dev(), named.ino()),
        (_, Err(error)) => error.kind() == io::ErrorKind::NotFound,
        (Err(_), Ok(_)) => true,
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A sink that was last looked at too long ago.
    fn stale(path: &Path) -> Sink {
        let mut sink = Sink::open("log", &Output::File(path.to_owned()))
            .expect("open")
            .expect("a file");
        if let Target::File { checked, .. } = &mut sink.target {
            *checked = checked.checked_sub(ROTATION_PERIOD).expect("uptime");
        }
        sink
    }

    #[test]
    fn a_file_that_was_moved_away_is_opened_again() {
        let folder = tempfile::tempdir().expect("folder");
        let (path, old) = (folder.path().join("log"), folder.path().join("log.1"));
        let mut sink = stale(&path);
        fs::rename(&path, &old).expect("rename");
        sink.write(b"{}\n").expect("write");
        assert_eq!(fs::read(&old).expect("old"), b"");
        assert_eq!(fs::read(&path).expect("new"), b"{}\n");
    }

    #[test]
    fn a_file_that_stayed_is_appended_to() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("log");
        fs::write(&path, b"old\n").expect("write");
        let mut sink = stale(&path);
        sink.write(b"{}\n").expect("write");
        assert_eq!(fs::read(&path).expect("log"), b"old\n{}\n");
    }

    #[test]
    fn after_a_failed_write_the_next_line_stands_alone() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("log");
        let mut sink = Sink::open("log", &Output::File("/dev/full".into()))
            .expect("open")
            .expect("a file");
        assert!(sink.write(b"{}\n").is_err());
        sink.target = Target::File {
            file: append(&path).expect("open"),
            path: path.clone(),
            checked: Instant::now(),
        };
        sink.write(b"{}\n").expect("write");
        assert_eq!(fs::read(&path).expect("log"), b"\n{}\n");
        sink.write(b"{}\n").expect("write");
        assert_eq!(fs::read(&path).expect("log"), b"\n{}\n{}\n");
    }
}
