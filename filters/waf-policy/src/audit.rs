//! `audit: { mode: relevant, format: native, parts: ABHZ, status: "^5" }`

use portcullis_filter_settings::Section;
use portcullis_seclang::rules::actions::AuditEngine;

/// What the audit log gets.
#[derive(Default)]
pub(crate) struct Audit {
    pub(crate) engine: Option<AuditEngine>,
    /// Directives for what belongs to the rule set.
    pub(crate) directives: String,
}

impl Audit {
    pub(crate) fn read(mut section: Section<'_>) -> Self {
        let engines = [
            ("on", AuditEngine::On),
            ("off", AuditEngine::Off),
            ("relevant", AuditEngine::RelevantOnly),
        ];
        let engine = section.choice("mode", &engines);
        let mut directives = String::new();
        let formats = [("json", "JSON"), ("native", "Native")];
        if let Some(format) = section.choice("format", &formats) {
            directives += &format!("SecAuditLogFormat {format}\n");
        }
        if let Some(parts) = section.text("parts") {
            if parts.bytes().all(|byte| b"ABCDEFGHIJKZ".contains(&byte)) {
                directives += &format!("SecAuditLogParts {parts}\n");
            } else {
                section.refuse("parts", "must be letters of ABCDEFGHIJKZ");
            }
        }
        if let Some(status) = section.text("status") {
            if status.contains(['"', '\n', '\\']) {
                section.refuse(
                    "status",
                    "must be a regular expression without quotes and backslashes",
                );
            } else {
                directives += &format!("SecAuditLogRelevantStatus \"{status}\"\n");
            }
        }
        section.finish();
        Self { engine, directives }
    }
}
