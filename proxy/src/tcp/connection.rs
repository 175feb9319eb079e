//! The life of one TCP connection: admitted by its plugins, connected to an origin, its bytes relayed, ended.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use parking_lot::Mutex;
use portcullis_abi::wire::types::PeerType;
use tokio::sync::Notify;

use super::connect::Connector;
use super::flow::{Direction, Flow};
use super::relay::Relay;
use super::run::Run;
use super::side::Side;
use crate::chain::Body;
use crate::listener::Alarm;
use crate::metrics::{ConnectionEnd, ListenerMetrics};

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Client,
    Origin,
}

impl Who {
    fn other(self) -> Self {
        match self {
            Self::Client => Self::Origin,
            Self::Origin => Self::Client,
        }
    }
}

/// What a connection may wait for.
enum Event {
    /// `None`: the end.
    Read(Who, Option<Bytes>),
    /// Bytes, or the end, went out.
    Wrote(Who, usize),
    Failed(Who, io::Error),
    /// A plugin asked for something.
    Woken,
    /// It has to end by this time, for this reason.
    Ending((Instant, ConnectionEnd)),
    /// The time of [`Conn::deadline`] has come.
    Late(ConnectionEnd),
}

/// See the module.
pub(super) struct Conn {
    client: Side,
    origin: Option<Side>,
    flow: Flow,
    run: Run,
    relay: Arc<Mutex<Relay>>,
    wake: Arc<Notify>,
    metrics: Arc<ListenerMetrics>,
    idle_timeout: std::time::Duration,
    /// When a byte was last read or written.
    active: Instant,
    /// When it has to end, because its configuration or the process ends.
    until: Option<(Instant, ConnectionEnd)>,
    alarm: Alarm,
    /// Who is looked at first next time.
    turn: Who,
    /// The client's end came after this proxy's.
    client_was_last: bool,
}

impl Conn {
    pub(super) fn new(client: Side, run: Run, metrics: Arc<ListenerMetrics>) -> Self {
        let relay = run.relay.clone();
        let (wake, idle_timeout) = {
            let relay = relay.lock();
            let limits = &relay.connection.listener.config.limits;
            (relay.wake.clone(), limits.idle_timeout)
        };
        Self {
            client,
            origin: None,
            flow: Flow::new(run.len()),
            run,
            relay,
            wake,
            metrics,
            idle_timeout,
            active: Instant::now(),
            until: None,
            alarm: Alarm::default(),
            turn: Who::Client,
            client_was_last: false,
        }
    }

    /// Relays until there is a reason to end. `ending` says once by which time it has to; the origin is connected when
    /// all plugins have admitted the connection.
    pub(super) async fn run(
        &mut self,
        ending: impl Future<Output = (Instant, ConnectionEnd)>,
        connector: Connector,
    ) -> ConnectionEnd {
        let mut connector = Some(connector);
        let mut ending = std::pin::pin!(ending);
        let wake = self.wake.clone();
        let mut step = self.flow.begin(&mut self.run);
        loop {
            if let Err(end) = step.and_then(|()| self.settle()) {
                return end;
            }
            if self.flow.is_admitted()
                && let Some(connector) = connector.take()
            {
                let connected = connector.connect(&self.relay).await;
                step = connected.map(|side| self.origin = Some(side));
                self.active = Instant::now();
                continue;
            }
            let unhurried = self.until.is_none();
            let event = tokio::select! {
                biased;
                until = &mut ending, if unhurried => Event::Ending(until),
                () = wake.notified() => Event::Woken,
                event = poll_fn(|cx| self.poll(cx)) => event,
            };
            step = self.handle(event);
        }
    }

    /// Lets go on what plugins have continued meanwhile, and hands to the sides what left the chain.
    fn settle(&mut self) -> Result<(), ConnectionEnd> {
        for slot in 0..self.run.len() {
            let [downstream, upstream] = self.run.take_continued(slot)?;
            if downstream {
                self.flow
                    .resume(&mut self.run, slot, Direction::Downstream)?;
            }
            if upstream {
                self.flow.resume(&mut self.run, slot, Direction::Upstream)?;
            }
        }
        self.client.push(self.flow.take(Direction::Upstream));
        if let Some(origin) = &mut self.origin {
            origin.push(self.flow.take(Direction::Downstream));
            if self.client.is_over() && origin.is_over() {
                return Err(ConnectionEnd::Closed);
            }
        }
        Ok(())
    }

    fn handle(&mut self, event: Event) -> Result<(), ConnectionEnd> {
        match event {
            Event::Read(who, bytes) => self.read(who, bytes),
            Event::Wrote(Who::Client, bytes) => {
                self.active = Instant::now();
                self.metrics.sent(bytes);
                self.relay.lock().sent += bytes as u64;
                Ok(())
            }
            Event::Wrote(Who::Origin, _) => {
                self.active = Instant::now();
                Ok(())
            }
            Event::Failed(Who::Client, error) => {
                tracing::debug!(%error, "the client's connection broke");
                Err(ConnectionEnd::ClientReset)
            }
            Event::Failed(Who::Origin, error) => {
                tracing::debug!(%error, "the origin's connection broke");
                Err(ConnectionEnd::OriginReset)
            }
            Event::Woken => Ok(()),
            Event::Ending(until) => {
                self.until = Some(until);
                Ok(())
            }
            Event::Late(end) => Err(end),
        }
    }

