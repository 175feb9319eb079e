//! Variables that are made of others.

use crate::bodies::multipart::Flags;
use crate::bodies::{Body, Processor};
use crate::transaction::data::Request;
use crate::transformations::Transformation;
use crate::variables::Variable;

/// What is wrong with the syntax of a body.
pub(super) fn of_processor(body: &Body) -> Option<&str> {
    let error = body.error.as_ref().filter(|error| error.is_of_processor);
    error.map(|error| error.message.as_str())
}

pub(super) fn multipart_flag(flags: &Flags, variable: Variable) -> Option<u8> {
    Some(match variable {
        Variable::MultipartBoundaryQuoted => flags.boundary_quoted.into(),
        Variable::MultipartBoundaryWhitespace => flags.boundary_whitespace.into(),
        Variable::MultipartCrlfLfLines => flags.crlf_lf_lines().into(),
        Variable::MultipartDataAfter => flags.data_after.into(),
        Variable::MultipartDataBefore => flags.data_before.into(),
        Variable::MultipartFileLimitExceeded => flags.file_limit_exceeded.into(),
        Variable::MultipartHeaderFolding => flags.header_folding.into(),
        Variable::MultipartInvalidHeaderFolding => flags.invalid_header_folding.into(),
        Variable::MultipartInvalidPart => flags.invalid_part.into(),
        Variable::MultipartInvalidQuoting => flags.invalid_quoting.into(),
        Variable::MultipartLfLine => flags.lf_line.into(),
        Variable::MultipartMissingSemicolon => flags.missing_semicolon.into(),
        Variable::MultipartStrictError => flags.strict_error().into(),
        Variable::MultipartUnmatchedBoundary => flags.unmatched_boundary,
        _ => return None,
    })
}

pub(super) fn processor_name(processor: Option<Processor>) -> &'static [u8] {
    processor.map_or(b"", |processor| processor.name().as_bytes())
}

pub(super) fn full_request(request: &Request) -> Vec<u8> {
    let mut full = request.line.clone();
    full.push(b'\n');
    for (name, value) in request.headers.iter() {
        for part in [name, b": ", value, b"\n"] {
            full.extend_from_slice(part);
        }
    }
    full.push(b'\n');
    full.extend_from_slice(&request.body);
    full
}

/// The host of the request, without a port.
pub(super) fn server_name(request: &Request) -> &[u8] {
    let host = request.header("host").unwrap_or_default();
    let end = match host.strip_prefix(b"[") {
        Some(after) => after.iter().position(|byte| *byte == b']').map(|at| at + 2),
        None => host.iter().position(|byte| *byte == b':'),
    };
    host.get(..end.unwrap_or(host.len())).unwrap_or(host)
}

/// Scheme and credentials of `Authorization`.
pub(super) fn authorization(request: &Request) -> (&[u8], &[u8]) {
    let value = request.header("authorization").unwrap_or_default();
    match value.iter().position(|byte| *byte == b' ') {
        Some(space) => value
            .split_at_checked(space)
            .map_or((value, &[]), |(scheme, rest)| (scheme, rest.trim_ascii())),
        None => (value, &[]),
    }
}

/// The user of Basic credentials; nobody has checked them.
pub(super) fn remote_user(request: &Request) -> Vec<u8> {
    let (scheme, credentials) = authorization(request);
    if !scheme.eq_ignore_ascii_case(b"basic") {
        return Vec::new();
    }
    let mut decoded = Vec::new();
    Transformation::Base64Decode.apply(credentials, &mut decoded);
    let end = decoded.iter().position(|byte| *byte == b':');
    decoded.truncate(end.unwrap_or(0));
    decoded
}
