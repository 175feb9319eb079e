//! Listeners that relay TCP: where to, and what of HTTP they have no use for.

use super::Resolver;
use crate::model::{Chain, ListenerProtocol, TcpTarget, UpstreamId};
use crate::problem::Location;
use crate::raw;
use crate::read::Slot;
use crate::values::{Protocol, Text};

/// Whether there are listeners and none of them speaks HTTP, so that routes are not needed.
pub(super) fn only_tcp(listeners: &Slot<Vec<Slot<raw::Listener>>>) -> bool {
    let is_tcp = |slot: &Slot<raw::Listener>| {
        let protocol = slot.value.as_ref().and_then(|raw| raw.protocol.as_ref());
        protocol.is_some_and(|slot| slot.value == Some(Protocol::Tcp))
    };
    let items = listeners.value.as_deref().unwrap_or_default();
    !items.is_empty() && items.iter().all(is_tcp)
}

impl Resolver<'_> {
    pub(super) fn tcp_target(
        &mut self,
        at: &Location,
        upstream: Option<Slot<Text>>,
        chain: Option<Slot<raw::RouteChain>>,
        chains: Option<&[Chain]>,
    ) -> Option<ListenerProtocol> {
        let chain = match chain {
            Some(slot) => slot
                .value
                .and_then(|chain| self.route_chain(&slot.at, chain, chains)),
            None => Some(Vec::new()),
        };
        let Some(Slot { at, value }) = upstream else {
            let message = "the listener leads nowhere: `upstream` is missing";
            let hint = "add `upstream: NAME`: a tcp listener relays to one upstream";
            self.problem(at, message, Some(hint.into()));
            return None;
        };
        let id = self.reference(|resolver| &resolver.upstreams, "upstream", &at, &value?)?;
        Some(ListenerProtocol::Tcp(TcpTarget {
            upstream: UpstreamId(id),
            chain: chain?,
        }))
    }

    /// An HTTP listener has none of its own.
    pub(super) fn without_target(
        &mut self,
        upstream: Option<&Slot<Text>>,
        chain: Option<&Slot<raw::RouteChain>>,
    ) -> Option<ListenerProtocol> {
        let keys = [
            ("upstream", upstream.map(|slot| &slot.at)),
            ("chain", chain.map(|slot| &slot.at)),
        ];
        let given = keys
            .into_iter()
            .filter_map(|(key, at)| Some((key, at?.clone())));
        let mut good = true;
        for (key, at) in given {
            let hint = "move it to a route, or add `protocol: tcp`".to_owned();
            let message = format!("`{key}` of a listener is for protocol tcp; here routes have it");
            self.problem(&at, message, Some(hint));
            good = false;
        }
        good.then_some(ListenerProtocol::Http)
    }

    /// Tells keys that a listener without HTTP has no use for.
    pub(super) fn without_http_keys(
        &mut self,
        client_ip: Option<&Slot<raw::ClientIp>>,
        limits: Option<&Slot<raw::ListenerLimits>>,
    ) {
        let mut given = vec![("client_ip", client_ip.map(|slot| slot.at.clone()))];
        if let Some(raw::ListenerLimits {
            header_bytes,
            headers,
            header_timeout,
            body_bytes,
            body_min_rate,
            connections: _,
            idle_timeout: _,
            streams,
        }) = limits.and_then(|slot| slot.value.as_ref())
        {
            given.extend([
                ("header_bytes", place(header_bytes)),
                ("headers", place(headers)),
                ("header_timeout", place(header_timeout)),
                ("body_bytes", place(body_bytes)),
                ("body_min_rate", place(body_min_rate)),
                ("streams", place(streams)),
            ]);
        }
        for (key, at) in given {
            let Some(at) = at else { continue };
            let message = format!("`{key}` is about HTTP, which a tcp listener does not look at");
            let hint = "leave it out; a tcp listener has the limits connections and idle_timeout";
            self.problem(&at, message, Some(hint.into()));
        }
    }
}

fn place<T>(slot: &Option<Slot<T>>) -> Option<Location> {
    slot.as_ref().map(|slot| slot.at.clone())
}
