//! The chain of one exchange at work: binds VMs, makes the callbacks, tells what stopped a message.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use parking_lot::Mutex;
use portcullis_abi::stream::{LocalResponse, SharedStream};
use portcullis_abi::vm::{ContextId, Fault, Vm};
use portcullis_abi::wire::types::{DataAction, HeadersAction, TrailersAction};
use portcullis_config::model::{Hold, OnFault};

use super::flow::Callbacks;
use super::{Body, Direction, Link, Plan, Slot};
use crate::exchange::{Exchange, Injected, MapState};
use crate::metrics::Phase;

/// An exchange shared with the VMs of its chain.
pub type SharedExchange = Arc<Mutex<Exchange>>;

/// Why a message cannot go on through the chain.
#[derive(Debug)]
pub enum Verdict {
    /// A guest replies itself.
    Reply {
        slot: usize,
        response: LocalResponse,
    },
    /// A guest closed the stream.
    Close,
    /// A plugin failed, and its policy is to deny.
    Fault { slot: usize },
    /// More body than may be held back for a plugin.
    Overflow { slot: usize },
    /// A plugin held the exchange for too long.
    Stuck { slot: usize },
}

/// The plugins of one exchange.
pub struct Run {
    pub plan: Arc<Plan>,
    pub exchange: SharedExchange,
    stream: SharedStream,
    links: Vec<Link>,
    /// Faults in this exchange, for the access log.
    pub faults: u32,
    /// The plugin that answered in the origin's place.
    pub reply_by: Option<String>,
    /// A plugin that may do so changed what routes are selected by.
    pub reroute: bool,
    /// The exchange holds pieces of body that plugins have added.
    injected: bool,
}

impl Run {
    /// Binds a VM of each plugin: the exchange stays with them for its whole life.
    ///
    /// # Errors
    /// The slot of a plugin that denies without a VM (it keeps failing, or is being replaced for longer than it may pause).
    pub async fn bind(plan: Arc<Plan>, exchange: SharedExchange) -> Result<Self, (Self, Verdict)> {
        let stream: SharedStream = exchange.clone();
        let mut run = Self {
            links: Vec::with_capacity(plan.slots.len()),
            plan,
            exchange,
            stream,
            faults: 0,
            reply_by: None,
            reroute: false,
            injected: false,
        };
        for index in 0..run.plan.slots.len() {
            match Link::bind(&run.plan.slots[index]).await {
                Some(link) => run.links.push(link),
                None => {
                    run.faults += 1;
                    run.links
                        .resize_with(run.plan.slots.len(), || Link::Skipped);
                    return Err((run, Verdict::Fault { slot: index }));
                }
            }
        }
        Ok(run)
    }

    pub fn slot(&self, slot: usize) -> &Slot {
        &self.plan.slots[slot]
    }

