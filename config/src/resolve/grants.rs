//! Grants of a filter.

use super::{Resolver, or};
use crate::model::{Access, Grants, ReadWrite, UpstreamId};
use crate::raw;
use crate::read::Slot;
use crate::values::Text;

impl Resolver<'_> {
    pub(super) fn grants(&mut self, grants: Option<Slot<raw::Grants>>) -> Grants {
        let Some(Slot {
            at,
            value: Some(grants),
        }) = grants
        else {
            return Grants::default();
        };
        let raw::Grants {
            all,
            http_call,
            grpc_call,
            foreign,
            queues,
            headers,
            body,
            properties,
            shared_data,
        } = grants;
        let all = or(all, false);
        let narrows =
            headers.is_some() || body.is_some() || properties.is_some() || shared_data.is_some();
        if all && narrows {
            self.problem(
                &at,
                "`all` grants everything, and other keys here take some of it away",
                Some("leave out `all: true`, and grant what the module needs by name".into()),
            );
        }
        let (request_headers, response_headers) = self.header_grants(headers);
        let (request_body, response_body) = body_grants(body);
        Grants {
            all,
            http_call: self.granted_upstreams(http_call),
            grpc_call: self.granted_upstreams(grpc_call),
            foreign: self.listed(foreign),
            queues: self.listed(queues),
            request_headers,
            response_headers,
            request_body,
            response_body,
            properties: or(properties, Access::All),
            shared_data: or(shared_data, Access::All),
        }
    }

    fn granted_upstreams(&mut self, names: Option<Slot<Vec<Slot<Text>>>>) -> Vec<UpstreamId> {
        let names = names.and_then(|slot| slot.value).unwrap_or_default();
        let granted = names.into_iter().filter_map(|Slot { at, value }| {
            self.reference(|resolver| &resolver.upstreams, "upstream", &at, &value?)
                .map(UpstreamId)
        });
        granted.collect()
    }

    fn listed(&mut self, names: Option<Slot<Vec<Slot<Text>>>>) -> Vec<String> {
        let names = names.and_then(|slot| slot.value).unwrap_or_default();
        let names = names.into_iter().filter_map(|Slot { at, value }| {
            let name = value?.value.to_string();
            if name.is_empty() {
                self.problem(&at, "the name is empty", None);
            }
            Some(name)
        });
        names.collect()
    }

    fn header_grants(
        &mut self,
        grants: Option<Slot<raw::HeaderGrants>>,
    ) -> (ReadWrite<Access>, ReadWrite<Access>) {
        let Some(raw::HeaderGrants { request, response }) = grants.and_then(|slot| slot.value)
        else {
            return (ReadWrite::both(Access::All), ReadWrite::both(Access::All));
        };
        (self.header_access(request), self.header_access(response))
    }

    fn header_access(&mut self, access: Option<Slot<raw::HeaderAccess>>) -> ReadWrite<Access> {
        let Some(raw::HeaderAccess { read, write }) = access.and_then(|slot| slot.value) else {
            return ReadWrite::both(Access::All);
        };
        ReadWrite {
            read: self.header_names(read),
            write: self.header_names(write),
        }
    }

    /// Names in lower case. Pseudo headers such as `:path` are names too.
    fn header_names(&mut self, access: Option<Slot<Access>>) -> Access {
        let Some(Slot {
            at,
            value: Some(Access::Only(names)),
        }) = access
        else {
            return Access::All;
        };
        for name in &names {
            let token = name.strip_suffix('*').unwrap_or(name);
            let token = token.strip_prefix(':').unwrap_or(token);
            if !token.bytes().all(is_token) {
                let hint = "write names such as authorization, x-user-* or \":path\"".to_owned();
                self.problem(&at, "one of these is no header name", Some(hint));
            }
        }
        let names = names.into_iter().map(|name| name.to_ascii_lowercase());
        Access::Only(names.collect())
    }
}

/// RFC 9110, section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn body_grants(grants: Option<Slot<raw::BodyGrants>>) -> (ReadWrite<bool>, ReadWrite<bool>) {
    let Some(raw::BodyGrants { request, response }) = grants.and_then(|slot| slot.value) else {
        return (ReadWrite::both(true), ReadWrite::both(true));
    };
    let access = |access: Option<Slot<raw::BodyAccess>>| match access.and_then(|slot| slot.value) {
        Some(raw::BodyAccess { read, write }) => ReadWrite {
            read: or(read, true),
            write: or(write, true),
        },
        None => ReadWrite::both(true),
    };
    (access(request), access(response))
}
