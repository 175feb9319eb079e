//! How a built-in guest reads its configuration: the JSON text that the proxy hands over becomes checked values, and
//! everything that is wrong with it is reported at once, each problem with the path of the key (`jwt.keys[1].pem`).
//!
//! A [`Section`] is one mapping. Each method takes the named key out of it, and [`Section::finish`] reports what nobody
//! asked for. Methods answer `None` both for an absent key and for a bad one; for a bad one a problem is on record, so
//! a caller needs no second error path: it builds what it can and looks at [`Problems`] at the end.

mod duration;
mod section;

pub use duration::parse as parse_duration;
pub use section::{Section, header_name};

use std::cell::RefCell;
use std::fmt::Display;

/// Everything found wrong in one configuration, in the order found.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<String>>);

impl Problems {
    /// Records that the value at `path` is wrong, and how to put it right.
    pub fn add(&self, path: &str, message: impl Display) {
        self.0.borrow_mut().push(format!("{path}: {message}"));
    }

    /// The value if nothing was wrong, else every problem.
    ///
    /// # Errors
    /// One text a problem, each `path: what is wrong`.
    pub fn into_result<T>(self, value: Option<T>) -> Result<T, Vec<String>> {
        let mut found = self.0.into_inner();
        match value {
            Some(value) if found.is_empty() => Ok(value),
            _ => {
                if found.is_empty() {
                    found.push("config: not usable".to_owned());
                }
                Err(found)
            }
        }
    }
}
