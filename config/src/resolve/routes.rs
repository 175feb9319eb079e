//! Routes: what they match, which chain runs, where they lead.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Resolver, rows};
use crate::merge::merge;
use crate::model::{
    Chain, ChainEntry, FilterId, HeaderCondition, HeaderTest, PathPattern, PluginConfig, Respond,
    Route, RouteMatch, Target, UpstreamId,
};
use crate::problem::Location;
use crate::raw;
use crate::read::{OneOrMany, Row, Slot};
use crate::syntax::{self, Refusal};
use crate::values::{Free, Text};

/// Headers that say how a message is framed or belong to one connection: the proxy writes them itself.
const PROXY_HEADERS: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl Resolver<'_> {
    /// `chains` is `None` where a chain is wrong; then references to chains are still checked. `optional`: no listener
    /// has a use for routes.
    pub(super) fn routes(
        &mut self,
        slot: Option<Slot<Vec<Slot<raw::Route>>>>,
        chains: Option<&[Chain]>,
        optional: bool,
        top: &Location,
    ) -> Option<Vec<Route>> {
        let items = match slot {
            Some(slot) if optional => slot.value?,
            Some(slot) => self.filled(slot, "route")?,
            None if optional => Vec::new(),
            None => {
                let hint = "Which requests go where, through which chain. At least one.";
                self.problem(top, "the key `routes` is missing", Some(hint.into()));
                return None;
            }
        };
        self.unique_names(
            items
                .iter()
                .filter_map(|slot| Some(&slot.value.as_ref()?.name)),
            "route",
        );
        self.items(items, |resolver, at, route| {
            resolver.route(at, route, chains)
        })
    }

    fn route(
        &mut self,
        at: Location,
        route: raw::Route,
        chains: Option<&[Chain]>,
    ) -> Option<Route> {
        let raw::Route {
            name,
            r#match,
            chain,
            upstream,
            respond,
            overrides,
        } = route;
        let named = self.checked(&name, syntax::name);
        let matches = match r#match {
            Some(slot) => slot.value.and_then(|matches| self.matches(matches)),
            None => Some(RouteMatch::default()),
        };
        let chain = match chain {
            Some(slot) => slot
                .value
                .and_then(|chain| self.route_chain(&slot.at, chain, chains)),
            None => Some(Vec::new()),
        };
        let overrides = self.overrides(rows(overrides), chain.as_deref());
        let target = self.target(&at, upstream, respond);
        named?;
        Some(Route {
            name: name.value?.value.to_string(),
            matches: matches?,
            chain: chain?,
            target: target?,
            overrides,
            at,
        })
    }

    pub(super) fn route_chain(
        &mut self,
        at: &Location,
        chain: raw::RouteChain,
        chains: Option<&[Chain]>,
    ) -> Option<Vec<ChainEntry>> {
        match chain {
            raw::RouteChain::Named(name) => {
                let id = self.reference(|resolver| &resolver.chains, "chain", at, &name)?;
                Some(chains?.get(usize::from(id))?.entries.clone())
            }
            raw::RouteChain::Inline(entries) => self.chain_entries(entries),
        }
    }

    fn target(
        &mut self,
        at: &Location,
        upstream: Option<Slot<Text>>,
        respond: Option<Slot<raw::Respond>>,
    ) -> Option<Target> {
        match (upstream, respond) {
            (Some(Slot { at, value }), None) => {
                let id =
                    self.reference(|resolver| &resolver.upstreams, "upstream", &at, &value?)?;
                Some(Target::Upstream(UpstreamId(id)))
            }
            (None, Some(respond)) => self.respond(respond.value?).map(Target::Respond),
            (Some(_), Some(respond)) => {
                let message = "both `upstream` and `respond` are given, but a route has one target";
                self.problem(
                    &respond.at,
                    message,
                    Some("leave out one of the two".into()),
                );
                None
            }
            (None, None) => {
                let message = "the route leads nowhere: neither `upstream` nor `respond` is given";
                self.problem(
                    at,
                    message,
                    Some("add `upstream: NAME`, or `respond: { status: 404 }`".into()),
                );
                None
            }
        }
    }

    fn respond(&mut self, respond: raw::Respond) -> Option<Respond> {
        let raw::Respond {
            status,
            headers,
            body,
        } = respond;
        let code: u16 = self.number(Some(status), 0, 200..=599);
        let mut checked = Vec::new();
        for Row { name, at, slot } in rows(headers) {
            let Some(header) = self.header(&name, &at) else {
                continue;
            };
            if PROXY_HEADERS.contains(&header.as_str()) {
                let message = format!("the header `{header}` is written by the proxy");
                self.problem(&at, message, Some("leave it out".into()));
            }
            let values = slot.value.map_or_else(Vec::new, |OneOrMany(values)| values);
            for value in values {
                if self.checked(&value, syntax::header_value).is_some()
                    && let Some(text) = value.value
                {
                    checked.push((header.clone(), text.value.to_string()));
                }
            }
        }
        let body_at = body.as_ref().map(|slot| slot.at.clone());
        let body = body
            .and_then(|slot| slot.value)
            .map_or_else(Vec::new, |text| text.value.as_bytes().to_vec());
        if let Some(at) = body_at
            && matches!(code, 204 | 205 | 304)
            && !body.is_empty()
        {
            let message = "an answer with this status has no body";
            self.problem(
                &at,
                message,
                Some("leave out the body, or choose another status".into()),
            );
        }
        Some(Respond {
            status: code,
            headers: checked,
            body,
        })
    }

    fn matches(&mut self, matches: raw::Match) -> Option<RouteMatch> {
        let raw::Match {
            host,
            path,
            method,
            headers,
        } = matches;
        let hosts = self.any_of(host, syntax::host_pattern);
        let methods = self.any_of(method, syntax::method);
        let path = match path {
            Some(slot) => slot.value.and_then(|path| self.path(&slot.at, path)),
            None => Some(PathPattern::Any),
        };
        let headers = self.each(rows(headers), Self::header_condition);
        Some(RouteMatch {
            hosts: hosts?,
            path: path?,
            methods: methods?,
            headers: headers?,
        })
    }

    /// A value or a list, each checked. An empty list would match nothing, which nobody means.
    fn any_of<T>(
        &mut self,
        slot: Option<Slot<OneOrMany<Text>>>,
        check: impl Fn(&str) -> Result<T, Refusal>,
    ) -> Option<Vec<T>> {
        let Some(Slot { at, value }) = slot else {
            return Some(Vec::new());
        };
        let OneOrMany(items) = value?;
        if items.is_empty() {
            self.problem(
                &at,
                "an empty list would match nothing",
                Some("leave the key out to match everything".into()),
            );
            return None;
        }
        let all: Vec<Option<T>> = items
            .iter()
            .map(|slot| self.checked(slot, &check))
            .collect();
        all.into_iter().collect()
    }

    fn path(&mut self, at: &Location, path: raw::PathMatch) -> Option<PathPattern> {
        let raw::PathMatch {
            exact,
            prefix,
            regex,
        } = path;
        match (exact, prefix, regex) {
            (Some(exact), None, None) => {
                self.checked(&exact, syntax::path)?;
                exact
                    .value
                    .map(|text| PathPattern::Exact(text.value.to_string()))
            }
            (None, Some(prefix), None) => {
                self.checked(&prefix, syntax::path)?;
                // By segment, so `/v1/` and `/v1` mean the same.
                prefix
                    .value
                    .map(|text| match text.value.trim_end_matches('/') {
                        "" => PathPattern::Prefix("/".into()),
                        trimmed => PathPattern::Prefix(trimmed.into()),
                    })
            }
            (None, None, Some(regex)) => regex.value.map(PathPattern::Regex),
            (None, None, None) => {
                self.problem(
                    at,
                    "the path says nothing",
                    Some("write one of exact, prefix and regex".into()),
                );
                None
            }
            _ => {
                let message = "a path has one of exact, prefix and regex, not several";
                self.problem(at, message, Some("leave out all but one".into()));
                None
            }
        }
    }

    fn header_condition(&mut self, row: Row<raw::HeaderMatch>) -> Option<HeaderCondition> {
        let Row { name, at, slot } = row;
        let header = self.header(&name, &at);
        let test = match slot.value? {
            raw::HeaderMatch::Word(word) => match &*word.value {
                "present" => Some(HeaderTest::Present),
                "absent" => Some(HeaderTest::Absent),
                _ => self.exact(&Slot {
                    at: slot.at,
                    value: Some(word),
                }),
            },
            raw::HeaderMatch::Long(raw::LongHeaderMatch { exact, regex }) => match (exact, regex) {
                (Some(exact), None) => self.exact(&exact),
                (None, Some(regex)) => regex.value.map(HeaderTest::Regex),
                _ => {
                    let message = "a header condition has exactly one of exact and regex";
                    self.problem(
                        &slot.at,
                        message,
                        Some("write present, absent, a value or { regex: ... }".into()),
                    );
                    None
                }
            },
        };
        Some(HeaderCondition {
            name: header?,
            test: test?,
        })
    }

    fn exact(&mut self, slot: &Slot<Text>) -> Option<HeaderTest> {
        self.checked(slot, syntax::header_value)?;
        slot.value
            .as_ref()
            .map(|text| HeaderTest::Exact(text.value.to_string()))
    }

    /// A key that is a header name.
    fn header(&mut self, name: &str, at: &Location) -> Option<String> {
        syntax::header_name(name)
            .map_err(|(reason, hint)| {
                self.problem(at, format!("`{name}` {reason}"), Some(hint.into()))
            })
            .ok()
    }

    /// Whole configurations of the overridden filters. `chain` is `None` where it is wrong.
    fn overrides(
        &mut self,
        overrides: Vec<Row<Free>>,
        chain: Option<&[ChainEntry]>,
    ) -> BTreeMap<FilterId, PluginConfig> {
        let mut merged = BTreeMap::new();
        for Row { name, at, slot } in overrides {
            let id = match self.filters.find(&name, true) {
                Ok(id) => FilterId(id),
                Err(hint) => {
                    self.problem(&at, format!("there is no filter `{name}`"), Some(hint));
                    continue;
                }
            };
            if chain.is_some_and(|chain| !chain.iter().any(|entry| entry.filter == id)) {
                let hint = "add the filter to the chain, or leave out the override".to_owned();
                self.problem(
                    &at,
                    format!("the filter `{name}` is not in the chain of this route"),
                    Some(hint),
                );
            }
            let Some(Free(over)) = slot.value else {
                continue;
            };
            if over == Value::Null {
                let hint = "write what is to change, such as { rate: 5/1s }".to_owned();
                self.problem(&slot.at, "the override is empty", Some(hint));
            }
            if let Some(Some(base)) = self.configs.get(usize::from(id.0)) {
                merged.insert(id, merge(base, &over));
            }
        }
        merged
    }
}
