//! The table of all actions, and how their values are read.

use super::Value::{Maybe, No, Yes};
use super::{ActionSpec, Complaint, Item, Read, Value, ctl};
use crate::parser::Support;
use crate::parser::suggest::{nearest, shown};
use crate::rules::actions::{Allow, Change, SetVar};
use crate::rules::{Action, Disruptive, Phase, Text};
use crate::transformations::Transformation;
use crate::variables::Variable;

const fn read(
    name: &'static str,
    value: Value,
    read: fn(&str, &mut Vec<Item>) -> Result<(), Complaint>,
) -> ActionSpec {
    ActionSpec {
        name,
        value,
        support: Support::Full(Read(read)),
    }
}

const fn no_effect(name: &'static str, reason: &'static str) -> ActionSpec {
    ActionSpec {
        name,
        value: Maybe,
        support: Support::NoEffect(reason),
    }
}

const fn refused(name: &'static str, reason: &'static str) -> ActionSpec {
    ActionSpec {
        name,
        value: Maybe,
        support: Support::Refused(reason),
    }
}

const BODIES_UNCHANGED: &str = "bodies are not changed by rules";
const UNREDACTED: &str = "values in the audit log are not masked; leave its parts out with ctl:auditLogParts, or the rule with noauditlog";

/// All actions.
pub const ACTIONS: &[ActionSpec] = &[
    read("accuracy", Yes, |v, to| {
        push(to, Item::Accuracy(number(v, 0, 9)?))
    }),
    read("allow", Maybe, allow),
    refused("append", BODIES_UNCHANGED),
    read("auditlog", No, |_, to| push(to, Item::AuditLog(true))),
    read("block", No, |_, to| push(to, Item::Block)),
    read("capture", No, |_, to| push(to, Item::Capture)),
    read("chain", No, |_, to| push(to, Item::Chain)),
    read("ctl", Yes, ctl::read),
    read("deny", No, |_, to| {
        push(to, Item::Disruptive(Disruptive::Deny))
    }),
    read("deprecatevar", Yes, deprecate),
    read("drop", No, |_, to| {
        push(to, Item::Disruptive(Disruptive::Drop))
    }),
    refused("exec", "a filter can run no program"),
    read("expirevar", Yes, expire),
    read("id", Yes, |v, to| {
        push(to, Item::Id(number(v, 1, u64::MAX)?))
    }),
    read("initcol", Yes, init_collection),
    read("log", No, |_, to| {
        to.extend([Item::Log(true), Item::AuditLog(true)]);
        Ok(())
    }),
    read("logdata", Yes, |v, to| push(to, Item::Logdata(text(v)?))),
    read("maturity", Yes, |v, to| {
        push(to, Item::Maturity(number(v, 0, 9)?))
    }),
    read("msg", Yes, |v, to| push(to, Item::Message(text(v)?))),
    read("multiMatch", No, |_, to| push(to, Item::MultiMatch)),
    read("noauditlog", No, |_, to| push(to, Item::AuditLog(false))),
    read("nolog", No, |_, to| {
        to.extend([Item::Log(false), Item::AuditLog(false)]);
        Ok(())
    }),
    read("pass", No, |_, to| {
        push(to, Item::Disruptive(Disruptive::Pass))
    }),
    refused(
        "pause",
        "waiting holds memory for the attacker: use deny or drop",
    ),
    read("phase", Yes, phase),
    refused("prepend", BODIES_UNCHANGED),
    refused(
        "proxy",
        "routes decide about upstreams: use deny or redirect",
    ),
    read("redirect", Yes, |v, to| {
        push(to, Item::Disruptive(Disruptive::Redirect(text(v)?)))
    }),
    read("rev", Yes, |v, to| push(to, Item::Revision(v.to_owned()))),
    refused("sanitiseArg", UNREDACTED),
    refused("sanitiseMatched", UNREDACTED),
    refused("sanitiseMatchedBytes", UNREDACTED),
    refused("sanitiseRequestHeader", UNREDACTED),
    refused("sanitiseResponseHeader", UNREDACTED),
    read("setenv", Yes, set_environment),
    read("setrsc", Yes, |v, to| set_id(Variable::Resource, v, to)),
    read("setsid", Yes, |v, to| set_id(Variable::Session, v, to)),
    read("setuid", Yes, |v, to| set_id(Variable::User, v, to)),
    read("setvar", Yes, set_variable),
    read("severity", Yes, severity),
    read("skip", Yes, |v, to| {
        push(to, Item::Skip(number(v, 0, u32::MAX)?))
    }),
    read("skipAfter", Yes, |v, to| {
        push(to, Item::SkipAfter(v.to_owned()))
    }),
    read("status", Yes, |v, to| {
        push(to, Item::Status(number(v, 100, 599)?))
    }),
    read("t", Yes, transformation),
    read("tag", Yes, |v, to| push(to, Item::Tag(text(v)?))),
    read("ver", Yes, |v, to| push(to, Item::Version(v.to_owned()))),
    no_effect(
        "xmlns",
        "the supported XPath expressions need no namespaces",
    ),
];

