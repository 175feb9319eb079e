//! What a rule set becomes before the first request: everything that can be decided, compiled and numbered once.
//!
//! An exchange then only walks numbers. Three ideas keep it from doing work:
//!
//! - Equal things are one thing: an operator with the same argument, a list of transformations, a variable with the same
//!   key occur once here, however many rules name them.
//! - A *group* is a variable under a list of transformations. An exchange looks at its values once, and asks the
//!   [`prefilter`] which operators could match any of them. For most rules the answer is none, one bit a target.
//! - Markers are places in a phase's list; `skipAfter` and the gates of the paranoia levels are jumps.

pub mod build;
pub mod ctl;
pub mod link;
pub mod macros;
pub mod pipelines;
pub mod prefilter;
pub mod selectors;
pub mod steps;
pub mod tx_names;

use std::collections::HashMap;

use crate::operators::Operator;
use crate::rules::{Disruptive, Metadata, Settings};
use crate::source::Position;
use crate::transformations::UnicodeMap;

pub use build::build;
pub use link::Link;
pub use macros::Macro;
pub use pipelines::Pipelines;
pub use prefilter::Prefilter;
pub use selectors::{Group, Selectors};
pub use steps::{Quick, Step, Steps};
pub use tx_names::TxNames;

/// A compiled rule set. Immutable; every exchange shares it.
#[derive(Debug)]
pub struct Plan {
    pub settings: Settings,
    /// Distinct by name and argument.
    pub operators: Vec<Operator>,
    /// As the rules wrote them, without `@`: `rx ^a`.
    pub operator_texts: Vec<String>,
    pub pipelines: Pipelines,
    pub selectors: Selectors,
    pub prefilter: Prefilter,
    pub tx_names: TxNames,
    /// Of `urlDecodeUni`.
    pub unicode_map: UnicodeMap,
    pub rules: Vec<Rule>,
    /// Of each rule, in the same order.
    pub identities: Vec<Identity>,
    /// What runs in each of the five phases, in order.
    pub phases: [Steps; 5],
    /// Where each id is in `rules`.
    pub by_id: HashMap<u64, usize>,
}

/// A rule with its chain.
#[derive(Debug)]
pub struct Rule {
    pub position: Position,
    pub id: u64,
    /// The rule's own link first, then those of its chain.
    pub links: Vec<Link>,
    pub disruptive: Disruptive,
    pub redirect: Option<Macro>,
    pub status: Option<u16>,
    pub message: Option<Macro>,
    pub logdata: Option<Macro>,
    pub tags: Vec<Macro>,
    pub log: bool,
    pub audit_log: bool,
    /// Steps to leave out after a match.
    pub skip: u32,
    /// Index in the phase's steps to go on with after a match.
    pub jump: Option<usize>,
}

/// What tells one rule from another.
#[derive(Debug)]
pub struct Identity {
    pub id: u64,
    pub metadata: Metadata,
}

impl Identity {
    /// Whether a tag of it, without macros, is `tag`.
    pub fn has_tag(&self, tag: &str) -> bool {
        self.metadata
            .tags
            .iter()
            .any(|text| text.literal() == Some(tag))
    }
}
