//! `exclude`: rules that do not run, or do not look at something, everywhere or on some paths.

use portcullis_filter_settings::{Problems, Section};
use portcullis_seclang::parser;
use portcullis_seclang::plan::ctl::Select;
use portcullis_seclang::transaction::tuning::{Exclusions, PathMatch};
use serde_json::Value;

/// Exclusions of one configuration.
const EXCLUSIONS_MAX: usize = 1_000;

pub(crate) fn read(section: &mut Section<'_>) -> Vec<Exclusions> {
    let Some(items) = section.list("exclude") else {
        return Vec::new();
    };
    if items.len() > EXCLUSIONS_MAX {
        section.refuse(
            "exclude",
            format_args!("has more than {EXCLUSIONS_MAX} entries"),
        );
    }
    let problems = section.problems();
    items
        .into_iter()
        .filter_map(|(path, item)| exclusion(Section::of(path, item, problems)?, problems))
        .collect()
}

fn exclusion(mut section: Section<'_>, problems: &Problems) -> Option<Exclusions> {
    let rules = rules(&mut section, problems);
    let path = section.value("path").map(|value| path(&section, value));
    let target = section.text("target").map(|text| {
        parser::target(&text)
            .map_err(|message| section.refuse("target", message))
            .ok()
    });
    section.finish();
    Some(Exclusions {
        rules: rules?,
        // What is there and wrong is a problem, never a wider exclusion.
        path: match path {
            Some(path) => Some(path?),
            None => None,
        },
        target: match target {
            Some(target) => Some(target?),
            None => None,
        },
    })
}

/// `rule: 942100`, `rule: "942000-942999"`, a list of these, or `tag`.
fn rules(section: &mut Section<'_>, problems: &Problems) -> Option<Select> {
    let rule = section.value("rule");
    let tag = section.text("tag");
    match (rule, tag) {
        (Some(rule), None) => {
            let items = match rule {
                Value::Array(items) => items,
                single => vec![single],
            };
            let ranges: Option<Vec<_>> = items.iter().map(range).collect();
            let ranges = ranges.filter(|ranges| !ranges.is_empty());
            if ranges.is_none() {
                section.refuse(
                    "rule",
                    "must be an id, a range such as 942000-942999, or a list of these",
                );
            }
            ranges.map(Select::Ids)
        }
        (None, Some(tag)) => Some(Select::Tag(tag)),
        _ => {
            problems.add(section.path(), "needs either rule or tag");
            None
        }
    }
}

fn range(value: &Value) -> Option<(u64, u64)> {
    if let Some(id) = value.as_u64() {
        return Some((id, id));
    }
    let text = value.as_str()?;
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let range = (from.trim().parse().ok()?, to.trim().parse().ok()?);
    (range.0 <= range.1).then_some(range)
}

/// A text is a prefix.
fn path(section: &Section<'_>, value: Value) -> Option<PathMatch> {
    match value {
        Value::String(prefix) if prefix.starts_with('/') => Some(PathMatch::Prefix(prefix)),
        Value::Object(fields) if fields.len() == 1 => {
            let (kind, value) = fields.into_iter().next()?;
            let text = value
                .as_str()
                .filter(|text| !text.is_empty())
                .map(str::to_owned);
            match (kind.as_str(), text) {
                ("prefix", Some(text)) if text.starts_with('/') => Some(PathMatch::Prefix(text)),
                ("exact", Some(text)) if text.starts_with('/') => Some(PathMatch::Exact(text)),
                ("regex", Some(text)) => Some(PathMatch::Regex(text)),
                _ => refused(section),
            }
        }
        _ => refused(section),
    }
}

fn refused(section: &Section<'_>) -> Option<PathMatch> {
    section.refuse(
        "path",
        "must be one of prefix: /path, exact: /path, regex: pattern",
    );
    None
}
