//! The generic cell rate algorithm (ITU-T I.371), as a token bucket that needs one number a client.
//!
//! The number is the theoretical arrival time (TAT): when the bucket will be full again. A request moves it on by what
//! one request costs, and is refused when that would put it further ahead of now than a full bucket lasts.
//!
//! Nothing is rounded: `count` requests a `period` cost `period / count` nanoseconds each, which is seldom whole, so
//! all times here are counted in units of `1 / count` nanoseconds ([`Ticks`]); in these a request costs `period`.

/// Time in units of `1 / count` nanoseconds of the limit in question. 2^64 ns times a count of 2^30 leaves 34 bits.
pub type Ticks = u128;

/// Most requests a period, and most requests in a burst. Beyond it nothing is limited in practice, and below it no
/// product in this file can overflow.
pub const REQUESTS_MAX: u64 = 1_000_000_000;

/// The shortest and the longest period, in nanoseconds: a millisecond, a year.
pub const PERIOD_NANOS_MIN: u64 = 1_000_000;
/// See [`PERIOD_NANOS_MIN`].
pub const PERIOD_NANOS_MAX: u64 = 366 * 86_400 * 1_000_000_000;

/// How long a worker may be held up between reading the clock and reading a bucket before what it finds there looks
/// like the future, in nanoseconds.
const HELD_UP_NANOS_MAX: u64 = 1_000_000_000;

/// A rate and the burst that it forgives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Requests a period, 1 to [`REQUESTS_MAX`].
    pub count: u64,
    /// Nanoseconds, [`PERIOD_NANOS_MIN`] to [`PERIOD_NANOS_MAX`].
    pub period: u64,
    /// Requests that a full bucket holds, 1 to [`REQUESTS_MAX`].
    pub burst: u64,
}

/// What a client has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Requests that would be let through at this moment.
    pub remaining: u64,
    /// Nanoseconds until one request more would be; 0 for a full bucket.
    pub next: u64,
}

/// What became of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It may pass once this TAT is stored.
    Passed(Ticks, Standing),
    /// It may not; nothing is to be stored.
    Refused(Standing),
}

impl Rate {
    /// Takes one request out of the bucket at `now` (nanoseconds since the epoch). `stored` is what the last request
    /// that passed left behind; none is a full bucket.
    #[must_use]
    pub fn take(&self, stored: Option<Ticks>, now: u64) -> Taken {
        let current = self.current(stored, now);
        let next = current + self.cost();
        if next > self.ticks(now) + self.capacity() {
            return Taken::Refused(self.standing(current, now));
        }
        Taken::Passed(next, self.standing(next, now))
    }

    /// What a request would find at `now`, without taking anything.
    #[must_use]
    pub fn look(&self, stored: Option<Ticks>, now: u64) -> Standing {
        self.standing(self.current(stored, now), now)
    }

    /// The TAT after one request is put back into the bucket.
    #[must_use]
    pub fn put_back(&self, stored: Ticks) -> Ticks {
        stored.saturating_sub(self.cost())
    }

    /// What to store instead of a TAT that was written before the clock was set back: that of an empty bucket, so
    /// that a client waits as long as one request takes to refill, and not for an hour because the clock went back by
    /// one. None for a TAT as it should be.
    #[must_use]
    pub fn amended(&self, stored: Option<Ticks>, now: u64) -> Option<Ticks> {
        let empty = self.ticks(now) + self.capacity();
        // Workers read the clock before the bucket, so a TAT may be ahead by as much as one of them was held up.
        (stored? > empty + self.ticks(HELD_UP_NANOS_MAX)).then_some(empty)
    }

    /// The TAT that counts at `now`: one in the past is a bucket that has been full since.
    fn current(&self, stored: Option<Ticks>, now: u64) -> Ticks {
        let stored = self.amended(stored, now).or(stored);
        let now = self.ticks(now);
        stored.map_or(now, |tat| tat.max(now))
    }

    fn standing(&self, tat: Ticks, now: u64) -> Standing {
        let empty = self.ticks(now) + self.capacity();
        let left = empty.saturating_sub(tat);
        let remaining = left / self.cost();
        let missing = if left >= self.capacity() {
            0
        } else {
            self.cost() - left % self.cost() + tat.saturating_sub(empty)
        };
        let next = missing.div_ceil(Ticks::from(self.count));
        Standing {
            remaining: narrow(remaining),
            next: narrow(next),
        }
    }

    fn ticks(&self, nanoseconds: u64) -> Ticks {
        Ticks::from(nanoseconds) * Ticks::from(self.count)
    }

    fn cost(&self) -> Ticks {
        Ticks::from(self.period)
    }

    fn capacity(&self) -> Ticks {
        Ticks::from(self.burst) * self.cost()
    }
}

/// Both results are far below 2^64 by the bounds of [`Rate`]; saturating keeps that from being a promise to a panic.
fn narrow(value: Ticks) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
