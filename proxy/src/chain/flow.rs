//! The table of [`super`] as a state machine: one direction of one exchange.

use std::collections::VecDeque;

use bytes::Bytes;
use portcullis_abi::wire::types::{DataAction, HeadersAction, TrailersAction};

mod inject;
mod release;

use super::Body;

/// Which message of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    Request,
    Response,
}

/// What leaves a chain, in order.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    Headers { end: bool },
    Data { bytes: Bytes, end: bool },
    Trailers,
}

/// The callbacks as the state machine needs them. Positions count along the direction of travel.
pub trait Callbacks {
    /// Why a message cannot go on.
    type Stop;

    /// `None`: the plugin has no such callback, or is skipped.
    fn headers(&mut self, position: usize, end: bool) -> Result<Option<HeadersAction>, Self::Stop>;

    /// The plugin sees and may edit `body`.
    fn data(
        &mut self,
        position: usize,
        body: &mut Body,
        end: bool,
    ) -> Result<Option<DataAction>, Self::Stop>;

    fn trailers(&mut self, position: usize) -> Result<Option<TrailersAction>, Self::Stop>;

    /// Whether it has a body callback at all.
    fn wants_body(&self, position: usize) -> bool;

    /// `hold: headers`
    fn holds_headers(&self, position: usize) -> bool;

    /// Bytes that may be kept back for it.
    fn body_held_max(&self, position: usize) -> usize;

    /// Whether it called continue_stream since this was last asked.
    fn take_continue(&mut self, position: usize) -> bool;

    /// Kept back bytes went over the limit.
    fn overflow(&mut self, position: usize) -> Self::Stop;

    /// What it adds to the body of its own accord, since this was last asked, and whether the message ends with it.
    fn take_injected(&mut self, position: usize) -> Vec<(Bytes, bool)>;

    /// Called before a paused plugin is looked at again: its VM may be gone. `Ok(true)`: skip it.
    fn lost(&mut self, position: usize) -> Result<bool, Self::Stop>;
}

/// Where and how a message is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Along the direction of travel.
    pub position: usize,
    /// More of the message would help: its body callbacks run and there is room.
    pub reads: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stop {
    #[default]
    None,
    /// Headers are held here. `body`: body callbacks run meanwhile; `reads`: without them, the body is read and kept.
    Headers {
        body: bool,
        reads: bool,
    },
    /// Body bytes are held here after a callback saw them.
    Body,
    /// Headers went on, without body callbacks of what follows: it is kept. `reads`: it is read meanwhile.
    Rest {
        reads: bool,
    },
    Trailers,
}

#[derive(Debug, Default)]
struct Gate {
    stop: Stop,
    /// Seen by the plugin's callback, kept back.
    held: Body,
    held_end: bool,
    /// The plugin wants no more than fits: reading stops at the limit, which is then no overflow.
    watermark: bool,
    /// Not yet seen.
    inbox: VecDeque<Item>,
    inbox_bytes: usize,
    /// The trailers callback stopped: they go on without another.
    held_trailers: bool,
    /// The end of the message has come as far as here.
    ended: bool,
}

/// One message on its way through the chain.
#[derive(Debug)]
pub struct Flow {
    gates: Vec<Gate>,
    /// Headers have passed all positions before this one.
    headers_at: usize,
    headers_end: bool,
    out: VecDeque<Item>,
    /// The message was ended by the plugin here: what still comes is nobody's.
    ended_at: Option<usize>,
}

impl Flow {
    pub fn new(plugins: usize) -> Self {
        Self {
            gates: std::iter::repeat_with(Gate::default)
                .take(plugins)
                .collect(),
            headers_at: 0,
            headers_end: false,
            out: VecDeque::new(),
            ended_at: None,
        }
    }

    /// Sends the head in. `end`: there is no body.
    pub fn headers<C: Callbacks>(&mut self, callbacks: &mut C, end: bool) -> Result<(), C::Stop> {
        self.headers_end = end;
        self.run_headers(callbacks, 0)
    }