type Outcome = Result<(), Complaint>;

fn push(to: &mut Vec<Item>, item: Item) -> Outcome {
    to.push(item);
    Ok(())
}

/// A number of a range, both ends included.
pub(in crate::parser) fn number<T>(value: &str, least: T, most: T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match value.parse() {
        Ok(number) if digits && number >= least && number <= most => Ok(number),
        _ => Err(format!(
            "{:?} is not a number from {least} to {most}",
            shown(value)
        )),
    }
}

fn text(value: &str) -> Result<Text, String> {
    Text::parse(value)
}

fn allow(value: &str, to: &mut Vec<Item>) -> Outcome {
    let allow = match value.to_ascii_lowercase().as_str() {
        "" => Allow::All,
        "phase" => Allow::Phase,
        "request" => Allow::Request,
        _ => return Err("allow, allow:phase or allow:request".into()),
    };
    push(to, Item::Disruptive(Disruptive::Allow(allow)))
}

fn phase(value: &str, to: &mut Vec<Item>) -> Outcome {
    let phase = match value.to_ascii_lowercase().as_str() {
        "1" => Phase::RequestHeaders,
        "2" | "request" => Phase::RequestBody,
        "3" => Phase::ResponseHeaders,
        "4" | "response" => Phase::ResponseBody,
        "5" | "logging" => Phase::Logging,
        _ => return Err("1 to 5, request (2), response (4) or logging (5)".into()),
    };
    push(to, Item::Phase(phase))
}

const SEVERITIES: [&str; 8] = [
    "EMERGENCY",
    "ALERT",
    "CRITICAL",
    "ERROR",
    "WARNING",
    "NOTICE",
    "INFO",
    "DEBUG",
];

fn severity(value: &str, to: &mut Vec<Item>) -> Outcome {
    let named = (0..)
        .zip(SEVERITIES)
        .find_map(|(number, name): (u8, _)| name.eq_ignore_ascii_case(value).then_some(number));
    let severity = match named {
        Some(number) => number,
        None => number(value, 0, 7).map_err(|_| {
            format!(
                "{:?} is neither 0 to 7 nor a name{}",
                shown(value),
                nearest(value, SEVERITIES)
            )
        })?,
    };
    push(to, Item::Severity(severity))
}

fn transformation(value: &str, to: &mut Vec<Item>) -> Outcome {
    if value.eq_ignore_ascii_case("none") {
        return push(to, Item::NoTransformations);
    }
    match Transformation::parse(value) {
        Some(transformation) => push(to, Item::Transformation(transformation)),
        None => {
            let names = Transformation::ALL.iter().map(|known| known.name());
            let near = nearest(value, names.chain(["none"]));
            Err(format!("unknown transformation {:?}{near}", shown(value)).into())
        }
    }
}

