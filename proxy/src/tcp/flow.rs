//! The chain of one TCP connection: which plugin sees which bytes next, and what its answer does to them.
//!
//! Bytes of the client pass the plugins first to last, bytes of the origin last to first. What an answer does, row by
//! row as the tests follow it:
//!
//! | callback | answer | what happens |
//! |---|---|---|
//! | new connection | continue | the next plugin is told; after the last one the origin is connected |
//! | new connection | stop | nobody behind is told, and bytes of the client wait, until the plugin continues downstream; a plugin with `hold: headers` is shown them meanwhile, and its continuing them counts |
//! | data | continue | what it sees, as it left it, goes to the next plugin |
//! | data | stop | the bytes stay with the plugin; its next call sees them and what came since |
//! | | `continue_stream` | what the plugin holds goes on, without another call for it; what it held while it stopped the new connection is shown to it first |
//! | the end of one direction | | comes with a call of its own or with the last bytes; goes on when the plugin continues it |

use crate::chain::Body;

/// Which way bytes travel; the ABI's buffers and callbacks have the same names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    /// From the client.
    Downstream = 0,
    /// From the origin.
    Upstream = 1,
}

/// What a plugin's callback answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Continue,
    Stop,
}

/// The plugins as the flow sees them, by slot of the chain.
pub(super) trait Plugins {
    /// Why the connection cannot go on.
    type Stop;

    /// # Errors
    /// The connection has to end.
    fn new_connection(&mut self, slot: usize) -> Result<Answer, Self::Stop>;

    /// Shows what the plugin holds.
    ///
    /// # Errors
    /// The connection has to end.
    fn data(&mut self, slot: usize, direction: Direction, end: bool) -> Result<Answer, Self::Stop>;

    /// Adds to what the plugin holds.
    fn hold(&mut self, slot: usize, direction: Direction, chunk: Body);

    /// Takes what the plugin holds.
    fn release(&mut self, slot: usize, direction: Direction) -> Body;

    /// How much the plugin holds, and how much it may, in bytes.
    fn held(&self, slot: usize, direction: Direction) -> (usize, usize);

    /// Whether bytes are to be shown to it at all.
    fn wants(&self, slot: usize, direction: Direction) -> bool;

    /// Whether it is shown bytes while it stops the new connection.
    fn looks_ahead(&self, slot: usize) -> bool;
}

/// One plugin in one direction.
#[derive(Clone, Copy, Debug, Default)]
struct Stage {
    stopped: bool,
    /// The end has come to it.
    ended: bool,
}

/// Bytes that left the chain.
#[derive(Debug, Default)]
pub(super) struct Out {
    pub(super) bytes: Body,
    /// Nothing comes after them.
    pub(super) ended: bool,
}

/// A plugin that has stopped something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stopped {
    pub(super) slot: usize,
    /// It may be shown more, so it waits for whoever sends rather than the other way round.
    pub(super) more: bool,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Flow {
    /// Plugins that continued the new connection: all before this slot.
    admitted: usize,
    /// The plugin at `admitted` was told of the connection, and stopped it.
    stopped: bool,
    stages: Box<[[Stage; 2]]>,
    out: [Out; 2],
}

impl Flow {
    /// For a chain of `slots` plugins.
    pub(super) fn new(slots: usize) -> Self {
        Self {
            admitted: 0,
            stopped: false,
            stages: vec![[Stage::default(); 2]; slots].into(),
            out: Default::default(),
        }
    }

    /// Whether every plugin continued the new connection: the origin may be connected.
    pub(super) fn is_admitted(&self) -> bool {
        self.admitted == self.stages.len()
    }

    /// Whether bytes of the client would be of use now.
    pub(super) fn reads_client(&self, plugins: &impl Plugins) -> bool {
        (self.is_admitted() || (self.stopped && plugins.looks_ahead(self.admitted)))
            && self.has_room(plugins, Direction::Downstream)
    }

    /// Whether no plugin holds as much as it may.
    pub(super) fn has_room(&self, plugins: &impl Plugins, direction: Direction) -> bool {
        (0..self.stages.len()).all(|slot| {
            let (held, most) = plugins.held(slot, direction);
            held < most
        })
    }

    /// Tells the plugins of the new connection, as far as they let it go.
    ///
    /// # Errors
    /// The connection has to end.
    pub(super) fn begin<P: Plugins>(&mut self, plugins: &mut P) -> Result<(), P::Stop> {
        while !self.is_admitted() && !self.stopped {
            match plugins.new_connection(self.admitted)? {
                Answer::Continue => self.admitted += 1,
                Answer::Stop => self.stopped = true,
            }
        }
        Ok(())
    }

