//! Functions beyond the specification, by name: none yet.

use super::call::{Answer, Call};
use crate::wire::types::Status;

/// Unknown names are NotFound, as everywhere.
pub(super) fn proxy_call_foreign_function(
    call: &mut Call<'_>,
    name: u32,
    name_size: u32,
    argument: u32,
    argument_size: u32,
    _result_pointer_out: u32, // 0 where the guest does not want the result
    _result_size_out: u32,
) -> Answer {
    call.read(name, name_size)?;
    call.read(argument, argument_size)?;
    Err(Status::NotFound.into())
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