    /// Callbacks of one direction for [`super::Flow`].
    pub fn callbacks(&mut self, direction: Direction) -> Directed<'_> {
        Directed {
            run: self,
            direction,
            clock: None,
        }
    }

    /// on_done, on_log, on_delete of every plugin that saw the exchange.
    pub fn end(&mut self) {
        let mut clock = Instant::now();
        for index in 0..self.links.len() {
            let Link::Live(vm, context) = std::mem::replace(&mut self.links[index], Link::Skipped)
            else {
                continue;
            };
            let ended = vm.end_stream(context);
            let slot = &self.plan.slots[index];
            let elapsed = lap(&mut clock);
            slot.metrics.observe(Phase::Log, elapsed);
            if let Err(fault) = ended {
                slot.pool.faulted(&vm, &fault);
            }
        }
    }

    fn link(&mut self, slot: usize) -> Result<Option<(Arc<Vm>, ContextId)>, Verdict> {
        match self.links[slot].context(&self.plan.slots[slot], slot, &self.stream) {
            Ok(context) => Ok(context),
            Err((vm, fault)) => self.failed(slot, &vm, &fault).map(|()| None),
        }
    }

    /// A fault of this plugin: the exchange goes on without it, or ends.
    fn failed(&mut self, slot: usize, vm: &Arc<Vm>, fault: &Fault) -> Result<(), Verdict> {
        self.plan.slots[slot].pool.faulted(vm, fault);
        self.skip_or_deny(slot)
    }

    fn skip_or_deny(&mut self, slot: usize) -> Result<(), Verdict> {
        self.links[slot] = Link::Skipped;
        let plugin = &self.plan.slots[slot];
        self.faults += 1;
        match plugin.on_fault {
            OnFault::Skip => Ok(()),
            OnFault::Deny => Err(Verdict::Fault { slot }),
        }
    }

    /// What guests asked for beside the callback's answer. `slot`: the plugin whose callback just returned.
    fn check(&mut self, slot: usize) -> Result<(), Verdict> {
        let (reply, closed, refused, stale) = {
            let mut exchange = self.exchange.lock();
            let refused = exchange.signals[slot].refused.take().is_some();
            let stale = std::mem::take(&mut exchange.route_stale);
            self.injected |= !exchange.injected.is_empty();
            (exchange.reply.take(), exchange.closed, refused, stale)
        };
        self.reroute |= stale && self.plan.slots[slot].reroute;
        if let Some((slot, response)) = reply {
            self.reply_by = self
                .plan
                .slots
                .get(usize::from(slot))
                .map(|slot| slot.pool.name().to_owned());
            return Err(Verdict::Reply {
                slot: usize::from(slot),
                response,
            });
        }
        if closed {
            return Err(Verdict::Close);
        }
        if refused {
            self.skip_or_deny(slot)
        } else {
            Ok(())
        }
    }

    /// Verdicts that came while no callback of this exchange ran: from a tick, a queue or a callout's answer.
    pub fn check_all(&mut self) -> Result<(), Verdict> {
        (0..self.links.len()).try_for_each(|slot| self.check(slot))
    }
}

/// The callbacks of one direction: positions count along the direction of travel.
pub struct Directed<'a> {
    pub run: &'a mut Run,
    pub direction: Direction,
    /// When the last callback of this round returned: the next one follows at once, and needs no look at a clock.
    clock: Option<Instant>,
}

/// The time since `clock`, which begins anew.
fn lap(clock: &mut Instant) -> Duration {
    let now = Instant::now();
    now.duration_since(std::mem::replace(clock, now))
}

impl Directed<'_> {
    /// The slot at a position.
    pub fn slot_at(&self, position: usize) -> usize {
        match self.direction {
            Direction::Request => position,
            Direction::Response => self.run.links.len() - 1 - position,
        }
    }

    /// Makes a callback and measures it. `None`: skipped.
    fn call<A>(
        &mut self,
        slot: usize,
        phase: Phase,
        callback: impl FnOnce(&Arc<Vm>, ContextId) -> Result<A, Fault>,
    ) -> Result<Option<A>, Verdict> {
        // A plugin that did not see the request has no context, and sees no response.
        if self.direction == Direction::Response && matches!(self.run.links[slot], Link::Bound(_)) {
            return Ok(None);
        }
        let mut clock = self.clock.take().unwrap_or_else(Instant::now);
        let Some((vm, context)) = self.run.link(slot)? else {
            return Ok(None);
        };
        let answer = callback(&vm, context);
        let elapsed = lap(&mut clock);
        self.run.plan.slots[slot].metrics.observe(phase, elapsed);
        self.clock = Some(clock);
        match answer {
            Ok(action) => {
                self.run.check(slot)?;
                // Skipped just now for a header that cannot be sent.
                Ok(if matches!(self.run.links[slot], Link::Skipped) {
                    None
                } else {
                    Some(action)
                })
            }
            Err(fault) => self.run.failed(slot, &vm, &fault).map(|()| None),
        }
    }
}

