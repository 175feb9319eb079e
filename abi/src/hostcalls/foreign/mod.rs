//! Foreign functions: named calls beyond the specification, one row each.
//!
//! Those of Envoy answer at once. Those named `portcullis.*` are the embedder's, who may take its time: then the call
//! answers a token (a number of 4 bytes), and the result comes by `proxy_on_foreign_function`.

mod attributes;
mod expression;
mod kept;
mod signature;
mod stream;
mod zlib;

use super::call::{Answer, Call};
use super::grant;
use super::higress::INJECT_FOREIGN;
use crate::host::{ForeignCall, HostAction, Refusal};
use crate::limits::{ACTIONS_MAX, FOREIGN_ARGUMENT_BYTES_MAX};
use crate::vm::Callout;
use crate::wire::types::Status;

pub(crate) use kept::Kept;

pub(crate) const NAME: &str = "proxy_call_foreign_function";

/// What the names of the embedder's functions begin with.
const OWN: &str = "portcullis.";

/// A function that answers at once: the bytes it gives, or why not.
type Function = fn(&mut Call<'_>, &[u8]) -> Result<Vec<u8>, Status>;

/// Envoy's functions, by their names there, and those of Higress.
const FUNCTIONS: &[(&str, Function)] = &[
    ("compress", zlib::compress),
    ("uncompress", zlib::uncompress),
    ("verify_signature", signature::verify),
    ("sign", signature::sign),
    ("set_envoy_filter_state", stream::set_envoy_filter_state),
    ("clear_route_cache", stream::clear_route_cache),
    ("declare_property", stream::declare_property),
    ("expr_create", expression::create),
    ("expr_evaluate", expression::evaluate),
    ("expr_delete", expression::delete),
    (INJECT_FOREIGN[0], stream::inject),
    (INJECT_FOREIGN[1], stream::inject),
];

/// Names that are not there, and those that were not granted, are NotFound. A result pointer of 0: the guest does not
/// want the result.
pub(super) fn proxy_call_foreign_function(
    call: &mut Call<'_>,
    name: u32,
    name_size: u32,
    argument: u32,
    argument_size: u32,
    result_pointer_out: u32,
    result_size_out: u32,
) -> Answer {
    let name = call.read(name, name_size)?;
    let argument = call.read(argument, argument_size)?;
    let wanted = result_pointer_out != 0 && result_size_out != 0;
    if wanted {
        call.check_out(result_pointer_out)?;
        call.check_out(result_size_out)?;
    }
    let name = std::str::from_utf8(name).map_err(|_| Status::NotFound)?;
    let own = name.starts_with(OWN) && call.state().host.has_foreign_function(name);
    let function = FUNCTIONS.iter().find(|(known, _)| *known == name);
    if !own && function.is_none() {
        return Err(Status::NotFound.into());
    }
    if !call.state().plugin.grants.allows_foreign(name) {
        let name = grant::scalar(name.as_bytes());
        grant::refuse(call, NAME, format!("foreign: [{name}]"));
        return Err(Status::NotFound.into());
    }
    if argument.len() > FOREIGN_ARGUMENT_BYTES_MAX {
        call.refused(Refusal::Unavailable { call: NAME });
        return Err(Status::BadArgument.into());
    }
    let (name, argument) = (name.to_owned(), argument.to_vec());
    let result = match function {
        Some((_, function)) => {
            // What the host does for the guest is the guest's CPU time.
            call.state_mut().cpu.count_from_here();
            function(call, &argument)?
        }
        None => own_function(call, &name, argument)?,
    };
    if wanted {
        call.give(&result, result_pointer_out, result_size_out)
    } else {
        Ok(())
    }
}

/// A function of the embedder: its result where there is one at once, else a token.
fn own_function(call: &mut Call<'_>, name: &str, argument: Vec<u8>) -> Result<Vec<u8>, Status> {
    let state = call.state();
    match state
        .host
        .answer_foreign_function(&state.plugin, name, &argument)
    {
        Some(result) => Ok(result),
        None => begin(call, name.to_owned(), argument),
    }
}

/// Leaves a call to the embedder, and answers its token.
fn begin(call: &mut Call<'_>, name: String, argument: Vec<u8>) -> Result<Vec<u8>, Status> {
    let root = call.state().effective.root.ok_or(Status::BadArgument)?;
    let state = call.state_mut();
    let limit = state.plugin.limits.callouts;
    let room = state.actions.len() < ACTIONS_MAX;
    let token = room.then(|| state.callouts.open(root, limit, Callout::Foreign));
    let Some(token) = token.flatten() else {
        call.refused(Refusal::TooManyCallouts);
        return Err(Status::InternalFailure);
    };
    state.actions.push(HostAction::ForeignCall(ForeignCall {
        token,
        name,
        argument,
    }));
    Ok(token.to_le_bytes().to_vec())
}

/// Envoy's: names are resolved by the proxy, not by guests.
pub(super) fn envoy_resolve_dns(
    call: &mut Call<'_>,
    name: u32,
    name_size: u32,
    token_out: u32,
) -> Answer {
    call.read(name, name_size)?;
    call.check_out(token_out)?;
    Err(Status::BadArgument.into())
}
