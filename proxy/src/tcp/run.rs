//! The plugins of one connection at work: binds VMs, makes the callbacks, tells what ends the connection.

use std::sync::Arc;
use std::time::Instant;

use parking_lot::Mutex;
use portcullis_abi::stream::SharedStream;
use portcullis_abi::vm::{ContextId, Fault, Vm};
use portcullis_abi::wire::types::{ConnectionAction, PeerType};
use portcullis_config::model::{Hold, OnFault};

use super::flow::{Answer, Direction, Plugins};
use super::relay::Relay;
use super::view::View;
use crate::chain::{Body, Link, Plan, Slot};
use crate::metrics::{ConnectionEnd, Phase};

/// One plugin of the connection.
struct Place {
    link: Link,
    view: Arc<Mutex<View>>,
    /// When it was last called.
    called: Instant,
    /// It was told that the origin's connection is closed.
    told: bool,
}

/// The plugins of one connection.
pub(super) struct Run {
    plan: Arc<Plan>,
    places: Vec<Place>,
    pub(super) relay: Arc<Mutex<Relay>>,
    /// Faults in this connection, for the access log.
    pub(super) faults: u32,
}

impl Run {
    /// Binds a VM of each plugin: the connection stays with them for its whole life.
    ///
    /// # Errors
    /// A plugin that denies without a VM (it keeps failing, or is being replaced for longer than it may pause).
    pub(super) async fn bind(
        plan: Arc<Plan>,
        relay: Arc<Mutex<Relay>>,
    ) -> Result<Self, ConnectionEnd> {
        let mut places = Vec::with_capacity(plan.slots.len());
        for slot in &plan.slots {
            let link = Link::bind(slot).await.ok_or(ConnectionEnd::FilterFault)?;
            places.push(Place {
                link,
                view: Arc::new(Mutex::new(View::new(relay.clone(), slot.body_held))),
                called: Instant::now(),
                told: false,
            });
        }
        Ok(Self {
            plan,
            places,
            relay,
            faults: 0,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn slot(&self, slot: usize) -> &Slot {
        &self.plan.slots[slot]
    }

    /// When the plugin was last called.
    pub(super) fn called(&self, slot: usize) -> Instant {
        self.places[slot].called
    }

    /// What the plugin wants to let go on, by [`Direction`]; it is forgotten with that. A plugin whose VM is gone lets
    /// everything go on, where it is to be skipped.
    ///
    /// # Errors
    /// The connection has to end.
    pub(super) fn take_continued(&mut self, slot: usize) -> Result<[bool; 2], ConnectionEnd> {
        self.check(slot)?;
        if std::mem::take(&mut self.places[slot].view.lock().signals.lost) {
            self.skip_or_deny(slot)?;
            return Ok([true, true]);
        }
        Ok(std::mem::take(
            &mut self.places[slot].view.lock().signals.continued,
        ))
    }

    /// The origin's connection is closed, where there was one, then the client's; then everything ends. A fault only counts.
    pub(super) fn end(&mut self, client: PeerType, origin: Option<PeerType>) {
        for slot in 0..self.places.len() {
            if let Some(peer) = origin {
                let _ = self.tell_origin_closed(slot, peer);
            }
            let _ = self.tell(slot, Phase::ConnectionClose, |vm, context| {
                vm.on_downstream_connection_close(context, client)
            });
        }
        for slot in 0..self.places.len() {
            let _ = self.tell(slot, Phase::Log, |vm, context| vm.end_stream(context));
            self.places[slot].link = Link::Skipped;
        }
    }

    /// Once for each plugin.
    fn tell_origin_closed(&mut self, slot: usize, peer: PeerType) -> Result<(), ConnectionEnd> {
        if std::mem::replace(&mut self.places[slot].told, true) {
            return Ok(());
        }
        self.tell(slot, Phase::ConnectionClose, |vm, context| {
            vm.on_upstream_connection_close(context, peer)
        })
    }

    /// A callback without an answer, for a plugin that has a context.
    fn tell(
        &mut self,
        slot: usize,
        phase: Phase,
        callback: impl FnOnce(&Arc<Vm>, ContextId) -> Result<(), Fault>,
    ) -> Result<(), ConnectionEnd> {
        let Link::Live(vm, context) = &self.places[slot].link else {
            return Ok(());
        };
        let (vm, context) = (vm.clone(), *context);
        let started = Instant::now();
        let told = callback(&vm, context);
        self.plan.slots[slot]
            .metrics
            .observe(phase, started.elapsed());
        match told {
            Ok(()) => Ok(()),
            Err(fault) => self.failed(slot, &vm, &fault),
        }
    }

    /// A callback that answers. `None`: the plugin is skipped.
    fn call(
        &mut self,
        slot: usize,
        phase: Phase,
        callback: impl FnOnce(&Arc<Vm>, ContextId) -> Result<ConnectionAction, Fault>,
    ) -> Result<Option<Answer>, ConnectionEnd> {
        let Some((vm, context)) = self.link(slot)? else {
            return Ok(None);
        };
        let started = Instant::now();
        let answer = callback(&vm, context);
        self.plan.slots[slot]
            .metrics
            .observe(phase, started.elapsed());
        self.places[slot].called = Instant::now();
        match answer {
            Ok(action) => {
                self.check(slot)?;
                Ok(Some(match action {
                    ConnectionAction::Continue => Answer::Continue,
                    ConnectionAction::StopIteration => Answer::Stop,
                }))
            }
            Err(fault) => self.failed(slot, &vm, &fault).map(|()| None),
        }
    }

    fn link(&mut self, slot: usize) -> Result<Option<(Arc<Vm>, ContextId)>, ConnectionEnd> {
        let place = &mut self.places[slot];
        let stream: SharedStream = place.view.clone();
        match place.link.context(&self.plan.slots[slot], slot, &stream) {
            Ok(context) => Ok(context),
            Err((vm, fault)) => self.failed(slot, &vm, &fault).map(|()| None),
        }
    }

    /// A fault of this plugin: the connection goes on without it, or ends.
    fn failed(&mut self, slot: usize, vm: &Arc<Vm>, fault: &Fault) -> Result<(), ConnectionEnd> {
        self.plan.slots[slot].pool.faulted(vm, fault);
        // Its own fault tells the view too: once is enough.
        self.places[slot].view.lock().signals.lost = false;
        self.skip_or_deny(slot)
    }

    fn skip_or_deny(&mut self, slot: usize) -> Result<(), ConnectionEnd> {
        self.places[slot].link = Link::Skipped;
        self.faults += 1;
        match self.plan.slots[slot].on_fault {
            OnFault::Skip => Ok(()),
            OnFault::Deny => Err(ConnectionEnd::FilterFault),
        }
    }

    /// What the plugin asked for beside its answer.
    fn check(&mut self, slot: usize) -> Result<(), ConnectionEnd> {
        if self.places[slot].view.lock().signals.overflowed {
            return Err(ConnectionEnd::FilterOverflow);
        }
        match self.relay.lock().closed_by {
            Some(_) => Err(ConnectionEnd::FilterClosed),
            None => Ok(()),
        }
    }
}

impl Plugins for Run {
    type Stop = ConnectionEnd;

    fn new_connection(&mut self, slot: usize) -> Result<Answer, ConnectionEnd> {
        let answer = self.call(slot, Phase::NewConnection, |vm, context| {
            vm.on_new_connection(context)
        })?;
        Ok(self.outdone(slot, Direction::Downstream, answer))
    }

    fn data(
        &mut self,
        slot: usize,
        direction: Direction,
        end: bool,
    ) -> Result<Answer, ConnectionEnd> {
        let size = u32::try_from(self.held(slot, direction).0).unwrap_or(u32::MAX);
        let answer = match direction {
            Direction::Downstream => self.call(slot, Phase::DownstreamData, |vm, context| {
                vm.on_downstream_data(context, size, end)
            }),
            Direction::Upstream => self.call(slot, Phase::UpstreamData, |vm, context| {
                vm.on_upstream_data(context, size, end)
            }),
        }?;
        if direction == Direction::Upstream && end {
            // Envoy's order: the end of its bytes, then of its connection, though that may be open for the client's.
            self.tell_origin_closed(slot, PeerType::Remote)?;
            self.check(slot)?;
        }
        Ok(self.outdone(slot, direction, answer))
    }

    fn hold(&mut self, slot: usize, direction: Direction, chunk: Body) {
        let mut view = self.places[slot].view.lock();
        view.held[direction as usize]
            .get_or_insert_default()
            .push(chunk);
    }

    fn release(&mut self, slot: usize, direction: Direction) -> Body {
        let mut view = self.places[slot].view.lock();
        view.held[direction as usize].take().unwrap_or_default()
    }

    fn held(&self, slot: usize, direction: Direction) -> (usize, usize) {
        self.places[slot].view.lock().held_bytes(direction)
    }

    fn wants(&self, slot: usize, _: Direction) -> bool {
        !matches!(self.places[slot].link, Link::Skipped)
    }

    fn looks_ahead(&self, slot: usize) -> bool {
        self.plan.slots[slot].hold == Hold::Headers
            && !matches!(self.places[slot].link, Link::Skipped)
    }
}

impl Run {
    /// A plugin that continued within the callback it stopped did not stop it; one that is skipped stops nothing.
    fn outdone(&mut self, slot: usize, direction: Direction, answer: Option<Answer>) -> Answer {
        let mut view = self.places[slot].view.lock();
        let continued = std::mem::take(&mut view.signals.continued[direction as usize]);
        match answer {
            Some(Answer::Stop) if !continued => Answer::Stop,
            Some(_) | None => Answer::Continue,
        }
    }
}
