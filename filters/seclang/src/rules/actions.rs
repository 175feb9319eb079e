//! What a rule does when it matches.

use super::Target;
use super::text::Text;
use crate::variables::Variable;

/// Whether the exchange goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Disruptive {
    #[default]
    Pass,
    /// Answered with the rule's status, 403 without one.
    Deny,
    /// The connection is closed without an answer.
    Drop,
    Redirect(Text),
    Allow(Allow),
}

/// What `allow` lets by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allow {
    /// All further phases but logging.
    All,
    /// The rest of this phase.
    Phase,
    /// The rest of the request phases.
    Request,
}

/// An action without a verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    SetVar(SetVar),
    /// `expirevar:ip.blocked=60`, seconds.
    ExpireVar {
        collection: Variable,
        key: Text,
        seconds: Text,
    },
    /// `deprecatevar:ip.score=60/300`: 60 less every 300 seconds.
    DeprecateVar {
        collection: Variable,
        key: Text,
        amount: u32,
        seconds: u32,
    },
    /// `initcol:ip=%{REMOTE_ADDR}`
    InitCol {
        collection: Variable,
        key: Text,
    },
    /// `setsid`, `setuid`, `setrsc`: also initialises `SESSION`, `USER`, `RESOURCE`.
    SetId {
        collection: Variable,
        key: Text,
    },
    /// `setenv:NAME=value`, for later rules and the log.
    SetEnv {
        name: String,
        value: Text,
    },
    Ctl(Ctl),
}

/// `setvar:tx.score=+5`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetVar {
    /// `TX`, `IP`, `GLOBAL`, `SESSION`, `USER` or `RESOURCE`.
    pub collection: Variable,
    pub key: Text,
    pub change: Change,
}

/// What becomes of the variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Set(Text),
    /// `=+`
    Add(Text),
    /// `=-`
    Subtract(Text),
    /// `setvar:!tx.score`
    Remove,
}

/// A change of the engine for the rest of the exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ctl {
    AuditEngine(AuditEngine),
    AuditLogParts(Parts),
    /// Upper-case: `URLENCODED`, `MULTIPART`, `JSON`, `XML`, `RAW`.
    RequestBodyProcessor(String),
    ResponseBodyProcessor(String),
    RequestBodyAccess(bool),
    /// Bytes.
    RequestBodyLimit(u64),
    ResponseBodyAccess(bool),
    ResponseBodyLimit(u64),
    ForceRequestBodyVariable(bool),
    ForceResponseBodyVariable(bool),
    RuleEngine(RuleEngine),
    /// Ids from, to, both included.
    RuleRemoveById(Vec<(u64, u64)>),
    RuleRemoveByTag(String),
    RuleRemoveByMsg(String),
    RuleRemoveTargetById {
        ids: Vec<(u64, u64)>,
        target: Target,
    },
    RuleRemoveTargetByTag {
        tag: String,
        target: Target,
    },
    RuleRemoveTargetByMsg {
        message: String,
        target: Target,
    },
}

/// `SecRuleEngine`, `ctl:ruleEngine`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RuleEngine {
    On,
    DetectionOnly,
    #[default]
    Off,
}

/// `SecAuditEngine`, `ctl:auditEngine`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditEngine {
    On,
    #[default]
    Off,
    RelevantOnly,
}

/// `auditLogParts`: the parts themselves, or letters added to or taken from those that are set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parts {
    Set(String),
    Add(String),
    Remove(String),
}