    /// Sends a chunk in. An empty last chunk ends the body. What a plugin has continued meanwhile goes on before it: it
    /// has seen that, and must not see it again.
    pub fn data<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        bytes: Bytes,
        end: bool,
    ) -> Result<(), C::Stop> {
        self.resume(callbacks)?;
        self.feed(callbacks, 0, Item::Data { bytes, end })
    }

    pub fn trailers<C: Callbacks>(&mut self, callbacks: &mut C) -> Result<(), C::Stop> {
        self.resume(callbacks)?;
        self.feed(callbacks, 0, Item::Trailers)
    }

    /// The next item that left the chain.
    pub fn pop(&mut self) -> Option<Item> {
        self.out.pop_front()
    }

    #[cfg(test)]
    fn has_output(&self) -> bool {
        !self.out.is_empty()
    }

    /// Body bytes waiting to be taken, once the end of the message is among them.
    pub fn complete_length(&self) -> Option<u64> {
        let ended = match self.out.back()? {
            Item::Headers { end } | Item::Data { end, .. } => *end,
            Item::Trailers => true,
        };
        let bytes = |item: &Item| {
            if let Item::Data { bytes, .. } = item {
                bytes.len() as u64
            } else {
                0
            }
        };
        ended.then(|| self.out.iter().map(bytes).sum())
    }

    /// What the plugin at `position` has seen and keeps back.
    pub fn held_mut(&mut self, position: usize) -> &mut Body {
        &mut self.gates[position].held
    }

    /// Whether the head has left the chain.
    pub fn headers_passed(&self) -> bool {
        self.headers_at == self.gates.len()
    }

    /// The first plugin that stops the message, if any.
    pub fn blocked<C: Callbacks>(&self, callbacks: &C) -> Option<Blocked> {
        let position = self.gates.iter().position(|gate| gate.stop != Stop::None)?;
        let gate = &self.gates[position];
        let room = gate.held.len() < callbacks.body_held_max(position);
        let reads = match gate.stop {
            _ if gate.ended || self.headers_end => false,
            Stop::Headers { body: true, .. } | Stop::Body => !gate.watermark || room,
            Stop::Headers { reads, .. } | Stop::Rest { reads } => reads,
            Stop::Trailers | Stop::None => false,
        };
        Some(Blocked { position, reads })
    }

    fn run_headers<C: Callbacks>(&mut self, callbacks: &mut C, from: usize) -> Result<(), C::Stop> {
        let end = self.headers_end;
        for position in from..self.gates.len() {
            self.headers_at = position;
            let Some(action) = callbacks.headers(position, end)? else {
                continue;
            };
            let body = !end && callbacks.holds_headers(position) && callbacks.wants_body(position);
            let held = |body, reads| Stop::Headers { body, reads };
            let stop = match action {
                HeadersAction::Continue | HeadersAction::ContinueAndEndStream if body => {
                    held(true, false)
                }
                HeadersAction::Continue | HeadersAction::ContinueAndEndStream => Stop::None,
                HeadersAction::StopIteration => held(body, false),
                HeadersAction::StopAllIterationAndBuffer => held(false, true),
                HeadersAction::StopAllIterationAndWatermark => held(false, false),
            };
            // A guest may continue within the very callback that it then answers with a pause.
            let stops = stop != Stop::None && !callbacks.take_continue(position);
            let injected = callbacks.take_injected(position);
            if stops || !injected.is_empty() {
                let gate = &mut self.gates[position];
                gate.stop = if stops { stop } else { held(false, false) };
                // Nothing more is read, so what comes was under way, and no excess.
                gate.watermark = gate.stop == held(false, false);
                self.insert(callbacks, position, injected)?;
                return match stops {
                    true => Ok(()),
                    false => self.open(callbacks, position),
                };
            }
        }
        self.headers_at = self.gates.len();
        self.out.push_back(Item::Headers { end });
        Ok(())
    }

    /// An item arrives at `from` and goes as far as it can.
    fn feed<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        from: usize,
        item: Item,
    ) -> Result<(), C::Stop> {
        let mut item = item;
        for position in from..self.gates.len() {
            if self.has_ended(position) {
                return Ok(());
            }
            let gate = &mut self.gates[position];
            if matches!(
                gate.stop,
                Stop::Headers { body: false, .. } | Stop::Rest { .. } | Stop::Trailers
            ) {
                return self.keep_unseen(callbacks, position, item);
            }
            let next = match item {
                Item::Data { bytes, end } => self.feed_data(callbacks, position, bytes, end)?,
                Item::Trailers => self.feed_trailers(callbacks, position)?,
                Item::Headers { .. } => Some(item),
            };
            match next {
                Some(next) => item = next,
                None => return Ok(()),
            }
        }
        self.out.push_back(item);
        Ok(())
    }

    fn keep_unseen<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        position: usize,
        item: Item,
    ) -> Result<(), C::Stop> {
        let gate = &mut self.gates[position];
        match &item {
            Item::Data { bytes, end } => {
                gate.inbox_bytes += bytes.len();
                gate.ended |= end;
            }
            Item::Headers { .. } | Item::Trailers => gate.ended = true,
        }
        gate.inbox.push_back(item);
        self.check_limit(callbacks, position)
    }

    fn check_limit<C: Callbacks>(&self, callbacks: &mut C, position: usize) -> Result<(), C::Stop> {
        let gate = &self.gates[position];
        let over = gate.held.len() + gate.inbox_bytes > callbacks.body_held_max(position);
        if over && !gate.watermark {
            Err(callbacks.overflow(position))
        } else {
            Ok(())
        }
    }

    /// Returns what goes on to the next position.
    fn feed_data<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        position: usize,
        bytes: Bytes,
        end: bool,
    ) -> Result<Option<Item>, C::Stop> {
        if !callbacks.wants_body(position) {
            return Ok(Some(Item::Data { bytes, end }));
        }
        let gate = &mut self.gates[position];
        let mut body = std::mem::take(&mut gate.held);
        let holding = !body.is_empty() || matches!(gate.stop, Stop::Headers { .. });
        body.push(bytes.into());
        gate.ended |= end;
        if holding && !gate.watermark && body.len() > callbacks.body_held_max(position) {
            return Err(callbacks.overflow(position));
        }
        let held_before = gate.stop;
        let Some(action) = callbacks.data(position, &mut body, end)? else {
            self.pass_headers(callbacks, position)?;
            return Ok(Some(Item::Data {
                bytes: body.into_bytes(),
                end,
            }));
        };
        let continued = callbacks.take_continue(position);
        self.inject(callbacks, position)?;
        if self.has_ended(position) {
            return Ok(None);
        }
        let gate = &mut self.gates[position];
        match action {
            _ if continued => {}
            DataAction::Continue => {}
            DataAction::StopIterationAndBuffer | DataAction::StopIterationAndWatermark => {
                gate.held = body;
                gate.held_end |= end;
                gate.watermark = action == DataAction::StopIterationAndWatermark;
                if !matches!(held_before, Stop::Headers { .. }) {
                    gate.stop = Stop::Body;
                }
                self.check_limit(callbacks, position)?;
                return Ok(None);
            }
            DataAction::StopIterationNoBuffer => {
                gate.held_end |= end;
                if !matches!(held_before, Stop::Headers { .. }) {
                    gate.stop = Stop::Body;
                }
                return Ok(None);
            }
        }
        gate.held_end = false;
        self.pass_headers(callbacks, position)?;
        Ok(Some(Item::Data {
            bytes: body.into_bytes(),
            end,
        }))
    }

    fn feed_trailers<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        position: usize,
    ) -> Result<Option<Item>, C::Stop> {
        self.gates[position].ended = true;
        let action = callbacks.trailers(position)?;
        let continued = callbacks.take_continue(position);
        self.inject(callbacks, position)?;
        if self.has_ended(position) {
            return Ok(None);
        }
        let gate = &mut self.gates[position];
        if action == Some(TrailersAction::StopIteration) && !continued {
            gate.held_trailers = true;
            if gate.stop == Stop::None {
                gate.stop = Stop::Trailers;
            }
            return Ok(None);
        }
        // A plugin without a trailers callback that holds a body goes on holding it.
        if action.is_none() && gate.stop != Stop::None {
            gate.held_trailers = true;
            return Ok(None);
        }
        self.pass_headers(callbacks, position)?;
        self.release_held(callbacks, position)?;
        Ok(Some(Item::Trailers))
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
