//! What tunes the rules without changing them.

use portcullis_filter_settings::Section;
use portcullis_seclang::rules::actions::{AuditEngine, RuleEngine};
use portcullis_seclang::rules::settings::LimitAction;
use portcullis_seclang::transaction::tuning::{Settings, Spoken};
use serde_json::Value;

use crate::{BODY_MAX, Mode, exclude, setup};

pub(crate) fn read(
    section: &mut Section<'_>,
    mode: Mode,
    audit_engine: Option<AuditEngine>,
) -> Spoken {
    let limits = section.section("body_limits").map(BodyLimits::read);
    let limits = limits.unwrap_or_default();
    let response_bodies = section.flag("response_bodies");
    Spoken {
        exclusions: exclude::read(section),
        settings: Settings {
            engine: Some(match mode {
                Mode::Off => RuleEngine::Off,
                Mode::Detect => RuleEngine::DetectionOnly,
                Mode::Block => RuleEngine::On,
            }),
            audit_engine,
            request_body_limit: limits.request,
            request_body_limit_action: limits.action,
            response_body_access: response_bodies,
            response_body_limit: limits.response,
            // A response that is too long to be inspected is no reason to refuse it, unless somebody says so.
            response_body_limit_action: limits.action,
            tx: setup::read(section),
            ..Settings::default()
        },
    }
}

#[derive(Default)]
struct BodyLimits {
    request: Option<u64>,
    response: Option<u64>,
    action: Option<LimitAction>,
}

impl BodyLimits {
    fn read(mut section: Section<'_>) -> Self {
        let limits = Self {
            request: size(&mut section, "request"),
            response: size(&mut section, "response"),
            action: section.choice(
                "action",
                &[
                    ("reject", LimitAction::Reject),
                    ("partial", LimitAction::ProcessPartial),
                ],
            ),
        };
        section.finish();
        limits
    }
}

/// Bytes: a number, or a text such as `512KiB`.
fn size(section: &mut Section<'_>, key: &'static str) -> Option<u64> {
    let value = section.value(key)?;
    let size = match &value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => parse_size(text),
        _ => None,
    };
    let size = size.filter(|size| (1..=BODY_MAX).contains(size));
    if size.is_none() {
        section.refuse(key, "must be a size from 1 byte to 64MiB, such as 512KiB");
    }
    size
}

fn parse_size(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}
