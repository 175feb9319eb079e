//! The 401 and what it says (RFC 9110 section 15.5.2; for tokens RFC 6750 section 3).

use crate::decide::Refusal;
use crate::policy::Policy;
use crate::token::Flaw;

/// A response made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status code.
    pub status: u32,
    /// Its header fields.
    pub fields: Vec<(&'static str, String)>,
    /// A problem document (RFC 9457).
    pub body: &'static str,
}

/// A 401 with a challenge for each method. Which check failed is for the log; the client learns what RFC 6750 tells
/// it: that the token is not valid, and whether a new one of the same kind would be.
#[must_use]
pub fn unauthorized(policy: &Policy, refusal: Refusal) -> Reply {
    let realm = &policy.realm;
    let mut fields = Vec::with_capacity(4);
    if policy.jwt.is_some() {
        let error = match refusal {
            Refusal::Token(Flaw::Expired) => {
                ", error=\"invalid_token\", error_description=\"The access token expired\""
            }
            Refusal::Token(_) => {
                ", error=\"invalid_token\", error_description=\"The access token is invalid\""
            }
            Refusal::SeveralTokens => {
                ", error=\"invalid_request\", error_description=\"More than one access token\""
            }
            Refusal::NoCredentials
            | Refusal::SomeCredentials
            | Refusal::UnknownKey
            | Refusal::SeveralKeys => "",
        };
        fields.push((
            "www-authenticate",
            format!("Bearer realm=\"{realm}\"{error}"),
        ));
    }
    if policy.api_keys.is_some() {
        // No scheme for API keys is registered; this is the name that gateways use.
        fields.push(("www-authenticate", format!("ApiKey realm=\"{realm}\"")));
    }
    fields.push(("content-type", "application/problem+json".to_owned()));
    fields.push(("cache-control", "no-store".to_owned()));
    let body = "{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401}";
    Reply {
        status: 401,
        fields,
        body,
    }
}
