//! `ARGS|!ARGS:q|&REQUEST_HEADERS:Host|XML:/*|TX:/^x_/`: what a rule looks at.

use std::borrow::Cow;

use super::lexer::{Word, closing, unescape};
use super::suggest::{nearest, shown};
use crate::bodies::xml::Selection;
use crate::rules::{Key, Target};
use crate::variables::{Kind, Variable};

/// Variables of ModSecurity that nothing fills here, each with the reason.
pub const REFUSED: &[(&str, &str)] = &[
    ("PERF_ALL", "the proxy measures its filters itself"),
    ("PERF_COMBINED", "the proxy measures its filters itself"),
    (
        "SCRIPT_FILENAME",
        "there is no script in a proxy: use REQUEST_FILENAME",
    ),
    ("STREAM_INPUT_BODY", "use REQUEST_BODY"),
    ("STREAM_OUTPUT_BODY", "use RESPONSE_BODY"),
    ("USERAGENT_IP", "use REMOTE_ADDR"),
    ("WEBSERVER_ERROR_LOG", "there is no such log in a proxy"),
];

/// Something wrong with targets.
pub(super) struct Fault {
    /// Where, in the directive.
    pub(super) at: usize,
    pub(super) message: String,
}

/// All targets of a word; what is wrong goes to `faults`.
pub(super) fn targets(word: &Word<'_>, faults: &mut Vec<Fault>) -> Vec<Target> {
    let mut found = Vec::new();
    let mut rest = word.raw;
    loop {
        let offset = word.raw.len() - rest.len();
        let (target, after) = next(rest);
        match target {
            Ok(target) => found.push(target),
            Err((at, message)) => faults.push(Fault {
                at: word.at + offset + at,
                message,
            }),
        }
        match after {
            Some(after) => rest = after,
            None => return found,
        }
    }
}

/// A target without `|`, `!` and `&`, as `ctl:ruleRemoveTargetById` takes it.
pub(super) fn single(text: &str) -> Result<Target, String> {
    let (target, after) = next(text);
    let target = target.map_err(|(_, message)| message)?;
    if after.is_some() {
        return Err("one target only: write the action once for each".to_owned());
    }
    if target.count || target.exclude {
        return Err("a target without ! and &".to_owned());
    }
    Ok(target)
}

type Found<'a> = (Result<Target, (usize, String)>, Option<&'a str>);

/// The first target, and what follows its `|`.
fn next(text: &str) -> Found<'_> {
    let name_start = text
        .bytes()
        .position(|byte| !matches!(byte, b'!' | b'&' | b' ' | b'\t'))
        .unwrap_or(text.len());
    let (marks, rest) = text.split_at_checked(name_start).unwrap_or((text, ""));
    let name_length = rest.find([':', '.', '|']).unwrap_or(rest.len());
    let (name, after) = rest.split_at_checked(name_length).unwrap_or((rest, ""));
    let (key, key_at, after) = match after.strip_prefix([':', '.']) {
        Some(key) => {
            let (length, written) = key_of(name, key);
            let end = key.get(length..).unwrap_or_default();
            (Some(written), name_start + name_length + 1, end)
        }
        None => (None, 0, after),
    };
    // After a key that ended in a slash or quote, something else than `|` may stand.
    let (junk, after) = match after.split_once('|') {
        Some((junk, after)) => (junk, Some(after)),
        None => (after, None),
    };
    if !junk.trim_ascii().is_empty() {
        let at = text.len() - after.map_or(0, |after| after.len() + 1) - junk.len();
        let message = format!("{:?} after a key", shown(junk));
        return (Err((at, message)), after);
    }
    let target = variable(name.trim_ascii())
        .map_err(|message| (name_start, message))
        .and_then(|variable| {
            let key = match key {
                Some(key) => check_key(variable, key).map_err(|message| (key_at, message))?,
                None => Key::All,
            };
            let (count, exclude) = (marks.contains('&'), marks.contains('!'));
            if count && exclude {
                return Err((0, "! and & together mean nothing".to_owned()));
            }
            Ok(Target {
                variable,
                key,
                count,
                exclude,
            })
        });
    (target, after)
}

