//! The algorithm against a reference that works differently, and at the edges of its range.

use super::*;

const SECOND: u64 = 1_000_000_000;
/// A moment in 2023, so that products are as large as in life.
const NOW: u64 = 1_700_000_000 * SECOND;

/// The reference: a bucket with a level, refilled by elapsed time and emptied by requests. It shares no formula
/// with the code above: no TAT, no comparison of times.
struct Bucket {
    rate: Rate,
    level: u128,
    at: u64,
}

impl Bucket {
    fn full(rate: Rate, at: u64) -> Self {
        Self {
            rate,
            level: u128::from(rate.burst) * u128::from(rate.period),
            at,
        }
    }

    fn take(&mut self, now: u64) -> bool {
        let refill = u128::from(now - self.at) * u128::from(self.rate.count);
        let brim = u128::from(self.rate.burst) * u128::from(self.rate.period);
        self.level = brim.min(self.level + refill);
        self.at = now;
        let passes = self.level >= u128::from(self.rate.period);
        if passes {
            self.level -= u128::from(self.rate.period);
        }
        passes
    }

    fn remaining(&self) -> u64 {
        u64::try_from(self.level / u128::from(self.rate.period)).expect("small")
    }
}

/// A small linear congruential generator (Knuth's MMIX constants): the same sequence on every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

fn rates() -> Vec<Rate> {
    let mut rates = Vec::new();
    for (count, period) in [
        (1, SECOND),
        (3, SECOND),
        (7, 10 * SECOND),
        (100, SECOND),
        (1_000, 60 * SECOND),
        (5, PERIOD_NANOS_MIN),
    ] {
        for burst in [1, 2, 20, count] {
            rates.push(Rate {
                count,
                period,
                burst,
            });
        }
    }
    rates.push(Rate {
        count: REQUESTS_MAX,
        period: PERIOD_NANOS_MIN,
        burst: REQUESTS_MAX,
    });
    rates.push(Rate {
        count: 1,
        period: PERIOD_NANOS_MAX,
        burst: 1,
    });
    rates
}

#[test]
fn agrees_with_a_bucket_at_every_step() {
    let mut random = Random(42);
    for rate in rates() {
        let (mut now, mut stored, mut bucket) = (NOW, None, Bucket::full(rate, NOW));
        let mut passed = 0;
        for step in 0..5_000 {
            // Rushes and pauses: mostly far below the cost of a request, at times several of them.
            let pace = (rate.period / rate.count).max(1);
            now += if random.below(20) == 0 {
                random.below(10 * pace)
            } else {
                random.below(pace)
            };
            let expected = bucket.take(now);
            match rate.take(stored, now) {
                Taken::Passed(tat, standing) => {
                    assert!(expected, "{rate:?} let step {step} pass");
                    assert_eq!(
                        standing.remaining,
                        bucket.remaining(),
                        "{rate:?} at step {step}"
                    );
                    stored = Some(tat);
                    passed += 1;
                }
                Taken::Refused(standing) => {
                    assert!(!expected, "{rate:?} refused step {step}");
                    assert_eq!(standing.remaining, 0);
                    assert!(standing.next > 0);
                }
            }
        }
        assert!(passed > 0, "{rate:?}");
    }
}

#[test]
fn the_wait_it_names_is_exact_to_the_nanosecond() {
    for rate in rates() {
        let mut stored = None;
        for _ in 0..rate.burst.min(1_000) {
            if let Taken::Passed(tat, _) = rate.take(stored, NOW) {
                stored = Some(tat);
            }
        }
        let Taken::Refused(standing) = rate.take(stored, NOW) else {
            assert!(rate.burst > 1_000, "{rate:?} must refuse after its burst");
            continue;
        };
        assert!(
            matches!(rate.take(stored, NOW + standing.next), Taken::Passed(..)),
            "{rate:?}"
        );
        assert!(
            matches!(
                rate.take(stored, NOW + standing.next - 1),
                Taken::Refused(_)
            ),
            "{rate:?}"
        );
    }
}

#[test]
fn passes_exactly_burst_and_then_the_rate() {
    let rate = Rate {
        count: 3,
        period: SECOND,
        burst: 5,
    };
    let (mut stored, mut passed) = (None, 0_u32);
    // Each millisecond of 100 seconds: 5 at once, 3 a second after that, no thirds lost to rounding.
    for millisecond in 0..=100_000 {
        if let Taken::Passed(tat, _) = rate.take(stored, NOW + millisecond * 1_000_000) {
            stored = Some(tat);
            passed += 1;
        }
        if millisecond == 0 {
            while let Taken::Passed(tat, _) = rate.take(stored, NOW) {
                stored = Some(tat);
                passed += 1;
            }
        }
    }
    assert_eq!(passed, 5 + 300);
}

#[test]
fn a_clock_set_back_costs_at_most_one_refill() {
    let rate = Rate {
        count: 10,
        period: SECOND,
        burst: 5,
    };
    let then = NOW - 3_600 * SECOND;
    let Taken::Passed(tat, _) = rate.take(None, NOW) else {
        panic!("a full bucket")
    };
    let Taken::Refused(standing) = rate.take(Some(tat), then) else {
        panic!("an empty bucket")
    };
    assert_eq!(
        standing,
        Standing {
            remaining: 0,
            next: SECOND / 10
        }
    );
    assert_eq!(rate.look(Some(tat), then), standing);
    let amended = rate.amended(Some(tat), then);
    assert!(amended.is_some());
    assert!(matches!(
        rate.take(amended, then + SECOND / 10 - 1),
        Taken::Refused(_)
    ));
    assert!(matches!(
        rate.take(amended, then + SECOND / 10),
        Taken::Passed(..)
    ));
}

#[test]
fn a_worker_that_was_held_up_takes_nothing_back() {
    let rate = Rate {
        count: 10,
        period: SECOND,
        burst: 1,
    };
    let Taken::Passed(tat, _) = rate.take(None, NOW) else {
        panic!("a full bucket")
    };
    let earlier = NOW - 7;
    assert_eq!(rate.amended(Some(tat), earlier), None);
    let Taken::Refused(standing) = rate.take(Some(tat), earlier) else {
        panic!("an empty bucket")
    };
    assert_eq!(
        standing,
        Standing {
            remaining: 0,
            next: SECOND / 10 + 7
        }
    );
}

#[test]
fn a_clock_set_on_fills_the_bucket_once() {
    let rate = Rate {
        count: 1,
        period: SECOND,
        burst: 2,
    };
    let later = NOW + 86_400 * SECOND;
    assert_eq!(
        rate.look(Some(rate.ticks(NOW)), later),
        Standing {
            remaining: 2,
            next: 0
        }
    );
}

#[test]
fn what_is_put_back_can_be_taken_again() {
    let rate = Rate {
        count: 1,
        period: SECOND,
        burst: 1,
    };
    let Taken::Passed(tat, _) = rate.take(None, NOW) else {
        panic!("a full bucket")
    };
    assert!(matches!(rate.take(Some(tat), NOW), Taken::Refused(_)));
    assert!(matches!(
        rate.take(Some(rate.put_back(tat)), NOW),
        Taken::Passed(..)
    ));
    assert_eq!(rate.put_back(0), 0);
}

#[test]
fn extremes_do_not_overflow() {
    for rate in rates() {
        for now in [0, 1, u64::MAX] {
            for stored in [None, Some(0), Some(u128::MAX)] {
                let _ = rate.take(stored, now);
                let _ = rate.look(stored, now);
            }
        }
    }
}
