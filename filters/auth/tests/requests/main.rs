//! Whole requests against the filter's decision: the RFCs' own tokens, bad tokens one flaw each, and what a request
//! looks like after it passed.

mod bad_tokens;
mod guide;
mod passes;
mod rfc_vectors;
mod signer;

use portcullis_filter_auth::decide::{Decision, decide};
use portcullis_filter_auth::policy::Policy;
use portcullis_filter_auth::request::Request;
use serde_json::Value;

/// The time in all tests: 2023-11-14.
const NOW: i64 = 1_700_000_000;

fn policy(configuration: &Value) -> Policy {
    let text = configuration.to_string();
    Policy::parse(text.as_bytes()).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

fn ask(configuration: &Value, fields: &[(&str, &str)]) -> Decision {
    let fields = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()));
    decide(&policy(configuration), &Request::new(fields.collect()), NOW)
}
