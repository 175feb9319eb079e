//! A rule set as it was meant: parsed, with default actions applied, and rules removed and updated as directives say.
//! The plan is made from this.

pub mod actions;
pub mod settings;
pub mod text;

use crate::source::Position;
use crate::transformations::Transformation;
use crate::variables::Variable;

pub use actions::{Action, Disruptive};
pub use settings::Settings;
pub use text::Text;

/// Everything that a set of files says.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    pub settings: Settings,
    /// In the order of the files: it is the order of evaluation within a phase.
    pub entries: Vec<Entry>,
}

/// One line of the order of evaluation.
#[derive(Clone, Debug)]
pub enum Entry {
    Rule(Box<Rule>),
    /// `SecMarker`: where `skipAfter` may lead.
    Marker(String),
}

/// When rules run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Phase {
    /// 1
    RequestHeaders,
    /// 2
    RequestBody,
    /// 3
    ResponseHeaders,
    /// 4
    ResponseBody,
    /// 5
    Logging,
}

impl Phase {
    /// In order.
    pub const ALL: [Self; 5] = [
        Self::RequestHeaders,
        Self::RequestBody,
        Self::ResponseHeaders,
        Self::ResponseBody,
        Self::Logging,
    ];

    /// 1 to 5.
    pub fn number(self) -> u8 {
        self as u8 + 1
    }
}

/// `SecRule` or `SecAction`, with the members of its chain.
#[derive(Clone, Debug)]
pub struct Rule {
    pub position: Position,
    /// 0 for the members of a chain after the first.
    pub id: u64,
    pub phase: Phase,
    /// Empty for `SecAction`.
    pub targets: Vec<Target>,
    /// `None` for `SecAction`, which always matches.
    pub operator: Option<Operator>,
    /// What remains after `t:none`.
    pub transformations: Vec<Transformation>,
    /// The operator is tried on the value before, between and after the transformations.
    pub multi_match: bool,
    /// Groups of `@rx` (and what other operators found) go to `TX:0` to `TX:9`.
    pub capture: bool,
    /// `setvar`, `ctl`, `initcol` and the like, in order.
    pub actions: Vec<Action>,
    /// What the whole chain does when it matches; `block` is already replaced by the default action.
    pub disruptive: Disruptive,
    /// `status` for a denial without one of its own.
    pub status: Option<u16>,
    pub metadata: Metadata,
    pub log: bool,
    pub audit_log: bool,
    /// `skip:n`: rules of the phase to leave out after a match.
    pub skip: u32,
    pub skip_after: Option<String>,
    /// The members of the chain after this one, in order. Only the first rule of a chain has any.
    pub chain: Vec<Self>,
}

/// What describes a rule to people.
#[derive(Clone, Debug, Default)]
pub struct Metadata {
    pub message: Option<Text>,
    pub logdata: Option<Text>,
    pub tags: Vec<Text>,
    /// 0 (emergency) to 7 (debug).
    pub severity: Option<u8>,
    pub version: Option<String>,
    pub revision: Option<String>,
    pub maturity: Option<u8>,
    pub accuracy: Option<u8>,
}

/// What an operator looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    pub variable: Variable,
    pub key: Key,
    /// `&ARGS`: how many there are, instead of what they are.
    pub count: bool,
    /// `!ARGS:q`: taken out of what the other targets of the rule name.
    pub exclude: bool,
}

/// Which members of a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    All,
    /// By name; case is ignored in all collections, as in ModSecurity.
    Name(String),
    /// `ARGS:/^json\./`: the text between the slashes.
    Regex(String),
    /// Of `XML`.
    XPath(String),
}

/// `"!@rx foo"` before it is compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// Of the operator's text, for what compiling it may find.
    pub position: Position,
    pub negated: bool,
    /// Without `@`, as the language spells it; `rx` where the rule names none.
    pub name: String,
    /// All after the name and the white space that follows it, as the quotes left it. Of `@pmFromDataset` and
    /// `@ipMatchFromDataset` the records themselves, one a line.
    pub argument: String,
}
