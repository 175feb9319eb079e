//! API keys: shared secrets, one a consumer.

use sha2::{Digest, Sha256};
use std::fmt;

/// Bytes of a key that a client may send; no configured one is longer.
pub const KEY_BYTES_MAX: usize = 1024;

type Fingerprint = [u8; 32];

/// The consumers and the fingerprints of their keys. The keys themselves are not kept: a dump of this memory shows
/// none.
#[derive(Clone, Default)]
pub struct Consumers(Vec<(String, Fingerprint)>);

impl Consumers {
    /// Adds a consumer.
    ///
    /// # Errors
    /// The name of the consumer who has the same key: it could not be told who comes.
    pub fn add(&mut self, name: String, key: &str) -> Result<(), String> {
        let print = fingerprint(key.as_bytes());
        match self.find(&print) {
            Some(other) => Err(other.to_owned()),
            None => {
                self.0.push((name, print));
                Ok(())
            }
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whose key this is.
    #[must_use]
    pub fn identify(&self, key: &[u8]) -> Option<&str> {
        if key.len() > KEY_BYTES_MAX {
            None
        } else {
            self.find(&fingerprint(key))
        }
    }

    /// Takes the same time whichever consumer it is, and for a key that is nearly right as for one that is not:
    /// fingerprints of similar keys are not similar, each is compared to its end, and all of them are.
    fn find(&self, print: &Fingerprint) -> Option<&str> {
        let mut found = None;
        for (name, known) in &self.0 {
            let difference = known
                .iter()
                .zip(print)
                .fold(0, |all, (one, other)| all | (one ^ other));
            if std::hint::black_box(difference) == 0 {
                found = Some(name.as_str());
            }
        }
        found
    }
}

fn fingerprint(key: &[u8]) -> Fingerprint {
    Sha256::digest(key).into()
}

/// Names only: fingerprints of short keys can be guessed.
impl fmt::Debug for Consumers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_list()
            .entries(self.0.iter().map(|(name, _)| name))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn consumers() -> Consumers {
        let mut consumers = Consumers::default();
        consumers
            .add("alice".to_owned(), "secret-a")
            .expect("a new key");
        consumers
            .add("bob".to_owned(), "secret-b")
            .expect("a new key");
        consumers
    }

    #[test]
    fn a_key_names_its_consumer() {
        let consumers = consumers();
        assert_eq!(consumers.identify(b"secret-a"), Some("alice"));
        assert_eq!(consumers.identify(b"secret-b"), Some("bob"));
    }

    #[test]
    fn nothing_but_the_key_does() {
        let consumers = consumers();
        for key in [
            &b""[..],
            b"secret-",
            b"secret-c",
            b"secret-aa",
            b"SECRET-A",
            b" secret-a",
            b"alice",
            &[0; 4096],
        ] {
            assert_eq!(consumers.identify(key), None, "{key:?}");
        }
    }

    #[test]
    fn a_key_cannot_be_two_consumers() {
        assert_eq!(
            consumers().add("carol".to_owned(), "secret-a"),
            Err("alice".to_owned())
        );
    }

    #[test]
    fn neither_keys_nor_fingerprints_are_shown() {
        assert_eq!(format!("{:?}", consumers()), r#"["alice", "bob"]"#);
    }
}
