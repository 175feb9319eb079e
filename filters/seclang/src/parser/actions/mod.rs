//! `id:1,phase:2,t:none,deny,setvar:'tx.score=+5'`: what a rule does. One table of all actions, and how each is read.

mod ctl;
mod list;
mod read;

pub use ctl::CTLS;
pub(super) use ctl::{audit_engine, letters, on_off, rule_engine};
pub use read::ACTIONS;
pub(super) use read::number;

use super::Support;
use super::lexer::Word;
use super::suggest::{nearest, shown};
use crate::rules::{Action, Disruptive, Phase, Text};
use crate::transformations::Transformation;

/// One thing that an action list says.
#[derive(Clone, Debug)]
pub(super) enum Item {
    Id(u64),
    Phase(Phase),
    Chain,
    /// What the default action of the phase does.
    Block,
    Disruptive(Disruptive),
    Status(u16),
    Log(bool),
    AuditLog(bool),
    Transformation(Transformation),
    /// `t:none`
    NoTransformations,
    Capture,
    MultiMatch,
    Run(Action),
    Skip(u32),
    SkipAfter(String),
    Message(Text),
    Logdata(Text),
    Tag(Text),
    Severity(u8),
    Version(String),
    Revision(String),
    Maturity(u8),
    Accuracy(u8),
}

impl Item {
    /// Whether it describes the rule to people.
    pub(super) fn describes(&self) -> bool {
        matches!(
            self,
            Self::Message(_)
                | Self::Logdata(_)
                | Self::Tag(_)
                | Self::Severity(_)
                | Self::Version(_)
                | Self::Revision(_)
                | Self::Maturity(_)
                | Self::Accuracy(_)
        )
    }

    /// Whether it decides about the exchange.
    pub(super) fn disrupts(&self) -> bool {
        matches!(self, Self::Block | Self::Disruptive(_))
    }
}

/// An item and where it stands in the directive.
#[derive(Clone, Debug)]
pub(super) struct Placed {
    pub(super) item: Item,
    pub(super) name: &'static str,
    pub(super) at: usize,
}

/// Something to say about an action.
pub(super) struct Remark {
    /// Where, in the directive.
    pub(super) at: usize,
    pub(super) complaint: Complaint,
}

/// How an action can fail.
pub(super) enum Complaint {
    Error(String),
    /// It is accepted and has no effect.
    Warning(String),
}

impl From<String> for Complaint {
    fn from(message: String) -> Self {
        Self::Error(message)
    }
}

impl From<&str> for Complaint {
    fn from(message: &str) -> Self {
        Self::Error(message.to_owned())
    }
}

/// Reads the value of an action into items.
#[derive(Clone, Copy, Debug)]
pub struct Read(fn(&str, &mut Vec<Item>) -> Result<(), Complaint>);

/// An action of the language.
#[derive(Clone, Copy, Debug)]
pub struct ActionSpec {
    /// As rules spell it; case does not count.
    pub name: &'static str,
    /// Whether something follows a colon.
    pub value: Value,
    pub support: Support<Read>,
}

/// Whether an action takes a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    No,
    Maybe,
    Yes,
}

/// Everything that an action list says; what is wrong goes to `remarks`.
pub(super) fn items(word: &Word<'_>, remarks: &mut Vec<Remark>) -> Vec<Placed> {
    let mut placed = Vec::new();
    let mut items = Vec::new();
    for entry in list::entries(word.raw) {
        let (at, read) = match entry {
            Ok(entry) => match item(&entry, &mut items) {
                Ok(name) => {
                    let at = word.at + entry.at;
                    placed.extend(items.drain(..).map(|item| Placed { item, name, at }));
                    continue;
                }
                Err((at, complaint)) => (at, complaint),
            },
            Err((at, message)) => (at, Complaint::Error(message)),
        };
        items.clear();
        remarks.push(Remark {
            at: word.at + at,
            complaint: read,
        });
    }
    placed
}

fn item(
    entry: &list::Entry<'_>,
    items: &mut Vec<Item>,
) -> Result<&'static str, (usize, Complaint)> {
    let spec = ACTIONS
        .iter()
        .find(|spec| spec.name.eq_ignore_ascii_case(entry.name))
        .ok_or_else(|| {
            let near = nearest(entry.name, ACTIONS.iter().map(|spec| spec.name));
            let message = format!("unknown action {:?}{near}", shown(entry.name));
            (entry.at, Complaint::Error(message))
        })?;
    let named = |reason: &str| format!("{}: {reason}", spec.name);
    let read = match spec.support {
        Support::Full(Read(read)) => read,
        Support::NoEffect(reason) => {
            let message = format!("{} has no effect: {reason}", spec.name);
            return Err((entry.at, Complaint::Warning(message)));
        }
        Support::OnlyOff(reason) | Support::Refused(reason) => {
            let message = format!("{} is not supported: {reason}", spec.name);
            return Err((entry.at, Complaint::Error(message)));
        }
    };
    let value = match (spec.value, &entry.value) {
        (Value::No, Some(_)) => {
            return Err((entry.value_at, named("takes no value").into()));
        }
        (Value::Yes, None) => return Err((entry.at, named("its value is missing").into())),
        (_, value) => value.as_deref().unwrap_or_default(),
    };
    match read(value, items) {
        Ok(()) => Ok(spec.name),
        Err(Complaint::Error(reason)) => Err((entry.value_at, named(&reason).into())),
        Err(Complaint::Warning(reason)) => {
            Err((entry.value_at, Complaint::Warning(named(&reason))))
        }
    }
}
