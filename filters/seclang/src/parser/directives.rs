//! The table of all directives, and how each is carried out.

use super::settings as set;
use super::support::Support;
use super::{Call, Parser, rule, updates};

/// Carries a directive out.
#[derive(Clone, Copy)]
pub struct Apply(pub(super) fn(&mut Parser<'_>, &Call<'_>));

/// A directive of the language.
#[derive(Clone, Copy)]
pub struct Directive {
    /// As files spell it; case does not count.
    pub name: &'static str,
    /// How many words may follow the name.
    pub(super) words: (usize, usize),
    pub support: Support<Apply>,
}

const MANY: usize = usize::MAX;

const fn on(
    name: &'static str,
    least: usize,
    most: usize,
    apply: fn(&mut Parser<'_>, &Call<'_>),
) -> Directive {
    Directive {
        name,
        words: (least, most),
        support: Support::Full(Apply(apply)),
    }
}

const fn no_effect(name: &'static str, reason: &'static str) -> Directive {
    Directive {
        name,
        words: (0, MANY),
        support: Support::NoEffect(reason),
    }
}

const fn only_off(name: &'static str, reason: &'static str) -> Directive {
    Directive {
        name,
        words: (1, 1),
        support: Support::OnlyOff(reason),
    }
}

const fn refused(name: &'static str, reason: &'static str) -> Directive {
    Directive {
        name,
        words: (0, MANY),
        support: Support::Refused(reason),
    }
}

const AUDIT_LOG: &str = "where the audit log goes is the filter's configuration";
const CONNECTIONS: &str = "connections are limited by the proxy's listeners";
const DEBUG_LOG: &str = "the log and its level are the proxy's";
const LINEAR: &str = "matching takes linear time and needs no limit";
const MEMORY: &str = "bodies are held in memory, up to SecRequestBodyLimit";
const NO_FILES: &str = "uploads are inspected and not stored";
const NO_HASHES: &str = "links are not signed here";
const REMOTE: &str = "rules are not fetched at start: fetch the file and Include it";

