//! Where in a request a credential may stand, how it is found there, and how it is taken out again.

use crate::request::{Edit, Request};
use std::borrow::Cow;

/// Where one kind of credential may stand. At least one place is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// The name of a header, in lower case.
    pub header: Option<String>,
    /// The name of a cookie.
    pub cookie: Option<String>,
    /// The name of a query parameter.
    pub query: Option<String>,
    /// How it stands in the header.
    pub scheme: Scheme,
}

/// How a credential stands in a header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Scheme {
    /// Alone.
    #[default]
    None,
    /// Behind `Bearer ` (RFC 6750 section 2.1). Values of another scheme are somebody else's credentials.
    Bearer,
    /// Alone or behind `Bearer `.
    BearerOrNone,
}

/// What a request brings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Presented<'a> {
    /// No credential of this kind.
    Absent,
    /// One.
    One(Cow<'a, [u8]>),
    /// More than one, or a header twice: two readers may take different ones (RFC 6750 section 2).
    Several,
}

impl Places {
    /// Looks in every place.
    #[must_use]
    pub fn find<'a>(&'a self, request: &'a Request) -> Presented<'a> {
        let mut found = Vec::new();
        if let Some(name) = &self.header {
            let values: Vec<&[u8]> = request.values(name).collect();
            let credentials = values
                .iter()
                .filter_map(|value| self.scheme.credential(value));
            found.extend(credentials.map(Cow::Borrowed));
            if values.len() > 1 {
                return Presented::Several;
            }
        }
        if let Some(name) = &self.cookie {
            let of_name = cookies(request).filter(|cookie| cookie_name(cookie) == name.as_bytes());
            found.extend(of_name.map(|cookie| Cow::Borrowed(cookie_value(cookie))));
        }
        if let Some(name) = &self.query {
            let of_name = parameters(request.target())
                .filter(|parameter| parameter_name(parameter) == name.as_bytes());
            found.extend(of_name.map(|parameter| Cow::Owned(parameter_value(parameter))));
        }
        match found.len() {
            0 => Presented::Absent,
            1 => found.pop().map_or(Presented::Absent, Presented::One),
            _ => Presented::Several,
        }
    }
}

impl Scheme {
    fn credential(self, value: &[u8]) -> Option<&[u8]> {
        let value = value.trim_ascii();
        let end = value
            .iter()
            .position(|byte| *byte == b' ')
            .unwrap_or(value.len());
        let behind_bearer = value[..end]
            .eq_ignore_ascii_case(b"bearer")
            .then(|| value[end..].trim_ascii());
        match self {
            Self::None => Some(value),
            Self::Bearer => behind_bearer,
            Self::BearerOrNone => behind_bearer.or(Some(value)),
        }
    }
}

/// The changes that take what stands in these places out of the request, so that the origin cannot see or log it.
#[must_use]
pub fn hide(places: &[&Places], request: &Request) -> Vec<Edit> {
    let mut edits = Vec::new();
    for place in places {
        let Some(name) = &place.header else { continue };
        if request
            .values(name)
            .any(|value| place.scheme.credential(value).is_some())
        {
            edits.push(Edit::Remove(name.clone()));
        }
    }
    let is_one_of =
        |names: &[&String], name: &[u8]| names.iter().any(|hidden| hidden.as_bytes() == name);
    let names: Vec<&String> = places
        .iter()
        .filter_map(|place| place.cookie.as_ref())
        .collect();
    let (hidden, kept): (Vec<&[u8]>, Vec<&[u8]>) =
        cookies(request).partition(|cookie| is_one_of(&names, cookie_name(cookie)));
    if !hidden.is_empty() {
        edits.push(Edit::Remove("cookie".to_owned()));
        // A value that is not UTF-8 cannot be written back by the SDK; the other cookies then go with the hidden one.
        match String::from_utf8(kept.join(&b"; "[..])) {
            Ok(cookies) if !cookies.is_empty() => {
                edits.push(Edit::Set("cookie".to_owned(), cookies))
            }
            Ok(_) | Err(_) => {}
        }
    }
    let names: Vec<&String> = places
        .iter()
        .filter_map(|place| place.query.as_ref())
        .collect();
    edits.extend(without_parameters(request.target(), |name| {
        is_one_of(&names, name)
    }));
    edits
}

