//! Functions of the Higress SDKs (marker 0.2.100): linked, so that their modules load, and answered as absent.

use super::call::{Answer, Call};
use crate::wire::types::Status;

#[allow(clippy::too_many_arguments, reason = "the caller's")]
pub(super) fn proxy_redis_init(
    call: &mut Call<'_>,
    service: u32,
    service_size: u32,
    user: u32,
    user_size: u32,
    password: u32,
    password_size: u32,
    _timeout: u32,
) -> Answer {
    for (pointer, size) in [
        (service, service_size),
        (user, user_size),
        (password, password_size),
    ] {
        call.read(pointer, size)?;
    }
    Err(Status::BadArgument.into())
}

pub(super) fn proxy_redis_call(
    call: &mut Call<'_>,
    service: u32,
    service_size: u32,
    query: u32,
    query_size: u32,
    token_out: u32,
) -> Answer {
    call.read(service, service_size)?;
    call.read(query, query_size)?;
    call.check_out(token_out)?;
    Err(Status::BadArgument.into())
}

pub(super) fn proxy_get_upstream_hosts(
    call: &mut Call<'_>,
    hosts_pointer_out: u32,
    hosts_size_out: u32,
) -> Answer {
    call.check_out(hosts_pointer_out)?;
    call.check_out(hosts_size_out)?;
    Err(Status::NotFound.into())
}

pub(super) fn proxy_set_upstream_override_host(
    call: &mut Call<'_>,
    address: u32,
    address_size: u32,
) -> Answer {
    call.read(address, address_size)?;
    call.unavailable("proxy_set_upstream_override_host")
}

pub(super) fn proxy_inject_encoded_data_to_filter_chain(
    call: &mut Call<'_>,
    data: u32,
    data_size: u32,
    _end_of_stream: u32,
) -> Answer {
    call.read(data, data_size)?;
    call.unavailable("proxy_inject_encoded_data_to_filter_chain")
}
