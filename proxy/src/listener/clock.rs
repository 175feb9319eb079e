//! Time as the guard needs it: a timer that costs nothing while deadlines only move on, and a clock of a body's waiting.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

/// One timer for a sequence of deadlines.
///
/// It is not touched while deadlines move into the future: it fires at an old one, is set anew, and sleeps on. So a busy
/// connection does not register a timer with every request.
#[derive(Debug, Default)]
pub(crate) struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Alarm {
    /// Ready once `deadline` has passed; else the task is woken when it does.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

/// How long a client has been waited for while its body was wanted.
///
/// Only that counts: while nobody reads, because the origin is slow or a filter thinks, the clock stands still.
#[derive(Debug, Default)]
pub(super) struct BodyClock {
    waited: Duration,
    waiting_since: Option<Instant>,
    /// Payload received, bytes.
    received: u64,
    /// The client waits for a 100 or a final answer itself, rightly.
    suspended: bool,
}

impl BodyClock {
    /// A new body begins.
    pub(super) fn begin(&mut self, suspended: bool) {
        *self = Self {
            suspended,
            ..Self::default()
        };
    }

    pub(super) fn received(&mut self, payload: usize) {
        self.received += payload as u64;
        self.stop();
        self.suspended = false;
    }

    /// The client was answered something: what it waited for.
    pub(super) fn resume(&mut self) {
        self.suspended = false;
    }

    /// Nothing is waited for any longer, for now.
    pub(super) fn stop(&mut self) {
        if let Some(since) = self.waiting_since.take() {
            self.waited += since.elapsed();
        }
    }

    /// Waiting goes on. Says when the body has become too slow: `grace`, and a second for each `rate` bytes received.
    pub(super) fn wait(&mut self, rate: u64, grace: Duration) -> Option<Instant> {
        if rate == 0 || self.suspended {
            return None;
        }
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let earned = Duration::try_from_secs_f64(self.received as f64 / rate as f64)
            .unwrap_or(Duration::MAX);
        // Beyond what an instant can say it is no limit either.
        since.checked_add(grace.saturating_add(earned).saturating_sub(self.waited))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_earns_time_by_what_arrives() {
        let mut clock = BodyClock::default();
        clock.begin(false);
        let grace = Duration::from_secs(1);
        let first = clock.wait(500, grace).expect("a limit");
        clock.received(1000);
        let second = clock.wait(500, grace).expect("a limit");
        assert!(
            second - first > Duration::from_millis(1900),
            "{:?}",
            second - first
        );
        assert_eq!(clock.wait(0, grace), None, "no rate, no limit");
        clock.received(usize::MAX >> 1);
        let _ = clock.wait(1, Duration::MAX);
    }

    #[test]
    fn a_client_that_waits_for_a_100_is_not_slow() {
        let mut clock = BodyClock::default();
        clock.begin(true);
        assert_eq!(clock.wait(500, Duration::ZERO), None);
        clock.resume();
        assert!(clock.wait(500, Duration::ZERO).is_some());
    }

    #[tokio::test]
    async fn an_alarm_takes_later_and_earlier_deadlines() {
        let mut alarm = Alarm::default();
        let start = Instant::now();
        let (early, late) = (
            start + Duration::from_millis(30),
            start + Duration::from_millis(60),
        );
        let far = start + Duration::from_secs(3600);
        std::future::poll_fn(|cx| {
            assert!(alarm.poll(cx, far).is_pending());
            alarm.poll(cx, early)
        })
        .await;
        assert!(Instant::now() >= early);
        std::future::poll_fn(|cx| alarm.poll(cx, late)).await;
        assert!(Instant::now() >= late);
    }
}
