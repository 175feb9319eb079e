//! A rule without what belongs to its chain as a whole.

use crate::plan::Macro;
use crate::plan::ctl::Ctl;
use crate::plan::selectors::Matcher;
use crate::variables::Variable;

/// One test and what follows when it holds.
#[derive(Debug)]
pub struct Link {
    /// `None`: it always holds.
    pub test: Option<Test>,
    /// At every value that matches, in order.
    pub actions: Vec<Action>,
    /// What was found goes to `TX:0` to `TX:9`.
    pub capture: bool,
}

/// An operator over values.
#[derive(Debug)]
pub struct Test {
    pub targets: Vec<Target>,
    /// Taken out of the targets.
    pub exclusions: Vec<Exclusion>,
    /// Index in the plan's operators.
    pub operator: usize,
    pub negated: bool,
    /// The operator's argument, where it has macros.
    pub argument: Option<Macro>,
    /// `multiMatch`: the lists with none, one, two ... of the transformations. Else the whole list alone.
    pub pipelines: Vec<usize>,
}

/// What an operator looks at.
#[derive(Debug)]
pub struct Target {
    pub variable: Variable,
    pub selector: usize,
    /// One for each of [`Test::pipelines`]; empty where the members are read anew each time.
    pub groups: Vec<usize>,
    /// One member of `TX` and no transformation: its number.
    pub tx: Option<usize>,
    /// How many there are, instead of what they are.
    pub count: bool,
}

/// Members that are not looked at.
#[derive(Debug)]
pub struct Exclusion {
    pub variable: Variable,
    pub key: Matcher,
}

impl Exclusion {
    /// Whether a member is meant.
    pub fn covers(&self, variable: Variable, name: &[u8]) -> bool {
        self.variable == variable && self.key.matches(name)
    }
}

/// An action, its texts ready to be expanded.
#[derive(Debug)]
pub enum Action {
    SetVar {
        collection: Variable,
        key: Name,
        change: Change,
    },
    ExpireVar {
        collection: Variable,
        key: Macro,
        seconds: Macro,
    },
    DeprecateVar {
        collection: Variable,
        key: Macro,
        amount: u32,
        seconds: u32,
    },
    InitCol {
        collection: Variable,
        key: Macro,
        /// `setsid`, `setuid`, `setrsc`: the key is also the identity.
        identity: bool,
    },
    SetEnv {
        name: Box<str>,
        value: Macro,
    },
    Ctl(Ctl),
}

/// The name of a variable to change.
#[derive(Debug)]
pub enum Name {
    /// Of `TX`, by its number.
    Tx(usize),
    /// Found out each time.
    Text(Macro),
}

/// What becomes of a variable.
#[derive(Debug)]
pub enum Change {
    Set(Macro),
    Add(Macro),
    Subtract(Macro),
    Remove,
}
