//! What a VM may use: memory and tables, CPU time, log lines.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::ResourceLimiter;

use crate::limits::{EPOCH_TICK, Limits, TABLES_MAX};

/// Memory and tables.
pub(crate) struct Bounds {
    memory: usize,
    table: usize,
    /// The guest was refused memory in the callback that runs: a trap in it is put down to that.
    pub(crate) memory_refused: bool,
}

impl Bounds {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            memory: limits.memory,
            table: limits.table,
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
        Ok(desired <= self.table)
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
///
/// For an exchange, which may be many short callbacks, the first tick in each counts for one period: a callback of a
/// fifth of a period meets a tick every fifth time.
#[derive(Default)]
pub(crate) struct CpuMeter {
    limit: Duration,
    /// The clock at the first tick, and at the last.
    seen: Option<(Duration, Duration)>,
    exhausted: Option<Exhausted>,
}

/// A CPU limit that is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exhausted {
    /// That of the callback, or of the start.
    Call(Duration),
    /// That of the exchange.
    Exchange(Duration),
}

impl CpuMeter {
    /// A callback begins.
    pub(crate) fn begin(&mut self, limit: Duration) {
        *self = Self {
            limit,
            seen: None,
            exhausted: None,
        };
    }

    /// The host is about to work for the guest: its time counts from here, where it does not yet.
    pub(crate) fn count_from_here(&mut self) {
        self.seen.get_or_insert_with(|| {
            let now = thread_time();
            (now, now)
        });
    }

    /// The epoch ticked. Answers how much the callback has used since the tick before, for the exchange's account.
    pub(crate) fn tick(&mut self, now: Duration) -> Duration {
        let (first, last) = self.seen.unwrap_or((now, now.saturating_sub(EPOCH_TICK)));
        self.seen = Some((first, now));
        if now.saturating_sub(first) >= self.limit {
            self.exhausted = Some(Exhausted::Call(self.limit));
        }
        now.saturating_sub(last)
    }

    /// The exchange has used up its limit.
    pub(crate) fn exhaust_exchange(&mut self, limit: Duration) {
        self.exhausted.get_or_insert(Exhausted::Exchange(limit));
    }

    pub(crate) fn exhausted(&self) -> Option<Exhausted> {
        self.exhausted
    }
}

/// CPU time of this thread.
pub(crate) fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

/// Lines in the period that began with the first of them.
pub(crate) struct LogRate {
    lines_max: u64,
    period: Duration,
    began: Option<Instant>,
    lines: u64,
    dropped: u64,
}

impl LogRate {
    /// So many lines in each period.
    pub(crate) fn new(lines_max: u64, period: Duration) -> Self {
        Self {
            lines_max,
            period,
            began: None,
            lines: 0,
            dropped: 0,
        }
    }

    /// Whether one more line may go.
    pub(crate) fn admit(&mut self, now: Instant) -> bool {
        let fresh = self
            .began
            .is_none_or(|began| now.saturating_duration_since(began) >= self.period);
        if fresh {
            self.began = Some(now);
            self.lines = 0;
        }
        if self.lines < self.lines_max {
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
        assert_eq!(
            meter.tick(1000 * MS),
            EPOCH_TICK,
            "the first counts for a period"
        );
        assert_eq!(meter.tick(1005 * MS), 5 * MS);
        assert_eq!(meter.tick(1009 * MS), 4 * MS); // many ticks of wall time may pass here
        assert_eq!(meter.tick(1009 * MS), Duration::ZERO);
        assert_eq!(meter.exhausted(), None);
        assert_eq!(meter.tick(1010 * MS), MS);
        assert_eq!(meter.exhausted(), Some(Exhausted::Call(10 * MS)));
        meter.begin(10 * MS);
        assert_eq!(meter.tick(1010 * MS), EPOCH_TICK);
        assert_eq!(meter.exhausted(), None);
        meter.exhaust_exchange(20 * MS);
        assert_eq!(meter.exhausted(), Some(Exhausted::Exchange(20 * MS)));
    }

    #[test]
    fn lines_beyond_the_rate_are_dropped_and_counted_until_the_next_period() {
        let mut rate = LogRate::new(3, 60 * MS);
        let start = Instant::now();
        for _ in 0..3 {
            assert!(rate.admit(start));
        }
        assert!(!rate.admit(start + 59 * MS));
        assert!(!rate.admit(start + 59 * MS));
        assert_eq!((rate.take_dropped(), rate.take_dropped()), (2, 0));
        assert!(rate.admit(start + 60 * MS));
        assert!(!LogRate::new(0, MS).admit(start), "none at all");
    }
}
