//! What Emscripten's runtime imports.

use super::call::{Answer, Call, Stop};

/// There is one thread, whatever its handles are: 1 where they are equal.
pub(super) fn pthread_equal(_: &mut Call<'_>, left: u32, right: u32) -> Answer {
    if left == right {
        Err(Stop::Number(1))
    } else {
        Ok(())
    }
}

/// The host looks at the memory's size on each access: nothing to do.
#[allow(clippy::unnecessary_wraps, reason = "the table's shape")]
pub(super) fn emscripten_notify_memory_growth(_: &mut Call<'_>, _memory: u32) -> Answer {
    Ok(())
}
