//! The callbacks of a TCP connection. Its life ends, like an exchange's, with [`Vm::end_stream`].

use std::sync::Arc;

use wasmtime::TypedFunc;

use super::super::exports::Exports;
use super::{ContextId, Entry, Fault, Vm};
use crate::wire::types::{ConnectionAction, PeerType};

/// Context, and who closed.
type OnClose = TypedFunc<(u32, u32), ()>;

impl Vm {
    /// A client has connected.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_new_connection(
        self: &Arc<Self>,
        context: ContextId,
    ) -> Result<ConnectionAction, Fault> {
        self.ask(
            "proxy_on_new_connection",
            context,
            |exports| exports.new_connection.as_ref(),
            context.0,
        )
        .map(connection_action)
    }

    /// Bytes of the client; `size` is the number of those now visible.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_downstream_data(
        self: &Arc<Self>,
        context: ContextId,
        size: u32,
        end_of_stream: bool,
    ) -> Result<ConnectionAction, Fault> {
        self.ask(
            "proxy_on_downstream_data",
            context,
            |exports| exports.downstream_data.as_ref(),
            (context.0, size, u32::from(end_of_stream)),
        )
        .map(connection_action)
    }

    /// Bytes of the origin; `size` is the number of those now visible.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_upstream_data(
        self: &Arc<Self>,
        context: ContextId,
        size: u32,
        end_of_stream: bool,
    ) -> Result<ConnectionAction, Fault> {
        self.ask(
            "proxy_on_upstream_data",
            context,
            |exports| exports.upstream_data.as_ref(),
            (context.0, size, u32::from(end_of_stream)),
        )
        .map(connection_action)
    }

    /// The client's connection is closed, by `peer`.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_downstream_connection_close(
        self: &Arc<Self>,
        context: ContextId,
        peer: PeerType,
    ) -> Result<(), Fault> {
        self.tell_close(
            "proxy_on_downstream_connection_close",
            context,
            peer,
            |exports| exports.downstream_connection_close.as_ref(),
        )
    }

    /// The connection to the origin is closed, by `peer`; from Remote on its bytes have ended, though the client may
    /// still be sending.
    ///
    /// # Errors
    /// A fault, now or before.
    pub fn on_upstream_connection_close(
        self: &Arc<Self>,
        context: ContextId,
        peer: PeerType,
    ) -> Result<(), Fault> {
        self.tell_close(
            "proxy_on_upstream_connection_close",
            context,
            peer,
            |exports| exports.upstream_connection_close.as_ref(),
        )
    }

    fn tell_close(
        self: &Arc<Self>,
        callback: &'static str,
        context: ContextId,
        peer: PeerType,
        select: fn(&Exports) -> Option<&OnClose>,
    ) -> Result<(), Fault> {
        self.run(
            callback,
            Entry::Context(context),
            |live, context| match select(&live.exports) {
                Some(callback) => callback.call(&mut live.store, (context.0, peer.number())),
                None => Ok(()),
            },
        )?;
        Ok(())
    }
}

/// Unknown numbers hold the bytes: none of them gets past a filter that wanted to stop it.
fn connection_action(answer: u32) -> ConnectionAction {
    match answer {
        0 => ConnectionAction::Continue,
        _ => ConnectionAction::StopIteration,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_continue_stops() {
        assert_eq!(connection_action(0), ConnectionAction::Continue);
        for answer in [1, 2, 3, u32::MAX] {
            assert_eq!(connection_action(answer), ConnectionAction::StopIteration);
        }
    }
}
