//! What rules do to exchanges, by small rule sets.

mod chains;
mod collections;
mod control;
mod logs;
mod phases;
mod support;
mod tunings;
mod values;
