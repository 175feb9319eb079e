//! What is known of an exchange, as it was told.

use crate::bodies::urlencoded::Outcome;
use crate::bodies::{Body, Processor};
use crate::cookies;
use crate::pairs::Pairs;
use crate::rules::Settings;
use crate::uri::Target;

/// Request, response and connection. Filled from the front to the back as the exchange proceeds.
#[derive(Debug, Default)]
pub struct Data {
    /// Textual, without a zone.
    pub client_address: String,
    pub client_port: u16,
    pub server_address: String,
    pub server_port: u16,
    /// For `UNIQUE_ID` and the log.
    pub unique_id: String,
    /// Since the Unix epoch.
    pub began: std::time::Duration,
    pub request: Request,
    pub response: Response,
}

/// The request.
#[derive(Debug, Default)]
pub struct Request {
    pub method: Vec<u8>,
    /// As received: `HTTP/1.1`.
    pub protocol: Vec<u8>,
    /// As received.
    pub line: Vec<u8>,
    /// As received.
    pub target: Vec<u8>,
    /// Path of the target, decoded.
    pub path: Vec<u8>,
    /// In order, with their names as received.
    pub headers: Pairs,
    pub cookies: Pairs,
    pub query: Pairs,
    /// What was odd about the query.
    pub query_outcome: Outcome,
    pub body: Vec<u8>,
    /// Bytes there were, also beyond the limit.
    pub body_length: u64,
    /// The body was longer than its limit.
    pub body_exceeded: bool,
    pub processor: Option<Processor>,
    pub parsed: Body,
    /// Whether `REQUEST_BODY` holds the body.
    pub body_visible: bool,
}

/// The response.
#[derive(Debug, Default)]
pub struct Response {
    pub status: u16,
    pub protocol: Vec<u8>,
    pub headers: Pairs,
    pub body: Vec<u8>,
    /// Bytes there were, also beyond the limit.
    pub body_length: u64,
    pub body_exceeded: bool,
    pub processor: Option<Processor>,
    pub parsed: Body,
}

impl Data {
    /// Nothing known; keeps the memory of a former exchange, unless that was large.
    pub fn clear(&mut self) {
        const KEPT: usize = 1 << 18;
        let mut request = std::mem::take(&mut self.request.body);
        let mut response = std::mem::take(&mut self.response.body);
        for body in [&mut request, &mut response] {
            body.clear();
            body.shrink_to(KEPT);
        }
        *self = Self::default();
        self.request.body = request;
        self.response.body = response;
    }
}

impl Request {
    /// The parts of the target.
    pub fn uri(&self) -> Target<'_> {
        Target::parse(&self.target)
    }

    /// Why the request could not be read whole, for `REQBODY_ERROR_MSG`.
    pub fn error(&self) -> Option<&str> {
        let error = self.parsed.error.as_ref();
        let message = error.map(|error| error.message.as_str());
        let too_many = "the query has more arguments than SecArgumentsLimit allows";
        message.or(self.query_outcome.over_limit.then_some(too_many))
    }

    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        first(&self.headers, name)
    }

    /// Adds a header, and the cookies in it.
    pub fn add_header(&mut self, name: &[u8], value: &[u8]) {
        self.headers.push(name, value);
        if name.eq_ignore_ascii_case(b"cookie") {
            cookies::parse(value, &mut self.cookies);
        }
        // Known from the start for these two, as in ModSecurity; rules choose the others by `ctl`.
        if name.eq_ignore_ascii_case(b"content-type") && self.processor.is_none() {
            self.processor = Processor::of_content_type(value);
        }
    }
}

impl Response {
    /// The first header of a name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        first(&self.headers, name)
    }

    /// The media type, lower-case, without parameters.
    pub fn media_type(&self) -> Option<String> {
        let value = self.header("content-type")?;
        let end = value.iter().position(|byte| *byte == b';');
        let name = value.get(..end.unwrap_or(value.len()))?;
        let name = String::from_utf8_lossy(name);
        Some(name.trim().to_ascii_lowercase())
    }

    /// Whether rules may look at the body.
    pub fn is_inspected(&self, settings: &Settings) -> bool {
        let Some(media_type) = self.media_type() else {
            return false;
        };
        settings.response_body_mime_types.contains(&media_type)
    }
}

fn first<'a>(headers: &'a Pairs, name: &str) -> Option<&'a [u8]> {
    let mut headers = headers.iter();
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()));
    found.map(|(_, value)| value)
}