/// All directives.
pub const DIRECTIVES: &[Directive] = &[
    on("Include", 1, 1, super::include::include),
    on("SecAction", 1, 1, rule::action),
    on("SecArgumentSeparator", 1, 1, set::argument_separator),
    on("SecArgumentsLimit", 1, 1, set::arguments_limit),
    on("SecAuditEngine", 1, 1, set::audit_engine),
    no_effect("SecAuditLog", AUDIT_LOG),
    no_effect("SecAuditLog2", AUDIT_LOG),
    no_effect("SecAuditLogDirMode", AUDIT_LOG),
    no_effect("SecAuditLogFileMode", AUDIT_LOG),
    on("SecAuditLogFormat", 1, 1, set::audit_log_format),
    on("SecAuditLogParts", 1, 1, set::audit_log_parts),
    on(
        "SecAuditLogRelevantStatus",
        1,
        1,
        set::audit_log_relevant_status,
    ),
    no_effect("SecAuditLogStorageDir", AUDIT_LOG),
    no_effect("SecAuditLogType", AUDIT_LOG),
    no_effect(
        "SecCacheTransformations",
        "their results are always kept within a phase",
    ),
    no_effect(
        "SecChrootDir",
        "the proxy's file system is the service manager's business",
    ),
    on("SecCollectionTimeout", 1, 1, set::collection_timeout),
    on("SecComponentSignature", 1, 1, set::component_signature),
    only_off("SecConnEngine", CONNECTIONS),
    no_effect("SecConnReadStateLimit", CONNECTIONS),
    no_effect("SecConnWriteStateLimit", CONNECTIONS),
    only_off("SecContentInjection", "bodies are not changed by rules"),
    on("SecCookieFormat", 1, 1, set::cookie_format),
    refused(
        "SecCookieV0Separator",
        "cookies are separated by semicolons",
    ),
    no_effect("SecDataDir", "collections live in the proxy's shared data"),
    on("SecDataset", 2, 2, set::dataset),
    no_effect("SecDebugLog", DEBUG_LOG),
    no_effect("SecDebugLogLevel", DEBUG_LOG),
    on("SecDefaultAction", 1, 1, rule::default_action),
    only_off(
        "SecDisableBackendCompression",
        "take Accept-Encoding away with a header filter",
    ),
    no_effect(
        "SecGeoLookupDb",
        "@geoLookup asks the proxy, whose configuration names the database",
    ),
    refused("SecGsbLookupDb", "the service is gone"),
    no_effect("SecGuardianLog", AUDIT_LOG),
    only_off("SecHashEngine", NO_HASHES),
    no_effect("SecHashKey", NO_HASHES),
    no_effect("SecHashMethodPm", NO_HASHES),
    no_effect("SecHashMethodRx", NO_HASHES),
    no_effect("SecHashParam", NO_HASHES),
    no_effect("SecHttpBlKey", "@rbl asks no list that needs a key"),
    only_off(
        "SecIgnoreRuleCompilationErrors",
        "a rule that does not load protects nothing",
    ),
    only_off(
        "SecInterceptOnError",
        "an error of the engine always refuses the exchange",
    ),
    on("SecMarker", 1, 1, rule::marker),
    no_effect("SecPcreMatchLimit", LINEAR),
    no_effect("SecPcreMatchLimitRecursion", LINEAR),
    no_effect("SecReadStateLimit", CONNECTIONS),
    refused("SecRemoteRules", REMOTE),
    no_effect("SecRemoteRulesFailAction", REMOTE),
    on("SecRequestBodyAccess", 1, 1, set::request_body_access),
    no_effect("SecRequestBodyInMemoryLimit", MEMORY),
    on(
        "SecRequestBodyJsonDepthLimit",
        1,
        1,
        set::request_body_json_depth_limit,
    ),
    on("SecRequestBodyLimit", 1, 1, set::request_body_limit),
    on(
        "SecRequestBodyLimitAction",
        1,
        1,
        set::request_body_limit_action,
    ),
    on(
        "SecRequestBodyNoFilesLimit",
        1,
        1,
        set::request_body_no_files_limit,
    ),
    on("SecResponseBodyAccess", 1, 1, set::response_body_access),
    on(
        "SecResponseBodyJsonDepthLimit",
        1,
        1,
        set::response_body_json_depth_limit,
    ),
    on("SecResponseBodyLimit", 1, 1, set::response_body_limit),
    on(
        "SecResponseBodyLimitAction",
        1,
        1,
        set::response_body_limit_action,
    ),
    on(
        "SecResponseBodyMimeType",
        1,
        MANY,
        set::response_body_mime_type,
    ),
    on(
        "SecResponseBodyMimeTypesClear",
        0,
        0,
        set::response_body_mime_types_clear,
    ),
    on("SecRule", 2, 3, rule::rule),
    on("SecRuleEngine", 1, 1, set::rule_engine),
    only_off(
        "SecRuleInheritance",
        "rules of routes are overrides in the filter's configuration",
    ),
    no_effect("SecRulePerfTime", "the proxy measures its filters itself"),
    on("SecRuleRemoveById", 1, MANY, updates::remove_by_id),
    on("SecRuleRemoveByMsg", 1, 1, updates::remove_by_message),
    on("SecRuleRemoveByTag", 1, 1, updates::remove_by_tag),
    refused(
        "SecRuleScript",
        "a filter runs no Lua: write a filter in any language, or rules",
    ),
    on("SecRuleUpdateActionById", 2, MANY, updates::actions_by_id),
    on("SecRuleUpdateTargetById", 2, MANY, updates::targets_by_id),
    on(
        "SecRuleUpdateTargetByMsg",
        2,
        3,
        updates::targets_by_message,
    ),
    on("SecRuleUpdateTargetByTag", 2, 3, updates::targets_by_tag),
    no_effect("SecRxPreFilter", "there is always one"),
    on("SecSensorId", 1, 1, set::sensor_id),
    no_effect(
        "SecServerSignature",
        "change the server header with a header filter",
    ),
    no_effect("SecStatusEngine", "nothing is reported home"),
    only_off("SecStreamInBodyInspection", "use REQUEST_BODY"),
    only_off("SecStreamOutBodyInspection", "use RESPONSE_BODY"),
    no_effect("SecTmpDir", NO_FILES),
    no_effect("SecTmpSaveUploadedFiles", NO_FILES),
    refused("SecUnicodeMap", "use SecUnicodeMapFile with a code page"),
    on("SecUnicodeMapFile", 2, 2, set::unicode_map_file),
    no_effect("SecUploadDir", NO_FILES),
    on("SecUploadFileLimit", 1, 1, set::upload_file_limit),
    no_effect("SecUploadFileMode", NO_FILES),
    no_effect("SecUploadKeepFiles", NO_FILES),
    on("SecWebAppId", 1, 1, set::web_app_id),
    no_effect("SecWriteStateLimit", CONNECTIONS),
    only_off(
        "SecXmlExternalEntity",
        "entities are never loaded, for safety",
    ),
];
