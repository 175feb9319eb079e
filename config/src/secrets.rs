//! Which scalars of a file are secret, and showing the file without them.
//!
//! A scalar is secret when a key above it smells of secrets, except for keys whose names users choose freely (the
//! names of filters, say). Too much hidden is a nuisance, too little a leak: when in doubt it is hidden.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::{Map, Value};

use crate::expand;
use crate::yaml::{Content, Node, REDACTED, Scalar};

/// A key that holds one of these, in lower case and with `-` as `_`, is about a secret.
const SMELLS: [&str; 12] = [
    "secret",
    "token",
    "password",
    "passwd",
    "passphrase",
    "private",
    "credential",
    "api_key",
    "apikey",
    "authorization",
    "cookie",
    "signing",
];

/// Keys that are about a secret when they are exactly this.
const NAMES: [&str; 10] = [
    "key", "keys", "env", "hmac", "jwk", "jwks", "pem", "salt", "basic", "users",
];

/// Marks every secret scalar of the file, wherever aliases carried it.
pub(crate) fn mark(root: &mut Node) {
    let mut secret = HashSet::new();
    find(root, Under::Part(Part::Top), &mut secret);
    root.each_scalar_mut(&mut |scalar| scalar.secret = secret.contains(&scalar.span.start));
}

/// The text with its secrets as asterisks: same lines, same columns. `root` is marked.
pub(crate) fn mask(text: &str, root: &Node) -> String {
    let mut spans: Vec<Range<usize>> = Vec::new();
    secret_spans(root, &mut spans);
    spans.sort_by_key(|span| (span.start, span.end));
    spans.dedup();
    let mut masked = String::with_capacity(text.len());
    let mut end = 0;
    for span in spans {
        let (Some(before), Some(hidden)) = (text.get(end..span.start), text.get(span.clone()))
        else {
            continue;
        };
        masked.push_str(before);
        masked.extend(
            hidden
                .chars()
                .map(|c| if c == '\n' || c == '\r' { c } else { '*' }),
        );
        end = span.end;
    }
    masked.push_str(text.get(end..).unwrap_or_default());
    masked
}

fn secret_spans(node: &Node, spans: &mut Vec<Range<usize>>) {
    match &node.content {
        Content::Scalar(scalar) if scalar.secret => spans.push(scalar.span.clone()),
        Content::Scalar(_) => {}
        Content::List(items) => items.iter().for_each(|item| secret_spans(item, spans)),
        Content::Mapping(entries) => {
            for entry in entries {
                if entry.key_shown != entry.key {
                    spans.push(entry.key_span.clone());
                }
                secret_spans(&entry.node, spans);
            }
        }
    }
}

/// How a key is shown that has swallowed its secret; `None` where it has not.
pub(crate) fn key_shown(key: &str) -> Option<String> {
    let (open, hidden) = key.split_at(after_smelling_word(key)?);
    (!hidden.trim().is_empty()).then(|| format!("{open}{REDACTED}"))
}

/// The text of a file that is not YAML, broken at `line` below the keys of `path`, so that only guesses are left:
/// whatever follows a smelling word in its line and in the deeper lines below is masked, and so is every run of
/// characters that could be key material, and the broken line if its path smells.
pub(crate) fn mask_by_guess(text: &str, broken_line: usize, path: &str) -> String {
    let path_smells = path.split(['.', '[', ']', '"']).any(smells);
    let mut masked = String::with_capacity(text.len());
    let mut below: Option<usize> = None;
    let mut in_pem = false;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let indent = line.len() - line.trim_start().len();
        let is_blank = line.trim().is_empty();
        let is_broken = path_smells && index + 1 == broken_line;
        in_pem = (in_pem || line.contains("-----BEGIN")) && !line.contains("-----END");
        if below.is_some_and(|outer| indent > outer) || is_blank || is_broken || in_pem {
            mask_all(line, &mut masked);
            continue;
        }
        let hidden_from = after_smelling_word(line);
        below = hidden_from.map(|_| indent);
        let (open, hidden) = line.split_at(hidden_from.unwrap_or(line.len()));
        mask_runs(open, &mut masked);
        mask_all(hidden, &mut masked);
    }
    masked
}

/// Where the value of the first key begins that smells of secrets.
fn after_smelling_word(text: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices([':', '=']).find_map(|(at, _)| {
        let before = text[..at].trim_end_matches(|c| !is_word(c));
        let word = before.rsplit(|c| !is_word(c)).next()?;
        // `${env:NAME}` is no secret, and neither is `tokens:8080`.
        let after = text[at + 1..].trim_end();
        let is_port = (1..=5).contains(&after.len()) && after.bytes().all(|b| b.is_ascii_digit());
        let is_secret = smells(word) && !is_port && !text[..at].ends_with("${env");
        is_secret.then_some(at + 1)
    })
}

fn mask_all(text: &str, masked: &mut String) {
    masked.extend(
        text.chars()
            .map(|c| if c.is_whitespace() { c } else { '*' }),
    );
}

