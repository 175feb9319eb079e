//! The bytes that go-ftw 1.3 sends for a test, and what a lenient HTTP/1 parser makes of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::suite::Input;

/// A request as the engine is told of it.
pub(crate) struct Request {
    pub(crate) method: Vec<u8>,
    pub(crate) target: Vec<u8>,
    pub(crate) protocol: Vec<u8>,
    pub(crate) headers: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

/// What goes over the wire.
///
/// # Errors
/// A test that this runner cannot read.
pub(crate) fn wire(input: &Input) -> Result<Vec<u8>, String> {
    if let Some(encoded) = input
        .encoded_request
        .as_deref()
        .filter(|text| !text.is_empty())
    {
        return decode(encoded);
    }
    let mut headers: Vec<(String, String)> = input
        .headers
        .iter()
        .map(|(name, value)| (name.clone(), value.text()))
        .collect();
    let mut data = match (&input.data, &input.encoded_data) {
        (Some(data), _) => template(data)?.into_bytes(),
        (None, Some(encoded)) => decode(encoded)?,
        (None, None) => Vec::new(),
    };
    let method = input.method.as_deref().unwrap_or("GET");
    let complete = input.autocomplete_headers.unwrap_or(true);
    if complete && !data.is_empty() {
        add(
            &mut headers,
            "Content-Type",
            "application/x-www-form-urlencoded",
        );
        if value(&headers, "Content-Type") == "application/x-www-form-urlencoded" {
            data = escape_arguments(data);
        }
    }
    if value(&headers, "Content-Type").starts_with("multipart/form-data;") {
        data = with_carriage_returns(&data);
    }
    if complete {
        add(&mut headers, "Connection", "close");
        let has_body = method.starts_with("POST")
            || method.contains("PUT")
            || method.contains("PATCH")
            || method.ends_with("DELETE");
        if !data.is_empty() || has_body {
            add(&mut headers, "Content-Length", &data.len().to_string());
        }
    }
    headers.sort();
    let (uri, version) = (
        input.uri.as_deref().unwrap_or("/"),
        input.version.as_deref().unwrap_or("HTTP/1.1"),
    );
    let mut bytes = format!("{method} {uri} {version}\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&data);
    Ok(bytes)
}

/// Reads what can be read, as a server does that refuses nothing. The suite is written for Apache httpd, which joins the
/// values of a repeated Content-Type, and forgets a Content-Length beside Transfer-Encoding.
pub(crate) fn parse(wire: &[u8]) -> Request {
    let (line, mut rest) = next_line(wire);
    let (method, target, protocol) = request_line(line);
    let mut headers: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    while !rest.is_empty() {
        let (line, after) = next_line(rest);
        rest = after;
        if line.is_empty() {
            break;
        }
        let (name, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => (
                line[..colon].to_vec(),
                line[colon + 1..].trim_ascii().to_vec(),
            ),
            None => (line.to_vec(), Vec::new()),
        };
        let is_type = |name: &[u8]| name.eq_ignore_ascii_case(b"content-type");
        match headers
            .iter_mut()
            .find(|(other, _)| is_type(&name) && is_type(other))
        {
            Some((_, values)) => values.extend([b", ", value.as_slice()].concat()),
            None => headers.push((name, value)),
        }
    }
    if headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case(b"transfer-encoding"))
    {
        headers.retain(|(name, _)| !name.eq_ignore_ascii_case(b"content-length"));
    }
    let body = body(&headers, rest);
    Request {
        method,
        target,
        protocol,
        headers,
        body,
    }
}

fn request_line(line: &[u8]) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let line = line.trim_ascii_start();
    let (method, rest) = split_at_space(line);
    // The target may hold spaces; the protocol does not.
    match rest.iter().rposition(|byte| *byte == b' ') {
        Some(space) => (method, rest[..space].to_vec(), rest[space + 1..].to_vec()),
        None => (method, rest.to_vec(), Vec::new()),
    }
}

fn split_at_space(line: &[u8]) -> (Vec<u8>, &[u8]) {
    match line.iter().position(|byte| *byte == b' ') {
        Some(space) => (line[..space].to_vec(), &line[space + 1..]),
        None => (line.to_vec(), &[]),
    }
}

fn next_line(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = &bytes[..end];
            (line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..])
        }
        None => (bytes, &[]),
    }
}

fn body(headers: &[(Vec<u8>, Vec<u8>)], rest: &[u8]) -> Vec<u8> {
    let header = |name: &str| {
        let found = headers
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name.as_bytes()));
        found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
    };
    if header("Transfer-Encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        return chunks(rest);
    }
    let length = header("Content-Length")
        .and_then(|value| value.parse().ok())
        .unwrap_or(0_usize);
    rest[..length.min(rest.len())].to_vec()
}

fn chunks(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let (line, after) = next_line(rest);
        let size = usize::from_str_radix(String::from_utf8_lossy(line).trim(), 16)
            .unwrap_or(0)
            .min(after.len());
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&after[..size]);
        (_, rest) = next_line(&after[size..]);
    }
}

fn value<'a>(headers: &'a [(String, String)], name: &str) -> &'a str {
    let found = headers
        .iter()
        .find(|(other, _)| other.eq_ignore_ascii_case(name));
    found.map_or("", |(_, value)| value)
}

/// Adds a header unless there is one with a value.
fn add(headers: &mut Vec<(String, String)>, name: &str, text: &str) {
    if value(headers, name).is_empty() {
        headers.retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        headers.push((name.to_owned(), text.to_owned()));
    }
}

/// Arguments that hold nothing encoded are encoded.
fn escape_arguments(data: Vec<u8>) -> Vec<u8> {
    if data.contains(&b'%') || data.contains(&b'+') {
        return data;
    }
    let arguments = data.split(|byte| *byte == b'&').map(|argument| {
        let mut parts = argument.splitn(2, |byte| *byte == b'=');
        let name = escape(parts.next().unwrap_or_default());
        match parts.next() {
            Some(value) => name + "=" + &escape(value),
            None => name,
        }
    });
    let mut escaped = arguments.collect::<Vec<_>>();
    // A separator at the end is lost.
    if data.ends_with(b"&") {
        escaped.pop();
    }
    escaped.join("&").into_bytes()
}

fn escape(bytes: &[u8]) -> String {
    let mut escaped = String::new();
    for byte in bytes {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                escaped.push(char::from(*byte))
            }
            b' ' => escaped.push('+'),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

fn with_carriage_returns(data: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(data.len());
    for byte in data {
        if *byte == b'\n' {
            result.push(b'\r');
        }
        result.push(*byte);
    }
    result
}

fn decode(encoded: &str) -> Result<Vec<u8>, String> {
    let packed: String = encoded.split_ascii_whitespace().collect();
    STANDARD
        .decode(packed)
        .map_err(|error| format!("base64: {error}"))
}

/// The only template of the suite: `{{ "1" | repeat 64200 }}`.
fn template(data: &str) -> Result<String, String> {
    let mut text = String::new();
    let mut rest = data;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inside, after) = after.split_once("}}").ok_or("a template without an end")?;
        let (string, count) = inside
            .split_once("| repeat")
            .ok_or_else(|| format!("unknown template {inside:?}"))?;
        let count: usize = count
            .trim()
            .parse()
            .map_err(|_| format!("unknown template {inside:?}"))?;
        text.push_str(before);
        text.push_str(&string.trim().trim_matches('"').repeat(count));
        rest = after;
    }
    text.push_str(rest);
    Ok(text)
}
