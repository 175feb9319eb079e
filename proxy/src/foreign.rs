//! Foreign functions of our own, `portcullis.*`: what would hold up a worker, and what a sandbox must not do itself.
//!
//! Argument and result are messages of Protocol Buffers; `docs/guide/abi.md` has their fields.

mod password;

use tokio::sync::{Semaphore, SemaphorePermit};

/// Calls that run at the same time, in the whole process. A password hash takes a core for tens of milliseconds and up
/// to [`password::MEMORY_BYTES_MAX`]; others wait for their turn, as many as the callouts that filters may have in flight.
const RUNNING_MAX: usize = 4;

static RUNNING: Semaphore = Semaphore::const_new(RUNNING_MAX);

/// A function: any bytes to a result. It may block.
type Function = fn(&[u8]) -> Vec<u8>;

const FUNCTIONS: &[(&str, Function)] = &[("portcullis.password_verify", password::verify)];

/// Appends the lines of its argument to the audit log. It answers at once: all it does is queue them.
pub const AUDIT: &str = "portcullis.audit";

/// The function of that name, of those that take their time.
pub fn find(name: &str) -> Option<Function> {
    let found = FUNCTIONS.iter().find(|(known, _)| *known == name);
    found.map(|(_, function)| *function)
}

/// Waits until one more may run; it may for as long as the answer is kept.
pub async fn turn() -> Option<SemaphorePermit<'static>> {
    // It is never closed.
    RUNNING.acquire().await.ok()
}
