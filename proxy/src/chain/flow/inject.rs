//! What plugins add to a message of their own accord: it goes to those behind them only.

use bytes::Bytes;

use super::{Callbacks, Flow, Gate, Item, Stop};

impl Flow {
    /// Lets in what the plugin at `position` has added since this was last asked. Before it has seen the headers there
    /// is nothing to add to.
    pub(super) fn inject<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        position: usize,
    ) -> Result<(), C::Stop> {
        if position > self.headers_at {
            return Ok(());
        }
        let pieces = callbacks.take_injected(position);
        self.insert(callbacks, position, pieces)
    }

    /// Headers that are held at `position` go on before the first piece; what else is held there stays.
    pub(super) fn insert<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        position: usize,
        pieces: Vec<(Bytes, bool)>,
    ) -> Result<(), C::Stop> {
        for (bytes, end) in pieces {
            if self.has_ended(position) {
                return Ok(());
            }
            let gate = &mut self.gates[position];
            if let Stop::Headers { body, reads } = gate.stop {
                gate.stop = if body {
                    Stop::Body
                } else {
                    Stop::Rest { reads }
                };
                // A message without a body has one now; it ends when the plugin goes on.
                gate.held_end |= std::mem::take(&mut self.headers_end);
                self.run_headers(callbacks, position + 1)?;
            }
            if end {
                self.ended_at = Some(position);
                self.gates[..=position].fill_with(Gate::default);
            }
            self.feed(callbacks, position + 1, Item::Data { bytes, end })?;
        }
        Ok(())
    }

    /// Whether a plugin has ended the message, for those up to `position`: what is still to come is nobody's.
    pub(super) fn has_ended(&self, position: usize) -> bool {
        self.ended_at.is_some_and(|ended| position <= ended)
    }

    /// Whether a plugin has ended the message before its sender did.
    pub fn ended_early(&self) -> bool {
        self.ended_at.is_some()
    }
}
