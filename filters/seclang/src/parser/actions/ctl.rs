//! `ctl:ruleRemoveTargetById=942100;ARGS:q`: changes of the engine for the rest of the exchange.

use super::read::number;
use super::{Complaint, Item};
use crate::parser::Support;
use crate::parser::ids;
use crate::parser::suggest::{nearest, shown};
use crate::parser::targets;
use crate::rules::actions::{AuditEngine, Ctl, Parts, RuleEngine};
use crate::rules::{Action, Target};

/// Reads the value of a setting.
#[derive(Clone, Copy, Debug)]
pub struct CtlRead(fn(&str) -> Result<Ctl, String>);

/// A setting that `ctl` changes.
#[derive(Clone, Copy, Debug)]
pub struct CtlSpec {
    /// As rules spell it; case does not count.
    pub name: &'static str,
    pub support: Support<CtlRead>,
}

const fn on(name: &'static str, read: fn(&str) -> Result<Ctl, String>) -> CtlSpec {
    CtlSpec {
        name,
        support: Support::Full(CtlRead(read)),
    }
}

const fn no_effect(name: &'static str, reason: &'static str) -> CtlSpec {
    CtlSpec {
        name,
        support: Support::NoEffect(reason),
    }
}

const NO_HASHES: &str = "links are not signed here";

/// All settings that `ctl` changes.
pub const CTLS: &[CtlSpec] = &[
    on("auditEngine", |v| Ok(Ctl::AuditEngine(audit_engine(v)?))),
    on("auditLogParts", |v| Ok(Ctl::AuditLogParts(parts(v)?))),
    no_effect("debugLogLevel", "the level of the log is the proxy's"),
    on("forceRequestBodyVariable", |v| {
        Ok(Ctl::ForceRequestBodyVariable(on_off(v)?))
    }),
    on("forceResponseBodyVariable", |v| {
        Ok(Ctl::ForceResponseBodyVariable(on_off(v)?))
    }),
    no_effect("hashEnforcement", NO_HASHES),
    no_effect("hashEngine", NO_HASHES),
    on("requestBodyAccess", |v| {
        Ok(Ctl::RequestBodyAccess(on_off(v)?))
    }),
    on("requestBodyLimit", |v| {
        Ok(Ctl::RequestBodyLimit(number(v, 0, u64::MAX)?))
    }),
    on("requestBodyProcessor", |v| {
        Ok(Ctl::RequestBodyProcessor(body_processor(v)?))
    }),
    on("responseBodyAccess", |v| {
        Ok(Ctl::ResponseBodyAccess(on_off(v)?))
    }),
    on("responseBodyLimit", |v| {
        Ok(Ctl::ResponseBodyLimit(number(v, 0, u64::MAX)?))
    }),
    on("responseBodyProcessor", |v| {
        Ok(Ctl::ResponseBodyProcessor(body_processor(v)?))
    }),
    on("ruleEngine", |v| Ok(Ctl::RuleEngine(rule_engine(v)?))),
    on("ruleRemoveById", |v| {
        Ok(Ctl::RuleRemoveById(ids::ranges(v)?))
    }),
    on("ruleRemoveByMsg", |v| Ok(Ctl::RuleRemoveByMsg(some(v)?))),
    on("ruleRemoveByTag", |v| Ok(Ctl::RuleRemoveByTag(some(v)?))),
    on("ruleRemoveTargetById", |v| {
        let (ids, target) = of_target(v)?;
        let ids = ids::ranges(ids)?;
        Ok(Ctl::RuleRemoveTargetById { ids, target })
    }),
    on("ruleRemoveTargetByMsg", |v| {
        let (message, target) = of_target(v)?;
        let message = some(message)?;
        Ok(Ctl::RuleRemoveTargetByMsg { message, target })
    }),
    on("ruleRemoveTargetByTag", |v| {
        let (tag, target) = of_target(v)?;
        let tag = some(tag)?;
        Ok(Ctl::RuleRemoveTargetByTag { tag, target })
    }),
];

pub(super) fn read(value: &str, to: &mut Vec<Item>) -> Result<(), Complaint> {
    let (name, value) = value.split_once('=').ok_or("NAME=VALUE")?;
    let (name, value) = (name.trim_ascii(), value.trim_ascii());
    let spec = CTLS
        .iter()
        .find(|spec| spec.name.eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            let near = nearest(name, CTLS.iter().map(|spec| spec.name));
            format!("unknown setting {:?}{near}", shown(name))
        })?;
    match spec.support {
        Support::Full(CtlRead(read)) => {
            let ctl = read(value).map_err(|reason| format!("{}: {reason}", spec.name))?;
            to.push(Item::Run(Action::Ctl(ctl)));
            Ok(())
        }
        Support::NoEffect(reason) | Support::OnlyOff(reason) | Support::Refused(reason) => Err(
            Complaint::Warning(format!("{} has no effect: {reason}", spec.name)),
        ),
    }
}

fn some(value: &str) -> Result<String, String> {
    if value.is_empty() {
        return Err("its value is missing".to_owned());
    }
    Ok(value.to_owned())
}

fn of_target(value: &str) -> Result<(&str, Target), String> {
    let (rules, target) = value
        .split_once(';')
        .ok_or("rules and a target, separated by ;")?;
    Ok((rules.trim_ascii(), targets::single(target.trim_ascii())?))
}

fn chosen<T: Copy>(value: &str, choices: &[(&str, T)]) -> Result<T, String> {
    choices
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(value))
        .map(|(_, choice)| *choice)
        .ok_or_else(|| {
            let names: Vec<_> = choices.iter().map(|(name, _)| *name).collect();
            format!("{:?} is none of {}", shown(value), names.join(", "))
        })
}

pub(in crate::parser) fn on_off(value: &str) -> Result<bool, String> {
    chosen(value, &[("On", true), ("Off", false)])
}

pub(in crate::parser) fn rule_engine(value: &str) -> Result<RuleEngine, String> {
    chosen(
        value,
        &[
            ("On", RuleEngine::On),
            ("Off", RuleEngine::Off),
            ("DetectionOnly", RuleEngine::DetectionOnly),
        ],
    )
}

pub(in crate::parser) fn audit_engine(value: &str) -> Result<AuditEngine, String> {
    chosen(
        value,
        &[
            ("On", AuditEngine::On),
            ("Off", AuditEngine::Off),
            ("RelevantOnly", AuditEngine::RelevantOnly),
        ],
    )
}

fn body_processor(value: &str) -> Result<String, String> {
    const PROCESSORS: [(&str, &str); 5] = [
        ("URLENCODED", "URLENCODED"),
        ("MULTIPART", "MULTIPART"),
        ("JSON", "JSON"),
        ("XML", "XML"),
        ("RAW", "RAW"),
    ];
    chosen(value, &PROCESSORS).map(str::to_owned)
}

/// The letters of an audit log's parts.
pub(in crate::parser) fn letters(value: &str) -> Result<String, String> {
    let upper = value.to_ascii_uppercase();
    match upper
        .chars()
        .find(|letter| !"ABCDEFGHIJKZ".contains(*letter))
    {
        None if upper.is_empty() => Err("the letters are missing".to_owned()),
        None => Ok(upper),
        Some(letter) => Err(format!("{letter:?} is no part of an audit log: A to K, Z")),
    }
}

fn parts(value: &str) -> Result<Parts, String> {
    if let Some(added) = value.strip_prefix('+') {
        return letters(added).map(Parts::Add);
    }
    if let Some(removed) = value.strip_prefix('-') {
        return letters(removed).map(Parts::Remove);
    }
    letters(value).map(Parts::Set)
}
