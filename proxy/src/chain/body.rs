//! The bytes of a body that a plugin can see: shared as they came until somebody edits them.

use bytes::{Bytes, BytesMut};

/// Body bytes, copied only when edited or accumulated.
#[derive(Debug)]
pub enum Body {
    Shared(Bytes),
    Owned(BytesMut),
}

impl Default for Body {
    fn default() -> Self {
        Self::Shared(Bytes::new())
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::Shared(bytes)
    }
}

impl Body {
    pub fn as_slice(&self) -> &[u8] {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Owned(bytes) => bytes,
        }
    }

    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Shared(bytes) => bytes,
            Self::Owned(bytes) => bytes.freeze(),
        }
    }

    /// The bytes for editing: taken over without a copy where nobody else holds them.
    fn make_mut(&mut self) -> &mut BytesMut {
        if let Self::Shared(bytes) = self {
            let owned = std::mem::take(bytes)
                .try_into_mut()
                .unwrap_or_else(|shared| BytesMut::from(&shared[..]));
            *self = Self::Owned(owned);
        }
        match self {
            Self::Owned(bytes) => bytes,
            Self::Shared(_) => unreachable!("made owned above"),
        }
    }

    /// Appends a chunk; without a copy where this is still empty.
    pub fn push(&mut self, chunk: Self) {
        if self.is_empty() {
            *self = chunk;
        } else if !chunk.is_empty() {
            self.make_mut().extend_from_slice(chunk.as_slice());
        }
    }

    /// Replaces `length` bytes at `start` by `data`; both are clamped to what there is.
    pub fn splice(&mut self, start: usize, length: usize, data: &[u8]) {
        let size = self.len();
        let start = start.min(size);
        let end = start.saturating_add(length).min(size);
        if start == 0 && end == size {
            *self = Self::Owned(BytesMut::from(data));
            return;
        }
        let bytes = self.make_mut();
        if start == size {
            bytes.extend_from_slice(data);
            return;
        }
        let tail = bytes.split_off(start);
        bytes.reserve(data.len() + tail.len());
        bytes.extend_from_slice(data);
        bytes.extend_from_slice(&tail[end - start..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spliced(text: &str, start: usize, length: usize, data: &str) -> String {
        let mut body = Body::from(Bytes::copy_from_slice(text.as_bytes()));
        body.splice(start, length, data.as_bytes());
        String::from_utf8(body.into_bytes().to_vec()).expect("text")
    }

    #[test]
    fn splices_anywhere() {
        assert_eq!(spliced("abc", 0, 3, "xyz"), "xyz");
        assert_eq!(spliced("abc", 0, 0, "x"), "xabc");
        assert_eq!(spliced("abc", 3, 0, "x"), "abcx");
        assert_eq!(spliced("abc", 0, 1, "xy"), "xybc");
        assert_eq!(spliced("abc", 1, 1, ""), "ac");
        assert_eq!(spliced("", 0, 0, "x"), "x");
        assert_eq!(spliced("abc", 9, 9, "x"), "abcx");
    }

    #[test]
    fn pushes_keep_order_and_the_first_chunk_is_not_copied() {
        let first = Bytes::from_static(b"ab");
        let mut body = Body::default();
        body.push(first.clone().into());
        assert_eq!(body.as_slice().as_ptr(), first.as_ptr());
        body.push(Bytes::from_static(b"cd").into());
        assert_eq!(body.as_slice(), b"abcd");
    }
}
