//! The lines and records of logs.
//!
//! - [`Transaction::log_line`]: one line for a rule that matched, in the manner of ModSecurity 3, the id first.
//! - [`Transaction::audit_json`]: the exchange, with libmodsecurity's names.
//! - [`Transaction::audit_native`]: the exchange in ModSecurity's serial format, which fail2ban and others read.

use std::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use crate::pairs::Pairs;
use crate::rules::actions::AuditEngine;
use crate::transaction::Transaction;
use crate::transaction::record::{Match, Value};
use crate::transaction::time::Calendar;

impl Transaction {
    /// The line of a match. Never cut; control characters and quotes are escaped, so it is always one line.
    pub fn log_line(&self, found: &Match) -> String {
        let mut line = String::with_capacity(512);
        let verdict = if found.intervened {
            let status = self.intervention.as_ref().map_or(0, |it| it.status);
            format!(
                "Access denied with code {status} (phase {})",
                found.phase.number()
            )
        } else {
            "Warning".to_owned()
        };
        let _ = write!(line, "ModSecurity: {verdict}. [id \"{}\"]", found.id);
        match found.values.first() {
            Some(value) => {
                line.push_str(" Matched \"Operator `");
                escape(&mut line, first_words(&found.operator).as_bytes());
                line.push_str("' against variable `");
                escape(&mut line, value.name.as_bytes());
                line.push_str("' (Value: `");
                escape(&mut line, value.seen.get(..100).unwrap_or(&value.seen));
                line.push_str("')\"");
            }
            None => line.push_str(" Unconditional match"),
        }
        let severity = found.severity.map(|severity| severity.to_string());
        let number = found.line.to_string();
        let fields: [(&str, &str); 9] = [
            ("file", &found.file),
            ("line", &number),
            ("rev", &found.revision),
            ("msg", &found.message),
            ("data", &found.data),
            ("severity", severity.as_deref().unwrap_or_default()),
            ("ver", &found.version),
            ("maturity", &found.maturity.to_string()),
            ("accuracy", &found.accuracy.to_string()),
        ];
        for (name, value) in fields {
            field(&mut line, name, value.as_bytes());
        }
        for tag in &found.tags {
            field(&mut line, "tag", tag.as_bytes());
        }
        field(&mut line, "hostname", self.data.server_address.as_bytes());
        field(&mut line, "uri", &self.data.request.path);
        field(&mut line, "unique_id", self.data.unique_id.as_bytes());
        line
    }

    /// Whether the audit log wants this exchange (`SecAuditEngine`, `SecAuditLogRelevantStatus`, `noauditlog`).
    pub fn is_audited(&self, relevant: Option<&regex_automata::meta::Regex>) -> bool {
        match self.audit_engine {
            AuditEngine::Off => false,
            AuditEngine::On => true,
            AuditEngine::RelevantOnly => {
                let status = self.status().to_string();
                relevant.is_some_and(|pattern| pattern.is_match(&status))
                    || self.matches.iter().any(|found| found.audit_log)
            }
        }
    }

    /// What the client was answered.
    fn status(&self) -> u16 {
        match &self.intervention {
            Some(intervention) => intervention.status,
            None => self.data.response.status,
        }
    }

    /// The record of the exchange, one line of JSON.
    pub fn audit_json(&self) -> String {
        let data = &self.data;
        let calendar = Calendar::utc(data.began.as_secs());
        let mut request = Map::new();
        request.insert("method".into(), text(&data.request.method));
        request.insert("http_version".into(), text(version(&data.request.protocol)));
        request.insert("uri".into(), text(&data.request.target));
        if self.has_part('B') {
            request.insert("headers".into(), headers(&data.request.headers));
        }
        if self.has_part('C') || self.has_part('I') {
            request.insert("body".into(), text(&data.request.body));
        }
        let mut response = Map::new();
        response.insert("http_code".into(), self.status().into());
        if self.has_part('F') {
            response.insert("headers".into(), headers(&data.response.headers));
        }
        if self.has_part('E') {
            response.insert("body".into(), text(&data.response.body));
        }
        let mut transaction = json!({
            "client_ip": data.client_address,
            "time_stamp": calendar.log_time(),
            "client_port": data.client_port,
            "host_ip": data.server_address,
            "host_port": data.server_port,
            "unique_id": data.unique_id,
            "is_interrupted": self.intervention.is_some(),
            "request": request,
            "response": response,
        });
        if let Some(fields) = transaction.as_object_mut() {
            if self.has_part('H') {
                fields.insert("producer".into(), self.producer());
                let audited = self.matches.iter().filter(|found| found.audit_log);
                fields.insert("messages".into(), audited.map(message).collect());
            }
            if self.has_part('J') {
                fields.insert("files".into(), self.files());
            }
        }
        json!({ "transaction": transaction }).to_string()
    }

    fn producer(&self) -> Json {
        let settings = &self.plan.settings;
        json!({
            "modsecurity": concat!("Portcullis ", env!("CARGO_PKG_VERSION")),
            "components": settings.component_signatures,
            "secrules_engine": format!("{:?}", self.engine),
            "sensor_id": settings.sensor_id,
        })
    }