/// A key as it was written.
enum Written<'a> {
    Name(Cow<'a, str>),
    Regex(Cow<'a, str>),
    Path(&'a str),
    Unclosed(u8),
}

/// How long the key at the start of `text` is, with its slashes and quotes.
fn key_of<'a>(name: &str, text: &'a str) -> (usize, Written<'a>) {
    let bytes = text.as_bytes();
    let bar = |from: usize| {
        text.get(from..)
            .and_then(|rest| rest.find('|'))
            .map_or(text.len(), |length| from + length)
    };
    let until = |end: usize| text.get(..end).unwrap_or_default();
    let is_path = ["XML", "RESPONSE_XML"]
        .iter()
        .any(|path| name.trim_ascii().eq_ignore_ascii_case(path));
    match bytes.first() {
        _ if is_path => {
            let end = bar(0);
            (end, Written::Path(until(end).trim_ascii()))
        }
        Some(b'\'') => match closing(bytes, 1, b'\'') {
            Some(end) => {
                let inside = text.get(1..end).unwrap_or_default();
                let plain = unescape(inside, b"'\"");
                let regex = plain
                    .strip_prefix('/')
                    .and_then(|rest| rest.strip_suffix('/'))
                    .map(str::to_owned);
                (
                    end + 1,
                    regex.map_or(Written::Name(plain), |regex| {
                        Written::Regex(Cow::Owned(regex))
                    }),
                )
            }
            None => (text.len(), Written::Unclosed(b'\'')),
        },
        Some(b'/') => match slash(bytes) {
            Some(end) => {
                let inside = text.get(1..end).unwrap_or_default();
                (end + 1, Written::Regex(unescape(inside, b"\"")))
            }
            None => (text.len(), Written::Unclosed(b'/')),
        },
        _ => {
            let end = bar(0);
            (end, Written::Name(unescape(until(end).trim_ascii(), b"\"")))
        }
    }
}

/// The slash that ends a regular expression: the first without a backslash that a target or the end follows.
fn slash(bytes: &[u8]) -> Option<usize> {
    let mut from = 1;
    loop {
        let end = closing(bytes, from, b'/')?;
        match bytes.get(end + 1) {
            None | Some(b'|' | b' ' | b'\t') => return Some(end),
            Some(_) => from = end + 1,
        }
    }
}

fn check_key(variable: Variable, key: Written<'_>) -> Result<Key, String> {
    if variable.kind() == Kind::Scalar {
        return Err(format!("{} has no members to choose from", variable.name()));
    }
    match key {
        Written::Unclosed(byte) => Err(format!("this key has no closing {}", char::from(byte))),
        Written::Name(name) if name.is_empty() => Err("the key after : is missing".to_owned()),
        Written::Name(name) if name.contains("%{") => {
            Err("a macro cannot be a key; a regular expression can: NAME:/…/".to_owned())
        }
        Written::Name(name) => Ok(Key::Name(name.into_owned())),
        Written::Regex(regex) if regex.is_empty() => Err("an empty regular expression".to_owned()),
        Written::Regex(regex) => Ok(Key::Regex(regex.into_owned())),
        Written::Path(path) if Selection::parse(path).is_none() => {
            Err("of the expressions of XPath only /* and //@* are supported".to_owned())
        }
        Written::Path(path) => Ok(Key::XPath(path.to_owned())),
    }
}

fn variable(name: &str) -> Result<Variable, String> {
    if let Some(variable) = Variable::parse(name) {
        return Ok(variable);
    }
    if name.is_empty() {
        return Err("a variable is missing".to_owned());
    }
    let refused = REFUSED
        .iter()
        .find(|(refused, _)| refused.eq_ignore_ascii_case(name));
    Err(match refused {
        Some((name, reason)) => format!("{name} is not supported: {reason}"),
        None => format!(
            "unknown variable {:?}{}",
            shown(name),
            nearest(name, Variable::ALL.iter().map(|variable| variable.name()))
        ),
    })
}
