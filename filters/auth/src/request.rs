//! A request as this guest sees it, and what it may change in one.

/// The header fields of a request, those of HTTP/2's pseudo-headers among them, in the order they came.
#[derive(Clone, Debug, Default)]
pub struct Request(Vec<(String, Vec<u8>)>);

/// A change of the request before the origin gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// All fields of this name go.
    Remove(String),
    /// This field has this value, and only this.
    Set(String, String),
}

impl Request {
    /// A request with these fields.
    #[must_use]
    pub fn new(fields: Vec<(String, Vec<u8>)>) -> Self {
        Self(fields)
    }

    /// The values of all fields of this name, however it is capitalised.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0
            .iter()
            .filter(move |(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_slice())
    }

    /// The names of all fields.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The target (`/path?query`).
    #[must_use]
    pub fn target(&self) -> &[u8] {
        self.values(":path").next().unwrap_or_default()
    }
}