/// `tx.key`: a collection that rules may write to, and the member.
fn member(name: &str) -> Result<(Variable, Text), String> {
    let Some((collection, key)) = name.split_once('.') else {
        return Err(format!("{:?} is not COLLECTION.NAME", shown(name)));
    };
    let collection = writable(collection.trim_ascii())?;
    if key.trim_ascii().is_empty() {
        return Err("the name after the dot is missing".to_owned());
    }
    Ok((collection, text(key.trim_ascii())?))
}

fn writable(name: &str) -> Result<Variable, String> {
    const WRITABLE: [Variable; 6] = [
        Variable::Tx,
        Variable::Ip,
        Variable::Global,
        Variable::Session,
        Variable::User,
        Variable::Resource,
    ];
    WRITABLE
        .into_iter()
        .find(|variable| variable.name().eq_ignore_ascii_case(name))
        .ok_or_else(|| {
            format!(
                "{:?} is no collection that rules write to: TX, IP, GLOBAL, SESSION, USER, RESOURCE",
                shown(name)
            )
        })
}

/// A collection that outlives an exchange.
fn persistent(name: &str) -> Result<Variable, String> {
    match writable(name)? {
        Variable::Tx => Err("TX lives as long as the exchange only".to_owned()),
        variable => Ok(variable),
    }
}

fn set_variable(value: &str, to: &mut Vec<Item>) -> Outcome {
    let (name, change) = match (value.strip_prefix('!'), value.split_once('=')) {
        (Some(name), _) => (name, Change::Remove),
        (None, None) => (value, Change::Set(text("1")?)),
        (None, Some((name, value))) => {
            let change = if let Some(amount) = value.strip_prefix('+') {
                Change::Add(text(amount)?)
            } else if let Some(amount) = value.strip_prefix('-') {
                Change::Subtract(text(amount)?)
            } else {
                Change::Set(text(value)?)
            };
            (name, change)
        }
    };
    let (collection, key) = member(name)?;
    push(
        to,
        Item::Run(Action::SetVar(SetVar {
            collection,
            key,
            change,
        })),
    )
}

fn expire(value: &str, to: &mut Vec<Item>) -> Outcome {
    let (name, seconds) = value.split_once('=').ok_or("COLLECTION.NAME=SECONDS")?;
    let (collection, key) = member(name)?;
    let seconds = text(seconds.trim_ascii())?;
    if let Some(literal) = seconds.literal() {
        number(literal, 0, u32::MAX)?;
    }
    push(
        to,
        Item::Run(Action::ExpireVar {
            collection,
            key,
            seconds,
        }),
    )
}

fn deprecate(value: &str, to: &mut Vec<Item>) -> Outcome {
    let (name, rate) = value
        .split_once('=')
        .ok_or("COLLECTION.NAME=AMOUNT/SECONDS")?;
    let (amount, seconds) = rate.split_once('/').ok_or("AMOUNT/SECONDS after =")?;
    let (collection, key) = member(name)?;
    push(
        to,
        Item::Run(Action::DeprecateVar {
            collection,
            key,
            amount: number(amount.trim_ascii(), 0, u32::MAX)?,
            seconds: number(seconds.trim_ascii(), 1, u32::MAX)?,
        }),
    )
}

fn init_collection(value: &str, to: &mut Vec<Item>) -> Outcome {
    let (name, key) = value.split_once('=').ok_or("COLLECTION=KEY")?;
    let collection = persistent(name.trim_ascii())?;
    let key = text(key)?;
    push(to, Item::Run(Action::InitCol { collection, key }))
}

fn set_id(collection: Variable, value: &str, to: &mut Vec<Item>) -> Outcome {
    let key = text(value)?;
    push(to, Item::Run(Action::SetId { collection, key }))
}

fn set_environment(value: &str, to: &mut Vec<Item>) -> Outcome {
    let (name, value) = value.split_once('=').ok_or("NAME=VALUE")?;
    if name.trim_ascii().is_empty() {
        return Err("NAME=VALUE".into());
    }
    let (name, value) = (name.trim_ascii().to_owned(), text(value)?);
    push(to, Item::Run(Action::SetEnv { name, value }))
}
