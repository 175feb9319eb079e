//! The operators of the language: what decides whether a value matches.
//!
//! [`NAMES`] is the list of all. An operator is compiled once ([`Operator::compile`]), tells what it asks of a value
//! ([`Operator::necessary`]), and is evaluated on value after value ([`Operator::evaluate`]). Negation (`!@rx`) is the
//! caller's.

mod found;
mod identity;
mod injection;
mod ip_match;
mod literals;
mod necessary;
mod number;
mod pcre;
mod pm;
mod rest_path;
mod rx;
mod search;
mod text;
mod validate;

pub use found::Found;
pub use identity::Identity;
pub use ip_match::Networks;
pub use necessary::{LITERAL_BYTES_MAX, LITERALS_MAX, Necessary, SETS_MAX};
pub use number::{NumberTest, number};
pub use pm::Phrases;
pub use rest_path::RestPath;
pub use rx::{Rx, regex};
pub use text::TextTest;

use crate::byte_set::ByteSet;
use crate::rules::{self, Text};
use crate::source::{Files, one_line};

/// A compiled operator.
#[derive(Debug)]
pub enum Operator {
    /// `@unconditionalMatch`
    Always,
    /// `@noMatch`
    Never,
    /// `@beginsWith`, `@contains`, `@containsWord`, `@endsWith`, `@streq`, `@strmatch`, `@within`
    Text(TextTest),
    /// `@eq`, `@ge`, `@gt`, `@le`, `@lt`
    Number(NumberTest),
    /// `@pm`, `@pmFromFile`, `@pmf`
    Pm(Phrases),
    /// `@rx`, `@rxGlobal`
    Rx(Rx),
    /// `@ipMatch`, `@ipMatchFromFile`, `@ipMatchF`
    IpMatch(Networks),
    /// `@validateByteRange`: the bytes that are allowed.
    ByteRange(ByteSet),
    /// `@validateUrlEncoding`
    UrlEncoding,
    /// `@validateUtf8Encoding`
    Utf8Encoding,
    /// `@verifyCC`, `@verifyCPF`, `@verifySSN`, `@verifySVNR`, `@validateNid`
    Identity(Identity),
    /// `@restpath`
    RestPath(RestPath),
    /// `@detectSQLi`
    DetectSqli,
    /// `@detectXSS`
    DetectXss,
    /// `@geoLookup`: the engine asks its host; the value is an address.
    GeoLookup,
    /// `@rbl`: the engine asks its host; this is the zone of the list.
    Rbl(String),
}

/// What an operator is compiled from.
struct Source<'a> {
    argument: &'a str,
    files: &'a dyn Files,
    /// The file in which the rule is.
    from: &'a str,
}

/// A name of the language.
#[derive(Debug)]
pub struct Name {
    /// Without `@`.
    pub name: &'static str,
    /// What it matches, or why it is refused.
    pub what: &'static str,
    pub support: Support,
}

/// What becomes of an operator.
#[derive(Clone, Copy, Debug)]
pub enum Support {
    Full(Compile),
    /// A rule with it is an error, with [`Name::what`] as the reason.
    Refused,
}

/// How an operator is compiled.
#[derive(Clone, Copy)]
pub struct Compile(fn(&Source<'_>) -> Result<Operator, String>);

impl std::fmt::Debug for Compile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compile")
    }
}

