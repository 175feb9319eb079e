//! Logs.

use super::call::{Answer, Call};
use crate::wire::types::LogLevel;

pub(super) fn proxy_log(
    call: &mut Call<'_>,
    level: u32,
    message: u32,
    message_size: u32,
) -> Answer {
    let level = LogLevel::try_from(level)?;
    let (memory, state) = call.parts();
    state.log(level, crate::memory::read(memory, message, message_size)?);
    Ok(())
}

pub(super) fn proxy_get_log_level(call: &mut Call<'_>, level_out: u32) -> Answer {
    let level = call.state().host.log_level();
    Ok(call.write_u32(level_out, level.number())?)
}
