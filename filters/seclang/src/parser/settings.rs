//! Directives that set something for the whole engine.

use super::actions::{audit_engine as audit, letters, number, on_off, rule_engine as engine};
use super::suggest::shown;
use super::{Call, Parser};
use crate::rules::Settings;
use crate::rules::settings::{AuditLogFormat, LimitAction};

/// The largest number of arguments, files or levels: all are held in memory.
const COUNT_MAX: u32 = 1_000_000;

/// Reads the only word and sets something with it.
fn one<T>(
    parser: &mut Parser<'_>,
    call: &Call<'_>,
    read: impl FnOnce(&str) -> Result<T, String>,
    set: impl FnOnce(&mut Settings, T),
) {
    let Some(word) = call.words.first() else {
        return;
    };
    match read(&word.text()) {
        Ok(value) => set(&mut parser.rules.settings, value),
        Err(reason) => parser.error(call, word.at, format!("{}: {reason}", call.name)),
    }
}

fn count(value: &str) -> Result<u32, String> {
    number(value, 1, COUNT_MAX)
}

fn bytes(value: &str) -> Result<u64, String> {
    number(value, 0, u64::MAX)
}

fn owned(value: &str) -> Result<String, String> {
    Ok(value.to_owned())
}

fn limit_action(value: &str) -> Result<LimitAction, String> {
    match value.to_ascii_lowercase().as_str() {
        "reject" => Ok(LimitAction::Reject),
        "processpartial" => Ok(LimitAction::ProcessPartial),
        _ => Err(format!(
            "{:?} is none of Reject, ProcessPartial",
            shown(value)
        )),
    }
}

pub(super) fn rule_engine(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, engine, |to, value| to.rule_engine = value);
}

pub(super) fn audit_engine(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, audit, |to, value| to.audit_engine = value);
}

pub(super) fn audit_log_format(parser: &mut Parser<'_>, call: &Call<'_>) {
    let read = |value: &str| match value.to_ascii_lowercase().as_str() {
        "json" => Ok(AuditLogFormat::Json),
        "native" => Ok(AuditLogFormat::Native),
        _ => Err(format!("{:?} is none of JSON, Native", shown(value))),
    };
    one(parser, call, read, |to, value| to.audit_log_format = value);
}

pub(super) fn audit_log_parts(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, letters, |to, value| {
        to.audit_log_parts = value
    });
}

pub(super) fn audit_log_relevant_status(parser: &mut Parser<'_>, call: &Call<'_>) {
    // The expression of ModSecurity's own configuration, and the same without what takes more than linear time.
    const RECOMMENDED: [(&str, &str); 2] = [
        ("^(?:5|4(?!04))", "^(?:5|4(?:0[^4]|[^0]))"),
        ("^(?:5|4(?!0[34]))", "^(?:5|4(?:0[^34]|[^0]))"),
    ];
    let read = |value: &str| {
        let same = RECOMMENDED.iter().find(|(written, _)| *written == value);
        owned(same.map_or(value, |(_, same)| same))
    };
    one(parser, call, read, |to, value| {
        to.audit_log_relevant_status = Some(value);
    });
}

pub(super) fn argument_separator(parser: &mut Parser<'_>, call: &Call<'_>) {
    let read = |value: &str| match value.as_bytes() {
        [separator] => Ok(*separator),
        _ => Err("one ASCII character".to_owned()),
    };
    one(parser, call, read, |to, value| {
        to.argument_separator = value
    });
}

pub(super) fn arguments_limit(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, count, |to, value| to.arguments_limit = value);
}

pub(super) fn upload_file_limit(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, count, |to, value| {
        to.upload_file_limit = value
    });
}

pub(super) fn collection_timeout(parser: &mut Parser<'_>, call: &Call<'_>) {
    let read = |value: &str| number(value, 0, u32::MAX);
    one(parser, call, read, |to, value| {
        to.collection_timeout = value
    });
}

pub(super) fn component_signature(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, owned, |to, value| {
        to.component_signatures.push(value);
    });
}

pub(super) fn sensor_id(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, owned, |to, value| to.sensor_id = Some(value));
}

pub(super) fn web_app_id(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, owned, |to, value| to.web_app_id = Some(value));
}

pub(super) fn cookie_format(parser: &mut Parser<'_>, call: &Call<'_>) {
    let read = |value: &str| match value {
        "0" => Ok(()),
        _ => Err("only 0, Netscape cookies, which browsers send".to_owned()),
    };
    one(parser, call, read, |_, ()| ());
}

