//! What lets go of what is held.

use super::{Callbacks, Flow, Item, Stop};

impl Flow {
    /// Lets plugins go on that called continue_stream, or whose VM was lost; what they add goes before.
    pub fn resume<C: Callbacks>(&mut self, callbacks: &mut C) -> Result<(), C::Stop> {
        for position in 0..self.gates.len() {
            self.inject(callbacks, position)?;
            if self.gates[position].stop != Stop::None
                && (callbacks.lost(position)? || callbacks.take_continue(position))
            {
                self.open(callbacks, position)?;
            }
        }
        Ok(())
    }

    /// Opens the gate; headers held at it go on to the plugins behind it.
    pub(super) fn pass_headers<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        position: usize,
    ) -> Result<(), C::Stop> {
        let gate = &mut self.gates[position];
        gate.watermark = false;
        match std::mem::take(&mut gate.stop) {
            Stop::Headers { .. } => self.run_headers(callbacks, position + 1),
            Stop::None | Stop::Body | Stop::Rest { .. } | Stop::Trailers => Ok(()),
        }
    }

    /// Body bytes that the plugin has seen go on without another callback of it.
    pub(super) fn release_held<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        position: usize,
    ) -> Result<(), C::Stop> {
        let gate = &mut self.gates[position];
        let bytes = std::mem::take(&mut gate.held).into_bytes();
        let end = std::mem::take(&mut gate.held_end);
        if bytes.is_empty() && !end {
            return Ok(());
        }
        self.feed(callbacks, position + 1, Item::Data { bytes, end })
    }

    /// continue_stream: everything kept at `position` goes on.
    pub(super) fn open<C: Callbacks>(
        &mut self,
        callbacks: &mut C,
        position: usize,
    ) -> Result<(), C::Stop> {
        self.pass_headers(callbacks, position)?;
        self.release_held(callbacks, position)?;
        let gate = &mut self.gates[position];
        gate.inbox_bytes = 0;
        let unseen = std::mem::take(&mut gate.inbox);
        if std::mem::take(&mut gate.held_trailers) {
            self.feed(callbacks, position + 1, Item::Trailers)?;
        }
        for item in unseen {
            self.feed(callbacks, position, item)?;
        }
        Ok(())
    }
}
