//! Functions on the exchange: filter state, declared properties, the route.

use super::NAME;
use super::kept::KeptError;
use crate::host::Refusal;
use crate::hostcalls::call::Call;
use crate::hostcalls::higress;
use crate::limits::PROPERTY_BYTES_MAX;
use crate::stream::{Declaration, Span};
use crate::wire::protobuf::fields;
use crate::wire::types::Status;

/// Message: 1 key, 2 value, 3 span. NotFound: the proxy knows no such object.
pub(super) fn set_envoy_filter_state(
    call: &mut Call<'_>,
    argument: &[u8],
) -> Result<Vec<u8>, Status> {
    let (mut key, mut value, mut span) = ("", &[][..], 0);
    for field in fields(argument) {
        match field? {
            (1, field) => key = field.text()?,
            (2, field) => value = field.bytes()?,
            (3, field) => span = field.number()?,
            _ => {}
        }
    }
    if key.len().saturating_add(value.len()) > PROPERTY_BYTES_MAX {
        return Err(Status::BadArgument);
    }
    let state = call.state();
    let stream = state.effective.stream.as_ref().ok_or(Status::NotFound)?;
    let stored = stream.0.lock().set_filter_state(key, value, span_of(span));
    if stored {
        Ok(Vec::new())
    } else {
        Err(Status::NotFound)
    }
}

pub(super) fn clear_route_cache(call: &mut Call<'_>, _: &[u8]) -> Result<Vec<u8>, Status> {
    match &call.state().effective.stream {
        Some((stream, slot)) => stream.lock().clear_route_cache(*slot),
        None => call.refused(Refusal::Unavailable {
            call: "clear_route_cache",
        }),
    }
    Ok(Vec::new())
}

/// Message: 1 name, 2 read-only, 3 type, 4 schema, 5 span. A name is declared once for a root context. Type and schema
/// say how CEL reads a value, which is bytes here.
pub(super) fn declare_property(call: &mut Call<'_>, argument: &[u8]) -> Result<Vec<u8>, Status> {
    let (mut name, mut read_only, mut span) = (&[][..], 0, 0);
    for field in fields(argument) {
        match field? {
            (1, field) => name = field.bytes()?,
            (2, field) => read_only = field.number()?,
            (5, field) => span = field.number()?,
            _ => {}
        }
    }
    let root = call.state().effective.root.ok_or(Status::BadArgument)?;
    let declaration = Declaration {
        read_only: read_only != 0,
        span: span_of(span),
    };
    let declared = call.state_mut().foreign.declare(root, name, declaration);
    declared.map(|()| Vec::new()).map_err(|error| match error {
        KeptError::Twice => Status::BadArgument,
        KeptError::TooMany => {
            call.refused(Refusal::Unavailable {
                call: "declare_property",
            });
            Status::BadArgument
        }
    })
}

/// Message: 1 body, 2 end of stream.
pub(super) fn inject(call: &mut Call<'_>, argument: &[u8]) -> Result<Vec<u8>, Status> {
    let (mut body, mut end) = (&[][..], 0);
    for field in fields(argument) {
        match field? {
            (1, field) => body = field.bytes()?,
            (2, field) => end = field.number()?,
            _ => {}
        }
    }
    higress::inject(call, NAME, body, end != 0);
    Ok(Vec::new())
}

/// Unknown numbers are the shortest, as in Envoy.
fn span_of(number: u64) -> Span {
    match number {
        1 => Span::Request,
        2 => Span::Connection,
        _ => Span::FilterChain,
    }
}
