//! Functions of the Higress SDKs (marker 0.2.100). Redis is answered as absent: no plugin is granted one.

use super::call::{Answer, Call};
use super::grant;
use crate::host::Refusal;
use crate::wire::pairs;
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

/// Pairs of an address and a JSON text about it. Without health checks, all are healthy.
pub(super) fn proxy_get_upstream_hosts(
    call: &mut Call<'_>,
    hosts_pointer_out: u32,
    hosts_size_out: u32,
) -> Answer {
    call.check_out(hosts_pointer_out)?;
    call.check_out(hosts_size_out)?;
    let mut hosts = Vec::new();
    let there = match &call.state().effective.stream {
        Some((stream, _)) => stream
            .lock()
            .upstream_hosts(&mut |address| hosts.push((address.to_owned(), HEALTHY))),
        None => false,
    };
    if !there {
        return Err(Status::NotFound.into());
    }
    let pairs = pairs::encode_pairs(&hosts);
    call.give(&pairs, hosts_pointer_out, hosts_size_out)
}

/// The import by which a response body is added to.
pub(crate) const INJECT: &str = "proxy_inject_encoded_data_to_filter_chain";

/// The foreign functions that do the same. The second is meant for the headers callback; here both wait until the
/// callback has returned.
pub(crate) const INJECT_FOREIGN: [&str; 2] = [
    "inject_encoded_data_to_filter_chain",
    "inject_encoded_data_to_filter_chain_on_header",
];

/// What is known of each host.
const HEALTHY: &str = r#"{"health_status":"Healthy"}"#;

/// An address that is none of the upstream's has no effect.
pub(super) fn proxy_set_upstream_override_host(
    call: &mut Call<'_>,
    address: u32,
    address_size: u32,
) -> Answer {
    let address = call.read(address, address_size)?;
    let chosen = match (std::str::from_utf8(address), &call.state().effective.stream) {
        (Ok(address), Some((stream, _))) => stream.lock().override_upstream_host(address),
        _ => false,
    };
    if chosen {
        Ok(())
    } else {
        call.unavailable("proxy_set_upstream_override_host")
    }
}

pub(super) fn proxy_inject_encoded_data_to_filter_chain(
    call: &mut Call<'_>,
    data: u32,
    data_size: u32,
    end_of_stream: u32,
) -> Answer {
    let data = call.read(data, data_size)?;
    inject(call, INJECT, data, end_of_stream != 0);
    Ok(())
}

/// Sends a piece of body to those who see the response after this plugin. Like other writes it answers Ok where it is
/// refused or comes to nothing.
pub(super) fn inject(call: &Call<'_>, name: &'static str, data: &[u8], end: bool) {
    let state = call.state();
    if !state.plugin.grants.response_body.write {
        let missing = "body: { response: { write: true } }".to_owned();
        return grant::refuse(call, name, missing);
    }
    let injected = match &state.effective.stream {
        Some((stream, slot)) => stream.lock().inject_response_body(*slot, data, end),
        None => false,
    };
    if !injected {
        call.refused(Refusal::Unavailable { call: name });
    }
}
