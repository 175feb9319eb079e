//! The claims of a token whose signature is verified: whether they hold now and here (RFC 7519 section 4.1), and what
//! of them may go into a header.

use crate::policy::Jwt;
use crate::token::Flaw;
use serde_json::{Map, Value};

/// Whether the claims hold at `now`, in seconds since the epoch.
///
/// # Errors
/// The first flaw found.
pub fn check(claims: &Map<String, Value>, jwt: &Jwt, now: i64) -> Result<(), Flaw> {
    if jwt
        .require
        .iter()
        .any(|name| claims.get(name).is_none_or(Value::is_null))
    {
        return Err(Flaw::ClaimMissing);
    }
    if date(claims, "exp", Rounding::Down)?
        .is_some_and(|expires| now >= expires.saturating_add(jwt.leeway))
    {
        return Err(Flaw::Expired);
    }
    if date(claims, "nbf", Rounding::Up)?
        .is_some_and(|begins| now < begins.saturating_sub(jwt.leeway))
    {
        return Err(Flaw::NotYetValid);
    }
    if date(claims, "iat", Rounding::Up)?
        .is_some_and(|issued| now < issued.saturating_sub(jwt.leeway))
    {
        return Err(Flaw::IssuedInFuture);
    }
    check_issuer(claims, &jwt.issuer)?;
    check_audience(claims, &jwt.audience)
}

/// The value of a claim as a header's value. `path` is a member's name or, failing that, names joined by dots.
///
/// Texts, numbers and truth values go as they are, a list of them joined by commas. None when there is no such claim.
///
/// # Errors
/// The claim is there and cannot be written without meaning something else: a mapping, a text with a control
/// character, or a list in which a text has a comma itself.
pub fn header_value(claims: &Map<String, Value>, path: &str) -> Result<Option<String>, Unwritable> {
    let found = claims.get(path).or_else(|| {
        let (first, rest) = path.split_once('.')?;
        rest.split('.')
            .try_fold(claims.get(first)?, |value, name| value.get(name))
    });
    match found {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => {
            let texts: Result<Vec<String>, Unwritable> = items.iter().map(scalar).collect();
            let texts = texts?;
            if texts.iter().any(|text| text.contains(',')) {
                Err(Unwritable)
            } else {
                Ok(Some(texts.join(",")))
            }
        }
        Some(value) => scalar(value).map(Some),
    }
}

/// A claim that no header can carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritable;

fn scalar(value: &Value) -> Result<String, Unwritable> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(flag) => flag.to_string(),
        Value::Null | Value::Array(_) | Value::Object(_) => return Err(Unwritable),
    };
    if text.chars().any(char::is_control) {
        Err(Unwritable)
    } else {
        Ok(text)
    }
}

#[derive(Clone, Copy)]
enum Rounding {
    Up,
    Down,
}

/// A NumericDate: seconds since the epoch, possibly with a fraction, rounded to the strict side.
fn date(claims: &Map<String, Value>, name: &str, rounding: Rounding) -> Result<Option<i64>, Flaw> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    if let Some(seconds) = value.as_i64() {
        return Ok(Some(seconds));
    }
    let seconds = value.as_f64().ok_or(Flaw::ClaimType)?;
    let whole = match rounding {
        Rounding::Up => seconds.ceil(),
        Rounding::Down => seconds.floor(),
    };
    // Saturates at the ends of the range, where every comparison has the answer that it should.
    Ok(Some(whole as i64))
}

fn check_issuer(claims: &Map<String, Value>, accepted: &[String]) -> Result<(), Flaw> {
    if accepted.is_empty() {
        return Ok(());
    }
    match claims.get("iss") {
        None => Err(Flaw::ClaimMissing),
        Some(Value::String(issuer)) if accepted.contains(issuer) => Ok(()),
        Some(Value::String(_)) => Err(Flaw::Issuer),
        Some(_) => Err(Flaw::ClaimType),
    }
}

fn check_audience(claims: &Map<String, Value>, accepted: &[String]) -> Result<(), Flaw> {
    if accepted.is_empty() {
        return Ok(());
    }
    let is_accepted = |text: &str| accepted.iter().any(|audience| audience == text);
    let found = match claims.get("aud") {
        None => return Err(Flaw::ClaimMissing),
        Some(Value::String(audience)) => is_accepted(audience),
        Some(Value::Array(audiences)) => {
            let texts: Option<Vec<&str>> = audiences.iter().map(Value::as_str).collect();
            texts.ok_or(Flaw::ClaimType)?.into_iter().any(is_accepted)
        }
        Some(_) => return Err(Flaw::ClaimType),
    };
    if found { Ok(()) } else { Err(Flaw::Audience) }
}