    /// Bytes have come, or the end of what comes.
    ///
    /// # Errors
    /// The connection has to end.
    pub(super) fn push<P: Plugins>(
        &mut self,
        plugins: &mut P,
        direction: Direction,
        chunk: Body,
        end: bool,
    ) -> Result<(), P::Stop> {
        self.travel(plugins, direction, 0, chunk, end)
    }

    /// The plugin lets go on what it has stopped; nothing where it has stopped nothing.
    ///
    /// # Errors
    /// The connection has to end.
    pub(super) fn resume<P: Plugins>(
        &mut self,
        plugins: &mut P,
        slot: usize,
        direction: Direction,
    ) -> Result<(), P::Stop> {
        if direction == Direction::Downstream && self.stopped && slot == self.admitted {
            return self.admit(plugins);
        }
        let stage = &mut self.stages[slot][direction as usize];
        if !std::mem::take(&mut stage.stopped) {
            return Ok(());
        }
        let end = stage.ended;
        let released = plugins.release(slot, direction);
        self.travel(
            plugins,
            direction,
            self.position(slot, direction) + 1,
            released,
            end,
        )
    }

    /// What left the chain since the last time.
    pub(super) fn take(&mut self, direction: Direction) -> Out {
        let out = &mut self.out[direction as usize];
        Out {
            bytes: std::mem::take(&mut out.bytes),
            ended: out.ended,
        }
    }

    /// Every plugin that has stopped the connection or a direction of it.
    pub(super) fn stopped<'a>(
        &'a self,
        plugins: &'a impl Plugins,
    ) -> impl Iterator<Item = Stopped> + 'a {
        let new = (self.stopped).then_some(Stopped {
            slot: self.admitted,
            more: false,
        });
        let stages = self.stages.iter().enumerate();
        let data = stages.flat_map(move |(slot, stages)| {
            let directions = [Direction::Downstream, Direction::Upstream].into_iter();
            directions.filter_map(move |direction| {
                let stage = stages[direction as usize];
                stage.stopped.then(|| {
                    let (held, most) = plugins.held(slot, direction);
                    Stopped {
                        slot,
                        more: !stage.ended && held < most,
                    }
                })
            })
        });
        new.into_iter().chain(data)
    }

    /// The plugin that stopped the new connection continues it: what came meanwhile is shown to it, then the next are told.
    fn admit<P: Plugins>(&mut self, plugins: &mut P) -> Result<(), P::Stop> {
        let slot = self.admitted;
        self.stopped = false;
        self.admitted += 1;
        let looked = std::mem::take(&mut self.stages[slot][0].stopped);
        let end = self.stages[slot][0].ended;
        let released = plugins.release(slot, Direction::Downstream);
        self.begin(plugins)?;
        // What it was shown already it continues unseen.
        let from = if looked { slot + 1 } else { slot };
        self.travel(plugins, Direction::Downstream, from, released, end)
    }

    /// Brings bytes to the plugins from a position on, and what gets through out of the chain.
    fn travel<P: Plugins>(
        &mut self,
        plugins: &mut P,
        direction: Direction,
        from: usize,
        mut chunk: Body,
        end: bool,
    ) -> Result<(), P::Stop> {
        for position in from..self.stages.len() {
            if chunk.is_empty() && !end {
                return Ok(());
            }
            let slot = self.slot(position, direction);
            let waits = direction == Direction::Downstream && slot >= self.admitted;
            if !waits && !plugins.wants(slot, direction) && plugins.held(slot, direction).0 == 0 {
                continue;
            }
            plugins.hold(slot, direction, chunk);
            self.stages[slot][direction as usize].ended |= end;
            if waits && !(self.stopped && plugins.looks_ahead(slot)) {
                return Ok(());
            }
            let answer = plugins.data(slot, direction, end)?;
            let stage = &mut self.stages[slot][direction as usize];
            stage.stopped = answer == Answer::Stop;
            if stage.stopped {
                return Ok(());
            }
            chunk = plugins.release(slot, direction);
            if waits {
                self.stopped = false;
                self.admitted += 1;
                self.begin(plugins)?;
            }
        }
        let out = &mut self.out[direction as usize];
        out.bytes.push(chunk);
        out.ended |= end;
        Ok(())
    }

    fn position(&self, slot: usize, direction: Direction) -> usize {
        match direction {
            Direction::Downstream => slot,
            Direction::Upstream => self.stages.len() - 1 - slot,
        }
    }

    fn slot(&self, position: usize, direction: Direction) -> usize {
        // The way back is the same reflection.
        self.position(position, direction)
    }
}

#[cfg(test)]
#[path = "flow_tests.rs"]
mod tests;