pub(super) fn request_body_access(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, on_off, |to, value| {
        to.request_body_access = value
    });
}

pub(super) fn request_body_limit(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, bytes, |to, value| {
        to.request_body_limit = value
    });
}

pub(super) fn request_body_no_files_limit(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, bytes, |to, value| {
        to.request_body_no_files_limit = Some(value);
    });
}

pub(super) fn request_body_limit_action(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, limit_action, |to, value| {
        to.request_body_limit_action = value;
    });
}

pub(super) fn request_body_json_depth_limit(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, count, |to, value| {
        to.request_body_json_depth_limit = value;
    });
}

pub(super) fn response_body_json_depth_limit(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, count, |to, value| {
        to.response_body_json_depth_limit = value;
    });
}

pub(super) fn response_body_access(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, on_off, |to, value| {
        to.response_body_access = value
    });
}

pub(super) fn response_body_limit(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, bytes, |to, value| {
        to.response_body_limit = value
    });
}

pub(super) fn response_body_limit_action(parser: &mut Parser<'_>, call: &Call<'_>) {
    one(parser, call, limit_action, |to, value| {
        to.response_body_limit_action = value;
    });
}

/// The first replaces what is set without any; further ones add, as in ModSecurity.
pub(super) fn response_body_mime_type(parser: &mut Parser<'_>, call: &Call<'_>) {
    if !std::mem::replace(&mut parser.mime_types_named, true) {
        parser.rules.settings.response_body_mime_types.clear();
    }
    for word in &call.words {
        for named in word.text().split_ascii_whitespace() {
            let lower = named.to_ascii_lowercase();
            let known = &mut parser.rules.settings.response_body_mime_types;
            if !known.contains(&lower) {
                known.push(lower);
            }
        }
    }
}

pub(super) fn response_body_mime_types_clear(parser: &mut Parser<'_>, _: &Call<'_>) {
    parser.mime_types_named = true;
    parser.rules.settings.response_body_mime_types.clear();
}

/// `SecDataset name` and records between backticks, one a line.
pub(super) fn dataset(parser: &mut Parser<'_>, call: &Call<'_>) {
    let [name, records] = call.words.as_slice() else {
        return;
    };
    let records = records.text();
    let records: Vec<_> = records
        .lines()
        .map(str::trim_ascii)
        .filter(|record| !record.is_empty())
        .collect();
    let known = parser
        .datasets
        .insert(name.text().into_owned(), records.join("\n"));
    if known.is_some() {
        let message = format!("there is a dataset {:?} already", shown(name.raw));
        parser.error(call, name.at, message);
    }
}

/// `SecUnicodeMapFile unicode.mapping 20127`
pub(super) fn unicode_map_file(parser: &mut Parser<'_>, call: &Call<'_>) {
    let [file, page] = call.words.as_slice() else {
        return;
    };
    let Ok(page_number) = number(&page.text(), 0, u32::MAX) else {
        let message = format!("{:?} is no code page", shown(page.raw));
        return parser.error(call, page.at, message);
    };
    match parser.read(call, &file.text()) {
        Ok(bytes) => {
            let map = unicode_map(&String::from_utf8_lossy(&bytes), page_number);
            if map.is_empty() {
                let message = format!("{} has no code page {page_number}", shown(file.raw));
                return parser.error(call, page.at, message);
            }
            parser.rules.settings.unicode_map = map;
        }
        Err(reason) => parser.error(call, file.at, reason),
    }
}

/// The pairs below the code page's number: `20127 (US-ASCII)`, then lines of `00a0:20 00a1:21`.
fn unicode_map(text: &str, page: u32) -> Vec<(u32, u8)> {
    let mut map = Vec::new();
    let mut wanted = false;
    for word in text.split_ascii_whitespace() {
        let pair = word.split_once(':').and_then(|(point, byte)| {
            let point = u32::from_str_radix(point, 16).ok()?;
            Some((point, u8::from_str_radix(byte, 16).ok()?))
        });
        match pair {
            Some(pair) if wanted => map.push(pair),
            Some(_) => {}
            None if !map.is_empty() => break,
            // A name may follow the number.
            None => wanted = word.parse() == Ok(page) || (wanted && word.parse::<u32>().is_err()),
        }
    }
    map
}
