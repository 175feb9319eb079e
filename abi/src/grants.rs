//! Grants: what a plugin may do to the outside, and what of its own exchange it may not.

/// Grants of one plugin. The default: its whole exchange, and nothing outside.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Grants {
    /// Everything: for a module one trusts.
    pub all: bool,
    /// Upstreams that `proxy_http_call` may name.
    pub http_call: Vec<String>,
    /// Upstreams that `proxy_grpc_call` and `proxy_grpc_stream` may name.
    pub grpc_call: Vec<String>,
    /// Functions that `proxy_call_foreign_function` may name.
    pub foreign: Vec<String>,
    /// `vm_id`s of other plugins whose queues may be resolved and used.
    pub queues: Vec<String>,
    /// Header maps 0 and 1 (names in lower case; a star at the end stands for any rest).
    pub request_headers: ReadWrite<Access>,
    /// Header maps 2 and 3.
    pub response_headers: ReadWrite<Access>,
    /// Buffer 0.
    pub request_body: ReadWrite<bool>,
    /// Buffer 1.
    pub response_body: ReadWrite<bool>,
    /// Property paths, their segments joined by dots: each with all below it.
    pub properties: Access,
    /// Keys of shared data, by their beginnings.
    pub shared_data: Access,
}

/// The two sides of a grant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ReadWrite<T> {
    /// What may be read.
    pub read: T,
    /// What may be changed.
    pub write: T,
}

impl<T: Clone> ReadWrite<T> {
    /// The same both ways.
    pub fn both(value: T) -> Self {
        Self {
            read: value.clone(),
            write: value,
        }
    }
}

/// What of something is allowed.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// All of it.
    All,
    /// These, and nothing where there are none.
    Only(Vec<String>),
}

impl Default for Grants {
    fn default() -> Self {
        Self {
            all: false,
            http_call: Vec::new(),
            grpc_call: Vec::new(),
            foreign: Vec::new(),
            queues: Vec::new(),
            request_headers: ReadWrite::both(Access::All),
            response_headers: ReadWrite::both(Access::All),
            request_body: ReadWrite::both(true),
            response_body: ReadWrite::both(true),
            properties: Access::All,
            shared_data: Access::All,
        }
    }
}

impl Grants {
    /// Whether an HTTP callout to `upstream` is allowed.
    pub fn allows_http_call(&self, upstream: &str) -> bool {
        self.all || contains(&self.http_call, upstream)
    }

    /// Whether a gRPC callout to `upstream` is allowed.
    pub fn allows_grpc_call(&self, upstream: &str) -> bool {
        self.all || contains(&self.grpc_call, upstream)
    }

    /// Whether the foreign function `name` is allowed.
    pub fn allows_foreign(&self, name: &str) -> bool {
        self.all || contains(&self.foreign, name)
    }

    /// Whether queues of another `vm_id` are allowed.
    pub fn allows_queues(&self, vm_id: &str) -> bool {
        self.all || contains(&self.queues, vm_id)
    }
}

fn contains(granted: &[String], name: &str) -> bool {
    granted.iter().any(|granted| granted == name)
}

impl Access {
    /// Whether a header of that name (in any case) is allowed.
    pub fn header(&self, name: &[u8]) -> bool {
        self.any(|granted| match granted.strip_suffix('*') {
            Some(start) => name
                .get(..start.len())
                .is_some_and(|head| head.eq_ignore_ascii_case(start.as_bytes())),
            None => name.eq_ignore_ascii_case(granted.as_bytes()),
        })
    }

    /// Whether a key that begins like this is allowed.
    pub fn key(&self, key: &[u8]) -> bool {
        self.any(|granted| key.starts_with(granted.as_bytes()))
    }

    /// Whether a property is allowed. `path` has its segments joined by NUL, as the ABI writes them.
    pub fn property(&self, path: &[u8]) -> bool {
        self.any(|granted| {
            let mut left = path;
            for (index, segment) in granted.split('.').enumerate() {
                if index > 0 {
                    match left.split_first() {
                        Some((0, rest)) => left = rest,
                        _ => return false,
                    }
                }
                match left.strip_prefix(segment.as_bytes()) {
                    Some(rest) => left = rest,
                    None => return false,
                }
            }
            matches!(left.first(), None | Some(0))
        })
    }

    fn any(&self, matches: impl Fn(&str) -> bool) -> bool {
        match self {
            Self::All => true,
            Self::Only(granted) => granted.iter().any(|granted| matches(granted)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn only(names: &[&str]) -> Access {
        Access::Only(names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn headers_by_name_and_by_beginning() {
        let access = only(&["authorization", "x-user-*", ":path"]);
        for name in ["Authorization", "X-User-Id", "x-user-", ":path"] {
            assert!(access.header(name.as_bytes()), "{name}");
        }
        for name in ["x-authorization", "authorization2", "x-use", ":method", ""] {
            assert!(!access.header(name.as_bytes()), "{name}");
        }
        assert!(Access::All.header(b"any") && !only(&[]).header(b"any"));
    }

    #[test]
    fn properties_with_all_below() {
        let access = only(&["request", "source.address"]);
        for path in [
            "request",
            "request\0path",
            "request\0headers\0a.b",
            "source\0address",
        ] {
            assert!(access.property(path.as_bytes()), "{path}");
        }
        for path in [
            "requests",
            "response\0code",
            "source",
            "source\0port",
            "source\0address2",
            "",
        ] {
            assert!(!access.property(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn keys_by_their_beginning() {
        let access = only(&["rate/"]);
        assert!(access.key(b"rate/10.0.0.1") && !access.key(b"rat") && !access.key(b"other"));
    }
}
