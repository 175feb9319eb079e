//! `portcullis waf`: the WAF seen from outside.

use std::path::Path;
use std::process::ExitCode;

use portcullis_config::model::Filter;
use serde_json::{Value, json};

use super::{PROBLEMS, code, print};
use crate::server::control;
use crate::waf;

/// Prints what the guest of a filter is configured with, for hosts that do not read rules themselves.
pub(super) fn config(file: &Path, name: Option<&str>) -> ExitCode {
    let config = match control::load(file) {
        Ok(config) => config,
        Err(problems) => return print(&format!("{problems}\n"), code(&problems)),
    };
    let mut filters = config
        .filters
        .iter()
        .filter(|filter| waf::needs_rules(filter) && name.is_none_or(|name| filter.name == name));
    let (Some(filter), None) = (filters.next(), filters.next()) else {
        let text = "name a filter with `builtin: waf`: --filter NAME\n";
        return print(text, ExitCode::from(PROBLEMS));
    };
    match text(file, filter) {
        Ok(text) => print(&text, ExitCode::SUCCESS),
        Err(text) => print(&text, ExitCode::from(PROBLEMS)),
    }
}

fn text(file: &Path, filter: &Filter) -> Result<String, String> {
    let configuration = filter.config.bytes();
    let prepared = waf::prepare(file, filter, std::slice::from_ref(&configuration));
    let prepared = prepared.map_err(|problems| {
        let lines = problems.iter().map(|problem| format!("{problem}\n"));
        lines.collect::<String>()
    })?;
    let value = |bytes: &[u8]| serde_json::from_slice(bytes).unwrap_or(Value::Null);
    let both = json!({
        "configuration": value(&configuration),
        "vm_configuration": value(&prepared.vm_config),
    });
    Ok(format!("{both}\n"))
}
