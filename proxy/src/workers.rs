//! The threads that serve requests.
//!
//! A worker is one thread with one single-threaded runtime. A connection is handed to a worker once and stays there, with
//! all its requests and HTTP/2 streams, so whatever a worker keeps (its VMs above all) is found by thread, without a lock
//! that anybody contends for. Nothing is stolen between workers.

use std::cell::Cell;
use std::io;
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

/// Stack of a worker thread, bytes. Guests run on it, and their own stack limit has to fit with room for the host's frames.
const STACK_BYTES: usize = 8 << 20;

/// How long a stopped worker waits for blocking calls it started before it is abandoned.
const BLOCKING_GRACE: Duration = Duration::from_secs(1);

thread_local! {
    static INDEX: Cell<Option<usize>> = const { Cell::new(None) };
}

/// The index of the worker this code runs on, from 0; `None` outside the workers' threads.
pub fn current() -> Option<usize> {
    INDEX.get()
}

/// The worker threads of a process.
///
/// Dropping it lets them stop, without waiting for them.
pub struct Workers {
    handles: Vec<Handle>,
    threads: Mutex<Vec<Thread>>,
}

struct Thread {
    // Dropped, it stops the thread as well as a message would.
    stop: oneshot::Sender<()>,
    join: JoinHandle<()>,
}

impl Workers {
    /// Starts `count` threads (at least one), named `worker-0` and on.
    ///
    /// # Errors
    /// When the system gives no thread or no reactor.
    pub fn start(count: usize) -> io::Result<Arc<Self>> {
        let started = (0..count.max(1))
            .map(Thread::start)
            .collect::<io::Result<Vec<_>>>()?;
        let (handles, threads) = started.into_iter().unzip();
        Ok(Arc::new(Self {
            handles,
            threads: Mutex::new(threads),
        }))
    }

    /// How many there are, at least 1.
    #[allow(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.handles.len()
    }

    /// The runtime of worker `index`; counting goes on from the first after the last, so any number names a worker.
    pub fn handle(&self, index: usize) -> &Handle {
        &self.handles[index % self.handles.len()]
    }

    /// The runtimes in order of their index.
    pub fn handles(&self) -> &[Handle] {
        &self.handles
    }

    /// Drops what still runs on the workers and waits until their threads have ended. Blocking; a second call does nothing.
    pub fn shutdown(&self) {
        for thread in std::mem::take(&mut *self.threads.lock()) {
            // The receiver is gone only if the thread has ended already.
            let _ = thread.stop.send(());
            if thread.join.join().is_err() {
                tracing::error!("a worker thread had panicked");
            }
        }
    }
}

impl Thread {
    fn start(index: usize) -> io::Result<(Handle, Self)> {
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = mpsc::sync_channel(1);
        let join = thread::Builder::new()
            .name(format!("worker-{index}"))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                INDEX.set(Some(index));
                let runtime = match Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => return drop(ready.send(Err(error))),
                };
                if ready.send(Ok(runtime.handle().clone())).is_ok() {
                    // An error means that `Workers` was dropped, which ends the thread just as well.
                    let _ = runtime.block_on(stopped);
                }
                runtime.shutdown_timeout(BLOCKING_GRACE);
            })?;
        let handle = started
            .recv()
            .map_err(|_| io::Error::other("a worker thread ended before it began"))??;
        Ok((handle, Self { stop, join }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_sees_the_index_of_its_worker_also_in_what_it_spawns() {
        let workers = Workers::start(3).expect("threads");
        assert_eq!(workers.len(), 3);
        assert_eq!(current(), None);
        for index in 0..6 {
            let (send, receive) = mpsc::channel();
            workers.handle(index).spawn(async move {
                let here = (current(), thread::current().name().map(str::to_owned));
                let spawned = tokio::spawn(async { current() }).await.ok().flatten();
                let _ = send.send((here, spawned));
            });
            let ((here, name), spawned) = receive.recv().expect("the task ran");
            assert_eq!((here, spawned), (Some(index % 3), Some(index % 3)));
            assert_eq!(name, Some(format!("worker-{}", index % 3)));
        }
        workers.shutdown();
    }

    #[test]
    fn pingora_spawns_on_the_same_worker() {
        // HTTP/2 streams are spawned on `pingora_runtime::current_handle()`, which is the current runtime where Pingora
        // did not start it; `tests/listener.rs` checks it with real streams. Here: the current handle is the worker's own.
        let workers = Workers::start(2).expect("threads");
        let (send, receive) = mpsc::channel();
        let expected = workers.handle(1).id();
        workers.handle(1).spawn(async move {
            let _ = send.send(Handle::current().id());
        });
        assert_eq!(receive.recv().expect("the task ran"), expected);
    }

    #[test]
    fn shutdown_drops_what_still_runs_and_may_be_called_twice() {
        struct Dropped(mpsc::Sender<Option<usize>>);
        impl Drop for Dropped {
            fn drop(&mut self) {
                let _ = self.0.send(current());
            }
        }
        let workers = Workers::start(1).expect("threads");
        let (send, receive) = mpsc::channel();
        let held = Dropped(send);
        workers.handle(0).spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        workers.shutdown();
        assert_eq!(
            receive.try_recv(),
            Ok(Some(0)),
            "the task is dropped on its own thread, before shutdown returns"
        );
        workers.shutdown();
    }

    #[test]
    fn no_worker_is_not_a_choice() {
        assert_eq!(Workers::start(0).expect("threads").len(), 1);
    }
}
