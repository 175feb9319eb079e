//! Whether a request passes, by its credentials.
//!
//! A credential that is there and wrong is always refused, even where another one would have sufficed or none was
//! needed: otherwise it would go on to the origin with the look of one that was checked.

use crate::claims;
use crate::credentials::{self, Presented};
use crate::policy::{Allow, ApiKeys, Jwt, Policy};
use crate::reply::{self, Reply};
use crate::request::{Edit, Request};
use crate::token::{self, Flaw};
use serde_json::{Map, Value};
use std::fmt;

/// What is to be done with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It goes on, changed.
    Pass(Pass),
    /// It is answered with 401.
    Deny(Refusal, Reply),
}

/// A request that goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pass {
    /// Whether it brought credentials.
    pub authenticated: bool,
    /// What changes before the origin sees it, in this order.
    pub edits: Vec<Edit>,
    /// The claims of the verified token, as JSON.
    pub claims: Option<Vec<u8>>,
    /// Claims that were to go into a header and that no header can carry.
    pub unwritable: Vec<String>,
}

/// Why a request is refused: for the log, and told to the client only as far as RFC 6750 section 3.1 does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No credentials.
    NoCredentials,
    /// Credentials for one method where all are needed.
    SomeCredentials,
    /// An API key that is nobody's.
    UnknownKey,
    /// An API key twice.
    SeveralKeys,
    /// A token twice.
    SeveralTokens,
    /// A token that is not accepted.
    Token(Flaw),
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoCredentials => formatter.write_str("no credentials"),
            Self::SomeCredentials => {
                formatter.write_str("credentials for one method, and all are needed")
            }
            Self::UnknownKey => formatter.write_str("unknown API key"),
            Self::SeveralKeys => formatter.write_str("more than one API key"),
            Self::SeveralTokens => formatter.write_str("more than one token"),
            Self::Token(flaw) => flaw.fmt(formatter),
        }
    }
}

/// What one method says of a request; `Ok(None)`: there is no credential for it.
type Finding<T> = Result<Option<T>, Refusal>;

/// Decides on one request at `now`, in seconds since the epoch.
#[must_use]
pub fn decide(policy: &Policy, request: &Request, now: i64) -> Decision {
    match identities(policy, request, now) {
        Ok(identity) => Decision::Pass(pass(policy, request, identity)),
        Err(refusal) => Decision::Deny(refusal, reply::unauthorized(policy, refusal)),
    }
}

#[derive(Default)]
struct Identity<'a> {
    consumer: Option<&'a str>,
    token: Option<Token>,
}

struct Token {
    payload: Vec<u8>,
    claims: Map<String, Value>,
}

fn identities<'a>(
    policy: &'a Policy,
    request: &Request,
    now: i64,
) -> Result<Identity<'a>, Refusal> {
    let consumer = policy
        .api_keys
        .as_ref()
        .map(|method| consumer(method, request))
        .transpose()?;
    let token = policy
        .jwt
        .as_ref()
        .map(|method| accepted_token(method, request, now))
        .transpose()?;
    // The outer Option: is it a method here; the inner: was there a credential.
    let met = [
        consumer.map(|found| found.is_some()),
        token.as_ref().map(|found| found.is_some()),
    ];
    let (methods, met) = (
        met.iter().flatten().count(),
        met.iter().flatten().filter(|met| **met).count(),
    );
    let suffices = match policy.allow {
        _ if met == 0 => policy.optional,
        Allow::Any => true,
        Allow::All => met == methods,
    };
    if suffices {
        return Ok(Identity {
            consumer: consumer.flatten(),
            token: token.flatten(),
        });
    }
    Err(if met == 0 {
        Refusal::NoCredentials
    } else {
        Refusal::SomeCredentials
    })
}

fn consumer<'a>(method: &'a ApiKeys, request: &Request) -> Finding<&'a str> {
    match method.places.find(request) {
        Presented::Absent => Ok(None),
        Presented::One(key) => method
            .consumers
            .identify(&key)
            .map(Some)
            .ok_or(Refusal::UnknownKey),
        Presented::Several => Err(Refusal::SeveralKeys),
    }
}

fn accepted_token(method: &Jwt, request: &Request, now: i64) -> Finding<Token> {
    let token = match method.places.find(request) {
        Presented::Absent => return Ok(None),
        Presented::One(token) => token,
        Presented::Several => return Err(Refusal::SeveralTokens),
    };
    let payload = token::verified_payload(&token, &method.keys).map_err(Refusal::Token)?;
    let claims = token::object(&payload).ok_or(Refusal::Token(Flaw::Malformed))?;
    claims::check(&claims, method, now).map_err(Refusal::Token)?;
    Ok(Some(Token { payload, claims }))
}

fn pass(policy: &Policy, request: &Request, identity: Identity<'_>) -> Pass {
    let mut edits = Vec::new();
    remove_forged(policy, request, &mut edits);
    edits.extend(credentials::hide(&hidden_places(policy), request));
    if let Some(name) = identity.consumer {
        edits.push(Edit::Set(policy.consumer_header.clone(), name.to_owned()));
    }
    let mut unwritable = Vec::new();
    let headers = policy
        .jwt
        .iter()
        .flat_map(|method| &method.claims_to_headers);
    for ((claim, header), token) in headers.zip(std::iter::repeat(&identity.token)) {
        match token
            .as_ref()
            .map(|token| claims::header_value(&token.claims, claim))
        {
            Some(Ok(Some(value))) => edits.push(Edit::Set(header.clone(), value)),
            Some(Err(claims::Unwritable)) => unwritable.push(claim.clone()),
            Some(Ok(None)) | None => {}
        }
    }
    Pass {
        authenticated: identity.consumer.is_some() || identity.token.is_some(),
        edits,
        claims: identity.token.map(|token| token.payload),
        unwritable,
    }
}

fn hidden_places(policy: &Policy) -> Vec<&credentials::Places> {
    let of_keys = policy
        .api_keys
        .iter()
        .filter(|method| method.hide)
        .map(|method| &method.places);
    let of_tokens = policy
        .jwt
        .iter()
        .filter(|method| method.hide)
        .map(|method| &method.places);
    of_keys.chain(of_tokens).collect()
}

/// A client must not tell the origin who it is by writing this filter's headers itself, nor by names that an origin
/// may take for them: CGI and its heirs (RFC 3875 section 4.1.18) make one variable of `x-user` and `x_user`.
fn remove_forged(policy: &Policy, request: &Request, edits: &mut Vec<Edit>) {
    let same = |one: u8, other: u8| {
        one.eq_ignore_ascii_case(&other) || (b"-_".contains(&one) && b"-_".contains(&other))
    };
    let alike = |one: &str, other: &str| {
        one.len() == other.len()
            && one
                .bytes()
                .zip(other.bytes())
                .all(|(one, other)| same(one, other))
    };
    for name in request.names() {
        if policy.headers().any(|header| alike(header, name)) {
            let removal = Edit::Remove(name.to_owned());
            if !edits.contains(&removal) {
                edits.push(removal);
            }
        }
    }
}
