//! What the directives without rules set. Names are the directives' without `Sec`; defaults are libmodsecurity's where it
//! has one.

use super::actions::{AuditEngine, RuleEngine};

/// The engine's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub rule_engine: RuleEngine,
    pub request_body_access: bool,
    /// Bytes.
    pub request_body_limit: u64,
    /// Bytes of a body without its files.
    pub request_body_no_files_limit: Option<u64>,
    pub request_body_limit_action: LimitAction,
    /// How deep JSON may nest.
    pub request_body_json_depth_limit: u32,
    pub response_body_access: bool,
    /// Bytes.
    pub response_body_limit: u64,
    pub response_body_limit_action: LimitAction,
    /// How deep JSON of a response may nest.
    pub response_body_json_depth_limit: u32,
    /// Without parameters, lower-case.
    pub response_body_mime_types: Vec<String>,
    /// How many arguments a request may have; more make `REQBODY_ERROR`.
    pub arguments_limit: u32,
    /// Between the arguments of `application/x-www-form-urlencoded`.
    pub argument_separator: u8,
    /// How many files an upload may have.
    pub upload_file_limit: u32,
    pub audit_engine: AuditEngine,
    /// A regular expression over the status; `None`: every status.
    pub audit_log_relevant_status: Option<String>,
    /// Letters, `ABIJDEFHZ`.
    pub audit_log_parts: String,
    pub audit_log_format: AuditLogFormat,
    /// Seconds a persistent collection is kept after its last change.
    pub collection_timeout: u32,
    pub component_signatures: Vec<String>,
    pub sensor_id: Option<String>,
    pub web_app_id: Option<String>,
    /// Of `utf8toUnicode` and `urlDecodeUni`: `SecUnicodeMapFile` with a code page. Kept as read: pairs of code point
    /// and byte.
    pub unicode_map: Vec<(u32, u8)>,
}

/// What happens to a body that is longer than its limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitAction {
    /// The exchange is refused: 413 for a request, 500 for a response.
    Reject,
    /// What fits is inspected.
    ProcessPartial,
}

/// `SecAuditLogFormat`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditLogFormat {
    Json,
    Native,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            rule_engine: RuleEngine::Off,
            request_body_access: false,
            request_body_limit: 134_217_728,
            request_body_no_files_limit: None,
            request_body_limit_action: LimitAction::Reject,
            request_body_json_depth_limit: 512,
            response_body_access: false,
            response_body_limit: 524_288,
            response_body_limit_action: LimitAction::ProcessPartial,
            response_body_json_depth_limit: 512,
            response_body_mime_types: vec!["text/plain".to_owned(), "text/html".to_owned()],
            arguments_limit: 1_000,
            argument_separator: b'&',
            upload_file_limit: 100,
            audit_engine: AuditEngine::Off,
            audit_log_relevant_status: None,
            audit_log_parts: "ABIJDEFHZ".to_owned(),
            audit_log_format: AuditLogFormat::Json,
            collection_timeout: 3_600,
            component_signatures: Vec::new(),
            sensor_id: None,
            web_app_id: None,
            unicode_map: Vec::new(),
        }
    }
}
