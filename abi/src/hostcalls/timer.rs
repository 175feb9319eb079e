//! The clock, ticks and contexts.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::call::{Answer, Call};
use crate::host::HostAction;
use crate::vm::{ContextId, Effective};
use crate::wire::types::Status;

pub(super) fn proxy_get_current_time_nanoseconds(call: &mut Call<'_>, time_out: u32) -> Answer {
    let since_1970 = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Ok(call.write_u64(
        time_out,
        u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX),
    )?)
}

/// Of the effective context's root; 0 stops. Where another VM works for the root contexts, it has no effect.
pub(super) fn proxy_set_tick_period_milliseconds(call: &mut Call<'_>, period: u32) -> Answer {
    let state = call.state();
    let (Some(root), None) = (state.effective.root, &state.service) else {
        return call.unavailable("proxy_set_tick_period_milliseconds");
    };
    let period = (period != 0).then(|| Duration::from_millis(period.into()));
    let actions = &mut call.state_mut().actions;
    // The last of a callback counts.
    actions.retain(|action| !matches!(action, HostAction::SetTick { root: of, .. } if *of == root));
    actions.push(HostAction::SetTick { root, period });
    Ok(())
}

pub(super) fn proxy_set_effective_context(call: &mut Call<'_>, context: u32) -> Answer {
    if call.state_mut().enter(ContextId(context)) {
        Ok(())
    } else {
        Err(Status::BadArgument.into())
    }
}

/// A root that answered in `proxy_on_done` that it is not done is done now. Elsewhere there is nothing to end: the
/// specification has NotFound for that, on which the Rust SDK aborts.
#[allow(clippy::unnecessary_wraps, reason = "the table's shape")]
pub(super) fn proxy_done(call: &mut Call<'_>) -> Answer {
    let state = call.state_mut();
    if let Effective {
        root: Some(root),
        context: _,
        stream: None,
    } = state.effective
        && !state.done.contains(&root)
    {
        state.done.push(root);
    }
    Ok(())
}
