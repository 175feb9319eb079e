//! A route's chain, ready to run.

use std::sync::Arc;
use std::time::Duration;

use portcullis_config::model::{FilterId, Hold, OnFault};

use crate::metrics::FilterMetrics;
use crate::pool::Pool;

/// The plugins of a route in request order.
#[derive(Debug, Default)]
pub struct Plan {
    pub slots: Vec<Slot>,
    /// Some plugin may change a request body: its length is only known at its end.
    pub edits_request_body: bool,
    pub edits_response_body: bool,
}

/// One plugin in a chain.
#[derive(Debug)]
pub struct Slot {
    pub filter: FilterId,
    pub pool: Arc<Pool>,
    /// Which root context: the plugin's own configuration, or a route's override.
    pub root: usize,
    pub reroute: bool,
    pub hold: Hold,
    pub on_fault: OnFault,
    /// Wall time it may hold an exchange.
    pub pause: Duration,
    /// Bytes kept back for it.
    pub body_held: usize,
    /// What its module exports.
    pub request_body: bool,
    pub response_body: bool,
    /// Whether it may change a body: it has a callback for it, a grant, and is not known never to; or it may add to one
    /// of its own accord.
    pub edits_request_body: bool,
    pub edits_response_body: bool,
    pub metrics: Arc<FilterMetrics>,
}

impl Plan {
    /// The chain of these plugins.
    pub fn new(slots: Vec<Slot>) -> Self {
        Self {
            edits_request_body: slots.iter().any(|slot| slot.edits_request_body),
            edits_response_body: slots.iter().any(|slot| slot.edits_response_body),
            slots,
        }
    }

    /// Whether both run the same plugins in the same way.
    pub fn is_same(&self, other: &Self) -> bool {
        let same = |(one, two): (&Slot, &Slot)| {
            Arc::ptr_eq(&one.pool, &two.pool)
                && (one.root, one.hold, one.on_fault) == (two.root, two.hold, two.on_fault)
                && (one.pause, one.body_held) == (two.pause, two.body_held)
        };
        self.slots.len() == other.slots.len() && self.slots.iter().zip(&other.slots).all(same)
    }
}
