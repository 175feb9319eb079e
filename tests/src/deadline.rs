//! Bounded waiting.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, interval, timeout};

/// How long anything in a test may take. Generous: two cores may be shared by a whole build.
pub const LIMIT: Duration = Duration::from_secs(60);

/// How often [`until`] asks again.
const PERIOD: Duration = Duration::from_millis(10);

/// The future's result.
///
/// # Panics
/// With `what`, when it takes longer than [`LIMIT`].
pub async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match timeout(LIMIT, future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} took longer than {LIMIT:?}"),
    }
}

/// Asks until there is an answer.
///
/// # Panics
/// With `what`, when there is none within [`LIMIT`].
pub async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let end = Instant::now() + LIMIT;
    let mut ticks = interval(PERIOD);
    loop {
        ticks.tick().await;
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(
            Instant::now() < end,
            "{what} did not happen within {LIMIT:?}"
        );
    }
}