    fn read(&mut self, who: Who, bytes: Option<Bytes>) -> Result<(), ConnectionEnd> {
        self.active = Instant::now();
        let end = bytes.is_none();
        let bytes = bytes.unwrap_or_default();
        let direction = match who {
            Who::Client => {
                self.metrics.received(bytes.len());
                self.relay.lock().received += bytes.len() as u64;
                self.client_was_last |= end && self.client.is_finished();
                Direction::Downstream
            }
            Who::Origin => Direction::Upstream,
        };
        self.flow
            .push(&mut self.run, direction, Body::from(bytes), end)
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        let turn = self.turn;
        for who in [turn, turn.other()] {
            if let Poll::Ready(event) = self.poll_side(who, cx) {
                // Whoever always has something must not keep the other waiting.
                self.turn = who.other();
                return Poll::Ready(event);
            }
        }
        let (deadline, end) = self.deadline();
        self.alarm
            .poll(cx, deadline.into())
            .map(|()| Event::Late(end))
    }

    fn poll_side(&mut self, who: Who, cx: &mut Context<'_>) -> Poll<Event> {
        let reads = self.reads(who);
        let side = match (who, &mut self.origin) {
            (Who::Client, _) => &mut self.client,
            (Who::Origin, Some(origin)) => origin,
            (Who::Origin, None) => return Poll::Pending,
        };
        match side.poll_write(cx) {
            Poll::Ready(Ok(bytes)) => return Poll::Ready(Event::Wrote(who, bytes)),
            Poll::Ready(Err(error)) => return Poll::Ready(Event::Failed(who, error)),
            Poll::Pending => {}
        }
        if !reads {
            return Poll::Pending;
        }
        side.poll_read(cx).map(|read| match read {
            Ok(bytes) => Event::Read(who, bytes),
            Err(error) => Event::Failed(who, error),
        })
    }

    /// Whether bytes of that side are wanted now: where they would have to be kept, they stay with the system, and the
    /// sender waits.
    fn reads(&self, who: Who) -> bool {
        match (who, &self.origin) {
            (Who::Client, origin) => {
                !self.client.has_ended()
                    && origin.as_ref().is_none_or(Side::has_room)
                    && self.flow.reads_client(&self.run)
            }
            (Who::Origin, Some(origin)) => {
                !origin.has_ended()
                    && self.client.has_room()
                    && self.flow.has_room(&self.run, Direction::Upstream)
            }
            (Who::Origin, None) => false,
        }
    }

    /// The next time something has taken too long, and what.
    fn deadline(&self) -> (Instant, ConnectionEnd) {
        let idle = (self.active + self.idle_timeout, ConnectionEnd::IdleTimeout);
        // A plugin that may be shown more waits for whoever sends, not the other way round.
        let stuck = self.flow.stopped(&self.run).filter(|stopped| !stopped.more);
        let stuck = stuck.map(|stopped| {
            let since = self.run.called(stopped.slot);
            (
                since + self.run.slot(stopped.slot).pause,
                ConnectionEnd::FilterTimeout,
            )
        });
        let all = stuck.chain([idle]).chain(self.until);
        all.min_by_key(|(deadline, _)| *deadline).unwrap_or(idle)
    }

    /// Ends it: the sockets first, so that nothing more is forwarded, then the plugins. The future is what is left to do
    /// for an orderly end.
    pub(super) fn end(&mut self, end: ConnectionEnd) -> u32 {
        let client = match end {
            ConnectionEnd::ClientReset => PeerType::Remote,
            ConnectionEnd::Closed if self.client_was_last => PeerType::Remote,
            _ => PeerType::Local,
        };
        let origin = self.origin.as_ref().map(|_| match end {
            ConnectionEnd::OriginReset => PeerType::Remote,
            _ => PeerType::Local,
        });
        self.run.end(client, origin);
        self.run.faults
    }

    /// Closes the sockets, as the end demands.
    pub(super) async fn close(self, end: ConnectionEnd) {
        let Self { client, origin, .. } = self;
        match end {
            // Both have said and heard that nothing follows, or nothing has happened for long.
            ConnectionEnd::Closed | ConnectionEnd::IdleTimeout => {}
            ConnectionEnd::FilterClosed => {
                let origin = async {
                    if let Some(origin) = origin {
                        origin.close().await;
                    }
                };
                tokio::join!(client.close(), origin);
            }
            _ => {
                client.reset();
                if let Some(origin) = origin {
                    origin.reset();
                }
            }
        }
    }
}