/// The target without the parameters that `is_hidden` names; none when it has none of them.
fn without_parameters(target: &[u8], is_hidden: impl Fn(&[u8]) -> bool) -> Option<Edit> {
    let (hidden, kept): (Vec<&[u8]>, Vec<&[u8]>) =
        parameters(target).partition(|parameter| is_hidden(&parameter_name(parameter)));
    if hidden.is_empty() {
        return None;
    }
    let question = target.iter().position(|byte| *byte == b'?')?;
    let mut shorter = target[..question].to_vec();
    if !kept.is_empty() {
        shorter.push(b'?');
        shorter.extend(kept.join(&b"&"[..]));
    }
    // A target is ASCII: a proxy refuses others (RFC 3986 section 2). Should one come, the query goes.
    let text =
        String::from_utf8(shorter).or_else(|_| String::from_utf8(target[..question].to_vec()));
    Some(Edit::Set(
        ":path".to_owned(),
        text.unwrap_or_else(|_| "/".to_owned()),
    ))
}

/// The `name=value`s of all Cookie fields (RFC 6265 section 4.2.1; HTTP/2 may split them, RFC 9113 section 8.2.3).
fn cookies(request: &Request) -> impl Iterator<Item = &[u8]> {
    let pairs = request
        .values("cookie")
        .flat_map(|value| value.split(|byte| *byte == b';'));
    pairs
        .map(<[u8]>::trim_ascii)
        .filter(|pair| !pair.is_empty())
}

fn cookie_name(cookie: &[u8]) -> &[u8] {
    cookie
        .split(|byte| *byte == b'=')
        .next()
        .unwrap_or_default()
        .trim_ascii()
}

fn cookie_value(cookie: &[u8]) -> &[u8] {
    let start = cookie
        .iter()
        .position(|byte| *byte == b'=')
        .map_or(cookie.len(), |equals| equals + 1);
    let value = cookie[start..].trim_ascii();
    value
        .strip_prefix(b"\"")
        .and_then(|inner| inner.strip_suffix(b"\""))
        .unwrap_or(value)
}

/// The `name=value`s of a query.
fn parameters(target: &[u8]) -> impl Iterator<Item = &[u8]> {
    let start = target
        .iter()
        .position(|byte| *byte == b'?')
        .map_or(target.len(), |question| question + 1);
    target[start..]
        .split(|byte| *byte == b'&')
        .filter(|parameter| !parameter.is_empty())
}

fn parameter_name(parameter: &[u8]) -> Vec<u8> {
    unescape(
        parameter
            .split(|byte| *byte == b'=')
            .next()
            .unwrap_or_default(),
    )
}

fn parameter_value(parameter: &[u8]) -> Vec<u8> {
    let start = parameter
        .iter()
        .position(|byte| *byte == b'=')
        .map_or(parameter.len(), |equals| equals + 1);
    unescape(&parameter[start..])
}

/// Undoes the encoding of forms (`application/x-www-form-urlencoded` of the URL standard): `+` and `%XX`. What is no
/// valid escape stays as it is.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, tail)) = rest.split_first() {
        rest = tail;
        match (first, escaped(tail)) {
            (b'%', Some(byte)) => {
                plain.push(byte);
                rest = &tail[2..];
            }
            (b'+', _) => plain.push(b' '),
            (byte, _) => plain.push(byte),
        }
    }
    plain
}

fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |index: usize| char::from(*digits.get(index)?).to_digit(16);
    u8::try_from(digit(0)? * 16 + digit(1)?).ok()
}

#[cfg(test)]
mod tests;
