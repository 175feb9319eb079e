//! The chain of one exchange: which plugin runs next, and what its answer does to the message.
//!
//! A message (a request, or a response) is a head, then body chunks, then perhaps trailers. Each of these items goes
//! through the plugins in order (requests first to last, responses last to first) and leaves the chain at its end.
//! What a plugin's answer does, row by row as the tests of [`flow`] follow it:
//!
//! | callback | answer | the item | what comes after it |
//! |---|---|---|---|
//! | headers | Continue | goes on | goes on |
//! | headers | Continue, `hold: headers`, a body follows | waits for this plugin's body verdict | body callbacks run |
//! | headers | StopIteration, `hold: stream` | waits for continue_stream | is not read, no body callback |
//! | headers | StopIteration, `hold: headers` | waits for the body verdict or continue_stream | body callbacks run |
//! | headers | StopAllIterationAndBuffer | waits for continue_stream | is read and kept up to `body_held`, no body callback |
//! | headers | StopAllIterationAndWatermark | the same | is not read |
//! | headers | ContinueAndEndStream | goes on (as Envoy takes it) | goes on |
//! | body | Continue | goes on, with headers held here before it | goes on |
//! | body | StopIterationAndBuffer | is kept; the next callback sees all of it | callbacks go on, up to `body_held` |
//! | body | StopIterationAndWatermark | the same | reading stops at `body_held` |
//! | body | StopIterationNoBuffer | what the plugin left of it is dropped | callbacks go on |
//! | trailers | Continue | all that is kept here goes on | |
//! | trailers | StopIteration | waits for continue_stream | |
//! | any | the plugin adds body bytes | headers held here go on before them, the rest stays held | they go on before it; with an end nothing more does |
//! | any | a local reply, or a fault by `deny` | the message ends | the reply takes its place |
//! | any | a fault by `skip` | goes on as if the plugin were not there | goes on |
//!
//! [`flow`] is that table and nothing else: it knows no VM, no socket and no clock. [`run`] makes the callbacks.

pub mod body;
pub mod flow;
pub mod link;
pub mod message;
pub mod plan;
pub mod run;

pub use body::Body;
pub use flow::{Direction, Flow, Item};
pub use link::Link;
pub use message::Message;
pub use plan::{Plan, Slot};
pub use run::{Run, Verdict};