    fn files(&self) -> Json {
        let files = self.data.request.parsed.files.iter();
        files
            .map(|file| {
                json!({ "name": text(&file.name), "filename": text(&file.filename), "size": file.content.len() })
            })
            .collect()
    }

    fn has_part(&self, part: char) -> bool {
        self.audit_parts.contains(part)
    }

    /// The record in ModSecurity's serial format: parts between lines with a boundary made of the request id.
    pub fn audit_native(&self) -> String {
        let data = &self.data;
        let boundary = boundary(&data.unique_id);
        let mut out = String::new();
        let mut part = |letter: char, text: &str| {
            let _ = write!(out, "--{boundary}-{letter}--\n{text}\n");
        };
        let calendar = Calendar::utc(data.began.as_secs());
        part(
            'A',
            &format!(
                "[{}] {} {} {} {} {}",
                calendar.log_time(),
                data.unique_id,
                data.client_address,
                data.client_port,
                data.server_address,
                data.server_port
            ),
        );
        for letter in ['B', 'C', 'E', 'F', 'H', 'I', 'J'] {
            if !self.has_part(letter) {
                continue;
            }
            let body = match letter {
                'B' => format!(
                    "{}\n{}",
                    lossy(&data.request.line),
                    header_lines(&data.request.headers)
                ),
                'C' | 'I' if !data.request.body.is_empty() => lossy(&data.request.body),
                'E' if !data.response.body.is_empty() => lossy(&data.response.body),
                'F' => format!(
                    "{} {}\n{}",
                    lossy(&data.response.protocol),
                    self.status(),
                    header_lines(&data.response.headers)
                ),
                'H' => {
                    let audited = self.matches.iter().filter(|found| found.audit_log);
                    audited.map(|found| self.log_line(found) + "\n").collect()
                }
                'J' if !data.request.parsed.files.is_empty() => self.files().to_string(),
                _ => continue,
            };
            part(letter, &body);
        }
        part('Z', "");
        out
    }
}

fn message(found: &Match) -> Json {
    json!({
        "message": found.message,
        "details": {
            "match": found.values.iter().map(matched).collect::<Vec<_>>(),
            "operator": first_words(&found.operator),
            "ruleId": found.id.to_string(),
            "file": found.file,
            "lineNumber": found.line.to_string(),
            "data": found.data,
            "severity": found.severity.map(|severity| severity.to_string()).unwrap_or_default(),
            "ver": found.version,
            "rev": found.revision,
            "tags": found.tags,
            "maturity": found.maturity.to_string(),
            "accuracy": found.accuracy.to_string(),
        }
    })
}

fn matched(value: &Value) -> Json {
    json!({ "variable": value.name, "value": text(&value.seen) })
}

fn text(bytes: &[u8]) -> Json {
    Json::String(lossy(bytes))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn headers(headers: &Pairs) -> Json {
    let mut map = Map::new();
    for (name, value) in headers.iter() {
        let name = lossy(name);
        // A name that came twice has its values in an array: nothing is lost.
        match map.get_mut(&name) {
            None => {
                map.insert(name, text(value));
            }
            Some(Json::Array(values)) => values.push(text(value)),
            Some(first) => *first = Json::Array(vec![first.take(), text(value)]),
        }
    }
    map.into()
}

fn header_lines(headers: &Pairs) -> String {
    let mut lines = String::new();
    for (name, value) in headers.iter() {
        let _ = writeln!(lines, "{}: {}", lossy(name), lossy(value));
    }
    lines
}

/// `1.1` of `HTTP/1.1`
fn version(protocol: &[u8]) -> &[u8] {
    protocol.strip_prefix(b"HTTP/").unwrap_or(protocol)
}

/// Letters and digits of the request id, which cannot be taken for anything else in a line of their own.
fn boundary(id: &str) -> String {
    let kept = id.chars().filter(char::is_ascii_alphanumeric).take(32);
    let boundary: String = kept.collect();
    if boundary.is_empty() {
        "portcullis".to_owned()
    } else {
        boundary
    }
}

/// An operator's name and the beginning of its argument: expressions of twelve thousand bytes are no help in a log.
fn first_words(operator: &str) -> String {
    const LONGEST: usize = 120;
    match operator.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", operator.get(..end).unwrap_or(operator)),
        None => operator.to_owned(),
    }
}

fn field(line: &mut String, name: &str, value: &[u8]) {
    let _ = write!(line, " [{name} \"");
    escape(line, value);
    line.push_str("\"]");
}

/// Quotes, backslashes and what is no printable ASCII as `\xhh`, so that nobody writes lines of their own into a log.
fn escape(line: &mut String, text: &[u8]) {
    for byte in text {
        match byte {
            b'"' | b'\\' => {
                line.push('\\');
                line.push(char::from(*byte));
            }
            0x20..0x7f => line.push(char::from(*byte)),
            _ => {
                let _ = write!(line, "\\x{byte:02x}");
            }
        }
    }
}
