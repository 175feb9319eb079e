//! What was said of a filter's refused calls and limits: a guest, or its client, must not be able to fill the log.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// Different things remembered; beyond it nothing new is said, only counted.
const TOLD_MAX: usize = 256;

/// How often the same thing is said.
const AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug, Default)]
pub(super) struct Told(Mutex<HashMap<String, Instant>>);

impl Told {
    /// True the first time.
    pub(super) fn once(&self, what: &str) -> bool {
        self.at(what, Instant::now(), None)
    }

    /// True the first time, and then every ten seconds.
    pub(super) fn again(&self, what: &str) -> bool {
        self.at(what, Instant::now(), Some(AGAIN))
    }

    fn at(&self, what: &str, now: Instant, period: Option<Duration>) -> bool {
        let mut told = self.0.lock();
        if let Some(last) = told.get_mut(what) {
            let due = period.is_some_and(|period| now.duration_since(*last) >= period);
            if due {
                *last = now;
            }
            return due;
        }
        let room = told.len() < TOLD_MAX;
        if room {
            told.insert(what.to_owned(), now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn once_is_once_and_again_is_later() {
        let (told, now) = (Told::default(), Instant::now());
        assert!(told.at("a", now, None));
        assert!(!told.at("a", now + AGAIN, None));
        assert!(told.at("b", now, Some(AGAIN)));
        assert!(!told.at("b", now + AGAIN / 2, Some(AGAIN)));
        assert!(told.at("b", now + AGAIN, Some(AGAIN)));
    }

    #[test]
    fn it_is_bounded() {
        let told = Told::default();
        let said = (0..2 * TOLD_MAX).filter(|n| told.once(&n.to_string()));
        assert_eq!(said.count(), TOLD_MAX);
    }
}
