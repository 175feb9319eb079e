//! The configuration of the limiter, checked.

use crate::address::IPV6_BITS;
use crate::gcra::{PERIOD_NANOS_MAX, PERIOD_NANOS_MIN, REQUESTS_MAX, Rate};
use crate::key::{self, Part};
use portcullis_filter_settings::{Problems, Section, parse_duration};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Limits that one request may have to pass: each costs a read and a write of shared data.
const LIMITS_MAX: usize = 8;
/// Parts of a key.
const PARTS_MAX: usize = 8;
/// Characters of a limit's name: it goes into two response fields.
const NAME_CHARACTERS_MAX: usize = 64;
/// What is one client of an IPv6 network, in bits, where the configuration does not say: what a site is given.
const IPV6_PREFIX_DEFAULT: u8 = 64;

/// What a limiter does.
#[derive(Clone, Debug)]
pub struct Policy {
    /// At least one; a request must pass them all.
    pub limits: Vec<Limit>,
    /// Whether a refusal is carried out.
    pub mode: Mode,
    /// What happens when shared data gives no answer.
    pub on_error: OnError,
    /// Whether responses of requests that passed say what is left.
    pub headers: bool,
}

/// One limit.
#[derive(Clone, Debug)]
pub struct Limit {
    /// What the response fields call it.
    pub name: String,
    /// How much.
    pub rate: Rate,
    /// Of whom; never empty.
    pub key: Vec<Part>,
    /// What happens to a request that lacks a part of the key.
    pub missing: Missing,
}

/// Whether a refusal is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is.
    Enforce,
    /// It is counted only.
    Shadow,
}

/// What happens when shared data gives no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The request is refused with 503.
    Deny,
    /// The request passes.
    Allow,
}

/// What happens to a request that lacks a part of the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// All such requests share a bucket.
    Share,
    /// The limit does not apply.
    Skip,
}

impl Policy {
    /// Reads a configuration.
    ///
    /// # Errors
    /// Every problem found, one text each.
    pub fn parse(configuration: &[u8]) -> Result<Self, Vec<String>> {
        let problems = Problems::default();
        let policy = Section::parse(configuration, &problems).and_then(Self::read);
        problems.into_result(policy)
    }

    fn read(mut section: Section<'_>) -> Option<Self> {
        let mode = section.choice(
            "mode",
            &[("enforce", Mode::Enforce), ("shadow", Mode::Shadow)],
        );
        let on_error = section.choice(
            "on_error",
            &[("deny", OnError::Deny), ("allow", OnError::Allow)],
        );
        let headers = section.flag("headers");
        let limits = if section.has("limits") {
            let limits = Limit::read_list(&mut section);
            section.finish();
            limits
        } else {
            Limit::read(section, "default").map(|limit| vec![limit])
        };
        Some(Self {
            limits: limits?,
            mode: mode.unwrap_or(Mode::Enforce),
            on_error: on_error.unwrap_or(OnError::Deny),
            headers: headers.unwrap_or(true),
        })
    }
}

impl Limit {
    /// A hash that has taken in everything that tells this limit from others. Whoever shares a `vm_id` and all of
    /// this shares buckets.
    #[must_use]
    pub fn identity(&self) -> Sha256 {
        let mut hash = Sha256::new();
        key::absorb(&mut hash, self.name.as_bytes());
        for number in [self.rate.count, self.rate.period, self.rate.burst] {
            hash.update(number.to_be_bytes());
        }
        key::absorb(&mut hash, format!("{:?}", self.key).as_bytes());
        hash
    }

    fn read_list(section: &mut Section<'_>) -> Option<Vec<Self>> {
        let at = section.at("limits");
        let items = section.list("limits")?;
        if items.is_empty() || items.len() > LIMITS_MAX {
            section.refuse("limits", format_args!("needs 1 to {LIMITS_MAX} limits"));
            return None;
        }
        let problems = section.problems();
        let mut limits: Vec<Self> = Vec::with_capacity(items.len());
        let wanted = items.len();
        for (index, (path, item)) in items.into_iter().enumerate() {
            let name = if index == 0 {
                "default".to_owned()
            } else {
                format!("default-{}", index + 1)
            };
            let Some(limit) =
                Section::of(path, item, problems).and_then(|section| Self::read(section, &name))
            else {
                continue;
            };
            if limits.iter().any(|earlier| earlier.name == limit.name) {
                problems.add(
                    &format!("{at}[{index}].name"),
                    format_args!("{:?} is the name of two limits", limit.name),
                );
            }
            limits.push(limit);
        }
        (limits.len() == wanted).then_some(limits)
    }

