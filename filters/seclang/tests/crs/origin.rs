//! What the origin of the suite answers: the response that a POST to `/reflect` describes, and an empty 200 to all else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use std::collections::BTreeMap;

use crate::request::Request;

/// A response as the engine is told of it.
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Description {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    encoded_body: String,
}

/// Answers a request.
pub(crate) fn answer(request: &Request) -> Response {
    let reflects = request.method == b"POST"
        && (request.target == b"/reflect" || request.target.starts_with(b"/reflect/"));
    let description = match reflects.then(|| serde_json::from_slice::<Description>(&request.body)) {
        None => Description::default(),
        Some(Ok(description)) => description,
        Some(Err(_)) => {
            return response(
                400,
                BTreeMap::new(),
                b"Invalid JSON in request body".to_vec(),
            );
        }
    };
    let status = if description.status == 0 {
        200
    } else {
        description.status
    };
    let body = match (description.body, description.encoded_body) {
        (body, _) if !body.is_empty() => body.into_bytes(),
        (_, encoded) => STANDARD.decode(encoded).unwrap_or_default(),
    };
    response(status, description.headers, body)
}

fn response(status: u16, headers: BTreeMap<String, String>, body: Vec<u8>) -> Response {
    let mut headers: Vec<(String, String)> = headers.into_iter().collect();
    if !body.is_empty()
        && !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
    {
        headers.push(("Content-Type".to_owned(), sniffed(&body).to_owned()));
    }
    headers.push(("Content-Length".to_owned(), body.len().to_string()));
    Response {
        status,
        headers,
        body,
    }
}

/// The type that a Go server gives a body without one, as far as the suite needs it.
fn sniffed(body: &[u8]) -> &'static str {
    let text = body.trim_ascii_start();
    let begins = |tag: &str| {
        text.get(..tag.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(tag.as_bytes()))
    };
    let html = [
        "<!doctype html",
        "<html",
        "<head",
        "<script",
        "<title",
        "<body",
        "<h1",
        "<div",
        "<p",
        "<a",
        "<b",
        "<!--",
    ];
    if html
        .into_iter()
        .any(|tag| begins(tag) && matches!(text.get(tag.len()), Some(b' ' | b'>')))
    {
        "text/html; charset=utf-8"
    } else if begins("<?xml") {
        "text/xml; charset=utf-8"
    } else if body.starts_with(b"\x1f\x8b\x08") {
        "application/x-gzip"
    } else if body
        .iter()
        .any(|byte| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f))
    {
        "application/octet-stream"
    } else {
        "text/plain; charset=utf-8"
    }
}