const fn full(
    name: &'static str,
    what: &'static str,
    compile: fn(&Source<'_>) -> Result<Operator, String>,
) -> Name {
    let support = Support::Full(Compile(compile));
    Name {
        name,
        what,
        support,
    }
}

const fn refused(name: &'static str, what: &'static str) -> Name {
    let support = Support::Refused;
    Name {
        name,
        what,
        support,
    }
}

/// All operators of ModSecurity v3 and Coraza.
#[rustfmt::skip]
pub const NAMES: &[Name] = &[
    full("beginsWith", "the value begins with the text", text::begins_with),
    full("contains", "the text occurs in the value", text::contains),
    full("containsWord", "the text occurs in the value, without a letter before or behind it", text::contains_word),
    full("detectSQLi", "libinjection takes the value for SQL; its fingerprint is captured", |_| Ok(Operator::DetectSqli)),
    full("detectXSS", "libinjection takes the value for HTML with a script", |_| Ok(Operator::DetectXss)),
    full("endsWith", "the value ends with the text", text::ends_with),
    full("eq", "the value is the number", number::equal),
    refused("fuzzyHash", "ssdeep is not part of this engine; compare a hash of the value (t:sha1) with @pm"),
    full("ge", "the value is at least the number", number::at_least),
    full("geoLookup", "something is known about where the address is; it is put into GEO", |_| Ok(Operator::GeoLookup)),
    refused("gsbLookup", "Google's list for it does not exist any more; use @pmFromFile with a list of your own"),
    full("gt", "the value is greater than the number", number::greater),
    refused("inspectFile", "no program can be run; inspect FILES_TMP_CONTENT with @rx or @pm"),
    full("ipMatch", "the value is an address of one of the networks", ip_match::listed),
    full("ipMatchF", "as @ipMatchFromFile", ip_match::from_files),
    full("ipMatchFromDataset", "the value is an address of one of the networks in the dataset", ip_match::records),
    full("ipMatchFromFile", "the value is an address of one of the networks in the file", ip_match::from_files),
    full("le", "the value is at most the number", number::at_most),
    full("lt", "the value is less than the number", number::less),
    full("noMatch", "never", |_| Ok(Operator::Never)),
    full("pm", "one of the phrases occurs in the value, ASCII case ignored", pm::phrases),
    full("pmf", "as @pmFromFile", pm::from_files),
    full("pmFromDataset", "one of the phrases in the dataset occurs in the value, ASCII case ignored", pm::records),
    full("pmFromFile", "one of the phrases in the file occurs in the value, ASCII case ignored", pm::from_files),
    full("rbl", "the address or name is in the DNS list", rbl),
    full("restpath", "the value is such a path; its {names} are put into ARGS_PATH", rest_path::new),
    refused("rsub", "values cannot be rewritten; ModSecurity 3 does not do it either"),
    full("rx", "the regular expression matches; its groups are captured", rx::first),
    full("rxGlobal", "the regular expression matches; the groups of all matches are captured", rx::global),
    full("streq", "the value is the text", text::equals),
    full("strmatch", "the text occurs in the value", text::contains),
    full("unconditionalMatch", "always", |_| Ok(Operator::Always)),
    full("validateByteRange", "the value has a byte outside of the ranges", validate::byte_range),
    refused("validateDTD", "XML is not validated; a DTD is refused as such"),
    refused("validateHash", "links are not signed by this engine"),
    full("validateNid", "the value has a valid national number (cl, us)", identity::national),
    refused("validateSchema", "XML is not validated"),
    full("validateUrlEncoding", "the value has a % without two hexadecimal digits", |_| Ok(Operator::UrlEncoding)),
    full("validateUtf8Encoding", "the value is not UTF-8", |_| Ok(Operator::Utf8Encoding)),
    full("verifyCC", "what the regular expression matches is the number of a credit card", identity::credit_card),
    full("verifyCPF", "what the regular expression matches is a Brazilian CPF", identity::cpf),
    full("verifySSN", "what the regular expression matches is a US social security number", identity::ssn),
    full("verifySVNR", "what the regular expression matches is an Austrian social insurance number", identity::svnr),
    full("within", "the value occurs in the text", text::within),
];

fn rbl(source: &Source<'_>) -> Result<Operator, String> {
    let zone = source.argument.trim().trim_end_matches('.');
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if zone.is_empty() || !zone.bytes().all(good) {
        return Err(format!("{zone:?} is no name of a DNS list"));
    }
    Ok(Operator::Rbl(zone.to_ascii_lowercase()))
}

impl Operator {
    /// Compiles what a rule says.
    ///
    /// # Errors
    /// A name that does not exist, an operator that is refused, an argument that is wrong, a file that cannot be read:
    /// what and why, and the way out, for somebody who sees the rule.
    pub fn compile(operator: &rules::Operator, files: &dyn Files) -> Result<Self, String> {
        let name = operator.name.as_str();
        let Some(entry) = NAMES
            .iter()
            .find(|entry| entry.name.eq_ignore_ascii_case(name))
        else {
            return Err(format!("there is no operator @{name}"));
        };
        let Support::Full(Compile(compile)) = entry.support else {
            return Err(format!("@{} is not supported: {}", entry.name, entry.what));
        };
        let source = Source {
            argument: &operator.argument,
            files,
            from: &operator.position.file,
        };
        compile(&source).map_err(|error| one_line(format!("@{}: {error}", entry.name)))
    }

    /// The argument, if it has macros: the caller expands it for each [`Operator::evaluate`].
    pub fn argument(&self) -> Option<&Text> {
        match self {
            Self::Text(test) => test.argument(),
            Self::Number(test) => test.argument(),
            Self::Rx(rx) => rx.argument(),
            _ => None,
        }
    }

    /// Whether `value` matches. `argument` is what [`Operator::argument`] was expanded to, and nothing where there is
    /// none. What else is to be told goes to `found`, which is cleared before.
    ///
    /// [`Operator::GeoLookup`] and [`Operator::Rbl`] are answered by the caller, and never match here.
    pub fn evaluate(&self, value: &[u8], argument: &[u8], found: &mut Found) -> bool {
        found.clear();
        match self {
            Self::Always => true,
            Self::Never | Self::GeoLookup | Self::Rbl(_) => false,
            Self::Text(test) => test.evaluate(value, argument, found),
            Self::Number(test) => test.evaluate(value, argument),
            Self::Pm(phrases) => phrases.evaluate(value, found),
            Self::Rx(rx) => rx.evaluate(value, argument, found),
            Self::IpMatch(networks) => networks.evaluate(value, found),
            Self::ByteRange(allowed) => validate::outside(allowed, value, found),
            Self::UrlEncoding => validate::bad_url_encoding(value, found),
            Self::Utf8Encoding => validate::bad_utf8(value, found),
            Self::Identity(identity) => identity.evaluate(value, found),
            Self::RestPath(path) => path.evaluate(value, found),
            Self::DetectSqli => injection::sqli(value, found),
            Self::DetectXss => injection::xss(value, found),
        }
    }

    /// What every value that matches has.
    pub fn necessary(&self) -> Necessary {
        match self {
            Self::Text(test) => test.necessary(),
            Self::Pm(phrases) => phrases.necessary(),
            Self::Rx(rx) => rx.necessary(),
            Self::Identity(identity) => identity.necessary(),
            Self::RestPath(path) => path.necessary(),
            Self::DetectSqli => injection::sqli_necessary(),
            Self::DetectXss => injection::xss_necessary(),
            Self::ByteRange(allowed) => Necessary {
                min_length: 1,
                bytes: vec![allowed.complement()],
                ..Necessary::default()
            },
            Self::UrlEncoding => Necessary {
                min_length: 1,
                bytes: vec![ByteSet::listed(b"%")],
                ..Necessary::default()
            },
            Self::Utf8Encoding => Necessary {
                min_length: 1,
                bytes: vec![ByteSet::range(0x80, 0xff)],
                ..Necessary::default()
            },
            _ => Necessary::default(),
        }
    }

    /// Memory of what it was compiled to, without caches that grow with use; bytes, about.
    pub fn memory(&self) -> usize {
        match self {
            Self::Rx(rx) => rx.memory(),
            Self::Pm(phrases) => phrases.memory(),
            _ => 0,
        }
    }
}

impl Source<'_> {
    /// The argument with its macros found.
    fn text(&self) -> Result<Text, String> {
        Text::parse(self.argument)
    }

    /// The contents of the files that the argument names, with white space between them.
    fn files_named(&self) -> Result<Vec<Vec<u8>>, String> {
        let names = self.argument.split_ascii_whitespace();
        let contents: Vec<Vec<u8>> = names
            .map(|name| {
                let read = self.files.read(self.from, name);
                read.map_err(|error| format!("{name}: {error}"))
            })
            .collect::<Result<_, _>>()?;
        if contents.is_empty() {
            return Err("the name of a file is missing".to_owned());
        }
        Ok(contents)
    }
}

#[cfg(test)]
mod tests;
