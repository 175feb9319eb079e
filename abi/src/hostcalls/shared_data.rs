//! Shared data.

use super::call::{Answer, Call};
use super::grant;
use crate::host::Refusal;
use crate::memory;
use crate::shared::SetError;
use crate::wire::types::Status;

pub(super) fn proxy_get_shared_data(
    call: &mut Call<'_>,
    key: u32,
    key_size: u32,
    value_pointer_out: u32,
    value_size_out: u32,
    cas_out: u32,
) -> Answer {
    call.check_out(cas_out)?;
    let (memory, state) = call.parts();
    let key = memory::read(memory, key, key_size)?;
    let found = if state.plugin.grants.shared_data.key(key) {
        state.plugin.shared.get(key)
    } else {
        let missing = format!("shared_data: [{}]", grant::scalar(key));
        grant::refuse(call, "proxy_get_shared_data", missing);
        None
    };
    let Some((value, cas)) = found else {
        call.check_out(value_pointer_out)?;
        call.check_out(value_size_out)?;
        return Err(Status::NotFound.into());
    };
    call.give(&value, value_pointer_out, value_size_out)?;
    Ok(call.write_u32(cas_out, cas)?)
}

/// Over its quota the least recently used entries go; SDKs know only Ok and CasMismatch here.
pub(super) fn proxy_set_shared_data(
    call: &mut Call<'_>,
    key: u32,
    key_size: u32,
    value: u32,
    value_size: u32,
    cas: u32,
) -> Answer {
    let (memory, state) = call.parts();
    let key = memory::read(memory, key, key_size)?;
    let value = memory::read(memory, value, value_size)?;
    if !state.plugin.grants.shared_data.key(key) {
        let missing = format!("shared_data: [{}]", grant::scalar(key));
        grant::refuse(call, "proxy_set_shared_data", missing);
        return Ok(());
    }
    match state
        .plugin
        .shared
        .set(key, value, cas, state.plugin.limits.shared_data)
    {
        Ok(outcome) if outcome.evicted == 0 => Ok(()),
        Ok(outcome) => {
            call.refused(Refusal::SharedDataEvicted {
                entries: outcome.evicted,
            });
            Ok(())
        }
        Err(SetError::CasMismatch) => Err(Status::CasMismatch.into()),
        Err(SetError::TooLarge) => call.unavailable("proxy_set_shared_data"),
    }
}