    fn read(mut section: Section<'_>, name: &str) -> Option<Self> {
        let name = read_name(&mut section, name);
        let missing = section.choice(
            "missing",
            &[("share", Missing::Share), ("skip", Missing::Skip)],
        );
        let ipv6_prefix = section.number("ipv6_prefix", 0..=u64::from(IPV6_BITS));
        let ipv6_prefix = ipv6_prefix
            .and_then(|bits| u8::try_from(bits).ok())
            .unwrap_or(IPV6_PREFIX_DEFAULT);
        let key = read_key(&mut section, ipv6_prefix);
        let rate = read_rate(&mut section);
        section.finish();
        Some(Self {
            name: name?,
            rate: rate?,
            key: key?,
            missing: missing.unwrap_or(Missing::Share),
        })
    }
}

/// A name that needs no escaping inside a structured field's string (RFC 9651 section 3.3.3).
fn read_name(section: &mut Section<'_>, default: &str) -> Option<String> {
    if !section.has("name") {
        return Some(default.to_owned());
    }
    let name = section.text("name")?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.len() > NAME_CHARACTERS_MAX || !name.bytes().all(plain) {
        section.refuse(
            "name",
            format_args!(
                "must be 1 to {NAME_CHARACTERS_MAX} letters, digits, dots, hyphens or underscores"
            ),
        );
        return None;
    }
    Some(name)
}

fn read_rate(section: &mut Section<'_>) -> Option<Rate> {
    let burst = section.number("burst", 1..=REQUESTS_MAX);
    if !section.has("rate") {
        section.refuse(
            "rate",
            "is missing; write requests and a duration, such as 100/1s",
        );
        return None;
    }
    let text = section.string("rate")?;
    let Some((count, period)) = parse_rate(&text) else {
        section.refuse(
            "rate",
            format_args!("{text:?} is not a rate; write requests and a duration, such as 100/1s"),
        );
        return None;
    };
    if !(1..=REQUESTS_MAX).contains(&count) {
        section.refuse(
            "rate",
            format_args!("must allow 1 to {REQUESTS_MAX} requests"),
        );
        return None;
    }
    if !(PERIOD_NANOS_MIN..=PERIOD_NANOS_MAX).contains(&period) {
        section.refuse("rate", "must have a period from 1ms to 366d");
        return None;
    }
    Some(Rate {
        count,
        period,
        burst: burst.unwrap_or(count),
    })
}

/// `100/1m` or `100/m`: a count and a period in nanoseconds.
fn parse_rate(text: &str) -> Option<(u64, u64)> {
    let (count, period) = text.split_once('/')?;
    let plain = !count.is_empty() && count.bytes().all(|byte| byte.is_ascii_digit());
    let count = if plain {
        count.parse().ok()?
    } else {
        return None;
    };
    let period = if period.starts_with(|first: char| first.is_ascii_digit()) {
        parse_duration(period)?
    } else {
        parse_duration(&format!("1{period}"))?
    };
    Some((count, u64::try_from(period.as_nanos()).ok()?))
}

fn read_key(section: &mut Section<'_>, ipv6_prefix: u8) -> Option<Vec<Part>> {
    if !section.has("key") {
        section.refuse(
            "key",
            "is missing; write what has a bucket of its own, such as [client_ip]",
        );
        return None;
    }
    let items = section.list("key")?;
    if items.is_empty() || items.len() > PARTS_MAX {
        section.refuse(
            "key",
            format_args!(
                "needs 1 to {PARTS_MAX} parts; one bucket for everybody is [{{ const: all }}]"
            ),
        );
        return None;
    }
    let wanted = items.len();
    let parts: Vec<Part> = items
        .into_iter()
        .filter_map(|(path, item)| read_part(path, item, ipv6_prefix, section.problems()))
        .collect();
    (parts.len() == wanted).then_some(parts)
}

fn read_part(path: String, item: Value, ipv6_prefix: u8, problems: &Problems) -> Option<Part> {
    let known = "client_ip, route, host, { header: NAME }, { claim: NAME } or { const: TEXT }";
    match item {
        Value::String(word) => match word.as_str() {
            "client_ip" => Some(Part::ClientIp { ipv6_prefix }),
            "route" => Some(Part::Route),
            "host" => Some(Part::Host),
            _ => {
                problems.add(&path, format_args!("{word:?} is not one of: {known}"));
                None
            }
        },
        Value::Object(ref fields) if fields.len() == 1 => {
            let mut section = Section::of(path, item, problems)?;
            let header = section.header("header").map(Part::Header);
            let claim = section.text("claim").map(Part::Claim);
            let constant = section.text("const").map(Part::Constant);
            section.finish();
            header.or(claim).or(constant)
        }
        _ => {
            problems.add(&path, format_args!("must be one of: {known}"));
            None
        }
    }
}

#[cfg(test)]
mod tests;
