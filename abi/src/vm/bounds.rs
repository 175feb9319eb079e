//! What a VM may use: memory and tables, CPU time, log lines.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::ResourceLimiter;

use crate::limits::{LOG_LINES_PER_SECOND, TABLE_ELEMENTS_MAX, TABLES_MAX};

/// Memory and tables.
pub(crate) struct Bounds {
    memory: usize,
    /// The guest was refused memory in the callback that runs: a trap in it is put down to that.
    pub(crate) memory_refused: bool,
}

impl Bounds {
    pub(crate) fn new(memory: usize) -> Self {
        Self {
            memory,
            memory_refused: false,
        }
    }

    pub(crate) fn memory(&self) -> usize {
        self.memory
    }
}

impl ResourceLimiter for Bounds {
    fn memory_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= self.memory;
        self.memory_refused |= !allowed;
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }

    fn instances(&self) -> usize {
        1
    }

    fn memories(&self) -> usize {
        1
    }

    fn tables(&self) -> usize {
        TABLES_MAX
    }
}

/// CPU time of the callback that runs.
///
/// The clock is first read at the first tick of the epoch, which most callbacks never see: the usual callback makes no
/// system call. What ran before that tick (at most one period) goes uncounted. A guest whose thread waits for a core
/// or for a lock of the host uses no CPU time and is left alone.
#[derive(Default)]
pub(crate) struct CpuMeter {
    limit: Duration,
    baseline: Option<Duration>,
    exhausted: bool,
}

impl CpuMeter {
    /// A callback begins.
    pub(crate) fn begin(&mut self, limit: Duration) {
        *self = Self {
            limit,
            baseline: None,
            exhausted: false,
        };
    }

    /// The epoch ticked. False: the limit is used up.
    pub(crate) fn tick(&mut self, now: Duration) -> bool {
        let baseline = *self.baseline.get_or_insert(now);
        self.exhausted = now.saturating_sub(baseline) >= self.limit;
        !self.exhausted
    }

    pub(crate) fn exhausted(&self) -> bool {
        self.exhausted
    }

    pub(crate) fn limit(&self) -> Duration {
        self.limit
    }
}

/// CPU time of this thread.
pub(crate) fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Lines in the second that began with the first of them.
#[derive(Default)]
pub(crate) struct LogRate {
    second: Option<Instant>,
    lines: u32,
    dropped: u64,
}

impl LogRate {
    /// Whether one more line may go.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let fresh = self
            .second
            .is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1));
        if fresh {
            self.second = Some(now);
            self.lines = 0;
        }
        if self.lines < LOG_LINES_PER_SECOND {
            self.lines += 1;
            return true;
        }
        self.dropped += 1;
        false
    }

    /// Lines dropped since the last time this was asked.
    pub(crate) fn take_dropped(&mut self) -> u64 {
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn cpu_is_counted_from_the_first_tick() {
        let mut meter = CpuMeter::default();
        meter.begin(10 * MS);
        assert!(meter.tick(1000 * MS));
        assert!(meter.tick(1005 * MS));
        assert!(meter.tick(1009 * MS)); // many ticks of wall time may pass here
        assert!(meter.tick(1009 * MS));
        assert!(!meter.exhausted());
        assert!(!meter.tick(1010 * MS));
        assert!(meter.exhausted());
        meter.begin(10 * MS);
        assert!(meter.tick(1010 * MS));
        assert!(!meter.exhausted());
    }

    #[test]
    fn lines_beyond_the_rate_are_dropped_and_counted_until_the_next_second() {
        let mut rate = LogRate::default();
        let start = Instant::now();
        for _ in 0..LOG_LINES_PER_SECOND {
            assert!(rate.admit(start));
        }
        assert!(!rate.admit(start + 999 * MS));
        assert!(!rate.admit(start + 999 * MS));
        assert_eq!((rate.take_dropped(), rate.take_dropped()), (2, 0));
        assert!(rate.admit(start + 1000 * MS));
    }
}
