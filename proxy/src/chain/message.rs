//! One message with its waits: [`Flow`] plus the time a plugin may take.

use std::time::Instant;

use bytes::Bytes;
use tokio::time::sleep_until;

use super::flow::{Blocked, Direction, Flow, Item};
use super::run::{Run, Verdict};

/// A request or a response on its way through the chain.
#[derive(Debug)]
pub struct Message {
    flow: Flow,
    direction: Direction,
    /// The position whose held body the exchange shows to ticks and callouts' answers.
    lent: Option<usize>,
    /// Since when a plugin, and nobody else, is to blame for the wait.
    waiting: Option<(usize, Instant)>,
}

impl Message {
    pub fn new(direction: Direction, plugins: usize) -> Self {
        Self {
            flow: Flow::new(plugins),
            direction,
            lent: None,
            waiting: None,
        }
    }

    /// Sends the head in. `end`: there is no body.
    ///
    /// # Errors
    /// What a plugin decided instead.
    pub fn headers(&mut self, run: &mut Run, end: bool) -> Result<(), Verdict> {
        self.flow.headers(&mut run.callbacks(self.direction), end)
    }

    /// Sends body bytes in.
    ///
    /// # Errors
    /// What a plugin decided instead.
    pub fn data(&mut self, run: &mut Run, bytes: Bytes, end: bool) -> Result<(), Verdict> {
        self.take_back(run);
        self.flow
            .data(&mut run.callbacks(self.direction), bytes, end)
    }

    /// Sends the trailers in, which the exchange holds.
    ///
    /// # Errors
    /// What a plugin decided instead.
    pub fn trailers(&mut self, run: &mut Run) -> Result<(), Verdict> {
        self.take_back(run);
        self.flow.trailers(&mut run.callbacks(self.direction))
    }

    pub fn pop(&mut self) -> Option<Item> {
        self.flow.pop()
    }

    /// Whether a plugin has ended the message before its sender did: the rest is ignored.
    pub fn ended_early(&self) -> bool {
        self.flow.ended_early()
    }

    pub fn headers_passed(&self) -> bool {
        self.flow.headers_passed()
    }

    /// Bytes and end of what has left the chain and was not yet taken: `None` until the end is among it.
    pub fn complete_length(&self) -> Option<u64> {
        self.flow.complete_length()
    }

    pub fn blocked(&self, run: &mut Run) -> Option<Blocked> {
        self.flow.blocked(&run.callbacks(self.direction))
    }

    /// Waits until a paused plugin goes on. Cancel-safe: nothing is lost where the future is dropped.
    ///
    /// # Errors
    /// A reply, a close or a fault that came meanwhile; [`Verdict::Stuck`] where the plugin took too long.
    pub async fn wait(&mut self, run: &mut Run) -> Result<(), Verdict> {
        let wake = run.exchange.lock().wake.clone();
        loop {
            let before = self.blocked(run);
            run.check_all()?;
            self.take_back(run);
            self.flow.resume(&mut run.callbacks(self.direction))?;
            let Some(blocked) = self.blocked(run) else {
                return Ok(());
            };
            if Some(blocked) != before {
                return Ok(());
            }
            self.lend(run, blocked.position);
            match self.deadline(run, blocked) {
                None => wake.notified().await,
                Some((slot, deadline)) => {
                    tokio::select! {
                        () = wake.notified() => {}
                        () = sleep_until(deadline.into()) => return Err(Verdict::Stuck { slot }),
                    }
                }
            }
        }
    }

    /// A plugin that could still get more of the message waits for the sender, not the other way round.
    fn deadline(&mut self, run: &mut Run, blocked: Blocked) -> Option<(usize, Instant)> {
        if blocked.reads {
            self.waiting = None;
            return None;
        }
        let since = match self.waiting {
            Some((position, since)) if position == blocked.position => since,
            _ => Instant::now(),
        };
        self.waiting = Some((blocked.position, since));
        let slot = run.callbacks(self.direction).slot_at(blocked.position);
        Some((slot, since + run.slot(slot).pause))
    }

    fn lend(&mut self, run: &Run, position: usize) {
        let held = self.flow.held_mut(position);
        if !held.is_empty() {
            let body = Some(std::mem::take(held));
            let mut exchange = run.exchange.lock();
            match self.direction {
                Direction::Request => exchange.request_body = body,
                Direction::Response => exchange.response_body = body,
            }
            self.lent = Some(position);
        }
    }

    fn take_back(&mut self, run: &Run) {
        if let Some(position) = self.lent.take() {
            let mut exchange = run.exchange.lock();
            let body = match self.direction {
                Direction::Request => exchange.request_body.take(),
                Direction::Response => exchange.response_body.take(),
            };
            *self.flow.held_mut(position) = body.unwrap_or_default();
        }
    }
}