/// Masks long runs of the characters of base64 and hexadecimal.
fn mask_runs(text: &str, masked: &mut String) {
    const RUN: usize = 16;
    let is_material = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let run = rest.find(|c| !is_material(c)).unwrap_or(rest.len());
        let (part, after) = rest.split_at(if run > 0 { run } else { first.len_utf8() });
        match run >= RUN {
            true => mask_all(part, masked),
            false => masked.push_str(part),
        }
        rest = after;
    }
}

/// The file as JSON: `${...}` left as written, secrets replaced. `root` is marked.
pub(crate) fn redacted(root: &Node) -> Value {
    match &root.content {
        Content::List(items) => items.iter().map(redacted).collect(),
        Content::Mapping(entries) => Value::Object(
            entries
                .iter()
                .map(|e| (e.key_shown.to_string(), redacted(&e.node)))
                .collect::<Map<_, _>>(),
        ),
        Content::Scalar(scalar) if scalar.is_null() => Value::Null,
        Content::Scalar(scalar) if scalar.secret => REDACTED.into(),
        Content::Scalar(scalar) if expand::is_literal(&scalar.written) => scalar
            .resolve()
            .unwrap_or_else(|_| scalar.written.as_ref().into()),
        Content::Scalar(scalar) => scalar.written.as_ref().into(),
    }
}

/// What the keys above say about a node.
#[derive(Clone, Copy)]
enum Under {
    /// Everything below is secret.
    Secret,
    /// It depends on the keys below.
    Part(Part),
    /// Nothing below is secret, whatever the keys.
    Open,
}

/// Which part of the file a mapping is in: keys mean different things.
#[derive(Clone, Copy)]
enum Part {
    Top,
    /// Its keys are names that users choose, and so say nothing.
    Names,
    Listeners,
    Routes,
    Other,
}

fn find(node: &mut Node, under: Under, secret: &mut HashSet<usize>) {
    match &mut node.content {
        Content::Scalar(scalar) => {
            if !scalar.span.is_empty() && is_secret(scalar, under) {
                secret.insert(scalar.span.start);
            }
        }
        Content::List(items) => items.iter_mut().for_each(|item| find(item, under, secret)),
        Content::Mapping(entries) => {
            for entry in entries {
                let below = match under {
                    Under::Secret | Under::Open => under,
                    Under::Part(part) => below(part, &entry.key, &entry.node),
                };
                if matches!(under, Under::Secret)
                    && let Some(at) = entry.key.find([':', '='])
                {
                    entry.key_shown = format!("{}{REDACTED}", &entry.key[..=at]).into();
                }
                find(&mut entry.node, below, secret);
            }
        }
    }
}

fn is_secret(scalar: &Scalar, under: Under) -> bool {
    match under {
        // A reference alone tells nothing but where the secret lies.
        Under::Secret => !expand::is_reference(&scalar.written),
        Under::Open => scalar.written.contains("PRIVATE KEY-----"),
        // A missing blank makes `token:hunter2` of a key and its value.
        Under::Part(_) => {
            scalar.written.contains("PRIVATE KEY-----")
                || after_smelling_word(&scalar.written).is_some_and(|at| at < scalar.written.len())
        }
    }
}

fn below(part: Part, key: &str, node: &Node) -> Under {
    match (part, key) {
        (Part::Top, "filters" | "upstreams" | "chains") => Under::Part(Part::Names),
        (Part::Top, "listeners") => Under::Part(Part::Listeners),
        (Part::Top, "routes") => Under::Part(Part::Routes),
        (Part::Routes, "overrides") => Under::Part(Part::Names),
        // Text that a module parses itself may hold anything; where it speaks of secrets, it is hidden.
        (Part::Names, _) | (_, "config" | "vm_config") if says_secrets(node) => Under::Secret,
        (Part::Names, _) => Under::Part(Part::Other),
        (Part::Listeners, "certificates") => certificates(node),
        (_, key) if smells(key) => Under::Secret,
        (Part::Listeners | Part::Routes, _) => Under::Part(part),
        (Part::Top | Part::Other, _) => Under::Part(Part::Other),
    }
}

/// Paths may be seen, key material may not.
fn certificates(node: &Node) -> Under {
    let mut inline = false;
    each_scalar(node, &mut |scalar| {
        inline |= scalar.written.contains("-----") || scalar.written.contains('\n')
    });
    if inline { Under::Secret } else { Under::Open }
}

fn says_secrets(node: &Node) -> bool {
    let Content::Scalar(scalar) = &node.content else {
        return false;
    };
    let text = scalar.written.to_ascii_lowercase();
    text.contains("key") || SMELLS.iter().any(|smell| text.contains(smell))
}

fn each_scalar(node: &Node, visit: &mut impl FnMut(&Scalar)) {
    match &node.content {
        Content::Scalar(scalar) => visit(scalar),
        Content::List(items) => items.iter().for_each(|item| each_scalar(item, visit)),
        Content::Mapping(entries) => entries
            .iter()
            .for_each(|entry| each_scalar(&entry.node, visit)),
    }
}

fn smells(key: &str) -> bool {
    let key = key.to_ascii_lowercase().replace('-', "_");
    NAMES.contains(&key.as_str())
        || key.ends_with("_key")
        || SMELLS.iter().any(|smell| key.contains(smell))
}