impl Callbacks for Directed<'_> {
    type Stop = Verdict;

    fn headers(&mut self, position: usize, end: bool) -> Result<Option<HeadersAction>, Verdict> {
        let slot = self.slot_at(position);
        let count = {
            let exchange = self.run.exchange.lock();
            match self.direction {
                Direction::Request => exchange.request.headers.len() + 4,
                Direction::Response => exchange
                    .response
                    .as_ref()
                    .map_or(0, |head| head.headers.len() + 1),
            }
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        match self.direction {
            Direction::Request => self.call(slot, Phase::RequestHeaders, |vm, context| {
                vm.on_request_headers(context, count, end)
            }),
            Direction::Response => self.call(slot, Phase::ResponseHeaders, |vm, context| {
                vm.on_response_headers(context, count, end)
            }),
        }
    }

    fn data(
        &mut self,
        position: usize,
        body: &mut Body,
        end: bool,
    ) -> Result<Option<DataAction>, Verdict> {
        let slot = self.slot_at(position);
        let size = u32::try_from(body.len()).unwrap_or(u32::MAX);
        let exchange = self.run.exchange.clone();
        let visible = std::mem::take(body);
        let answer = match self.direction {
            Direction::Request => {
                exchange.lock().request_body = Some(visible);
                self.call(slot, Phase::RequestBody, |vm, context| {
                    vm.on_request_body(context, size, end)
                })
            }
            Direction::Response => {
                exchange.lock().response_body = Some(visible);
                self.call(slot, Phase::ResponseBody, |vm, context| {
                    vm.on_response_body(context, size, end)
                })
            }
        };
        let mut exchange = exchange.lock();
        let visible = match self.direction {
            Direction::Request => exchange.request_body.take(),
            Direction::Response => exchange.response_body.take(),
        };
        *body = visible.unwrap_or_default();
        answer
    }

    fn trailers(&mut self, position: usize) -> Result<Option<TrailersAction>, Verdict> {
        let slot = self.slot_at(position);
        if self.direction == Direction::Request {
            // Pingora 0.9.1 has no reader of request trailers.
            return Ok(None);
        }
        let count = {
            let mut exchange = self.run.exchange.lock();
            exchange.response_trailers_state = MapState::Open;
            exchange
                .response_trailers
                .as_ref()
                .map_or(0, |map| map.len())
        };
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        self.call(slot, Phase::ResponseTrailers, |vm, context| {
            vm.on_response_trailers(context, count)
        })
    }

    fn wants_body(&self, position: usize) -> bool {
        let slot = self.slot_at(position);
        let plugin = &self.run.plan.slots[slot];
        let exported = match self.direction {
            Direction::Request => plugin.request_body,
            Direction::Response => plugin.response_body,
        };
        exported && !matches!(self.run.links[slot], Link::Skipped)
    }

    fn holds_headers(&self, position: usize) -> bool {
        self.run.plan.slots[self.slot_at(position)].hold == Hold::Headers
    }

    fn body_held_max(&self, position: usize) -> usize {
        self.run.plan.slots[self.slot_at(position)].body_held
    }

    fn take_continue(&mut self, position: usize) -> bool {
        let slot = self.slot_at(position);
        let mut exchange = self.run.exchange.lock();
        let signals = &mut exchange.signals[slot];
        match self.direction {
            Direction::Request => std::mem::take(&mut signals.continue_request),
            Direction::Response => std::mem::take(&mut signals.continue_response),
        }
    }

    fn take_injected(&mut self, position: usize) -> Vec<(Bytes, bool)> {
        if !self.run.injected || self.direction == Direction::Request {
            return Vec::new();
        }
        let slot = self.slot_at(position);
        let mut exchange = self.run.exchange.lock();
        let own = |piece: &mut Injected| usize::from(piece.slot) == slot;
        let taken = exchange.injected.extract_if(.., own).collect::<Vec<_>>();
        self.run.injected = !exchange.injected.is_empty();
        let pieces = taken.into_iter();
        pieces.map(|piece| (piece.bytes, piece.end)).collect()
    }

    fn overflow(&mut self, position: usize) -> Verdict {
        Verdict::Overflow {
            slot: self.slot_at(position),
        }
    }

    fn lost(&mut self, position: usize) -> Result<bool, Verdict> {
        let slot = self.slot_at(position);
        if std::mem::take(&mut self.run.exchange.lock().signals[slot].lost) {
            self.run.skip_or_deny(slot)?;
        }
        Ok(matches!(self.run.links[slot], Link::Skipped))
    }
}
