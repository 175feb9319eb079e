//! From the shape of the file to checked values: defaults applied, every reference found, every rule held.

mod filters;
mod grants;
mod listeners;
mod operations;
mod routes;
mod tcp;
mod upstreams;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::model::{Admin, Chain, Filter, Route, Upstream};
use crate::model::{Dns, Listener, Observability, PluginConfig, Reload, Workers};
use crate::problem::{Location, Problems};
use crate::raw;
use crate::read::{Row, Slot, Table};
use crate::sources::Sources;
use crate::suggest;
use crate::syntax::{self, Refusal};
use crate::values::{Size, Text};

/// The one version of the format.
const VERSION: u64 = 1;

/// Everything in [`crate::Config`] that the text alone decides.
pub(crate) struct Resolved {
    pub(crate) listeners: Vec<Listener>,
    pub(crate) upstreams: Vec<Upstream>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) chains: Vec<Chain>,
    pub(crate) routes: Vec<Route>,
    pub(crate) dns: Dns,
    pub(crate) observability: Observability,
    pub(crate) admin: Option<Admin>,
    pub(crate) workers: Workers,
    pub(crate) reload: Reload,
}

/// What is known while the file is resolved.
pub(crate) struct Resolver<'a> {
    pub(crate) sources: &'a dyn Sources,
    /// Names of embedded modules.
    pub(crate) builtins: &'a [&'a str],
    /// What relative paths are relative to.
    pub(crate) dir: &'a Path,
    pub(crate) problems: Problems,
    /// Files that the result depends on, absolute.
    pub(crate) watched: Vec<PathBuf>,
    upstreams: Names,
    filters: Names,
    /// By filter; `None` where the filter is wrong.
    configs: Vec<Option<PluginConfig>>,
    chains: Names,
    /// Addresses bound so far, and by what.
    addresses: Vec<(SocketAddr, Location)>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(
        sources: &'a dyn Sources,
        builtins: &'a [&'a str],
        dir: &'a Path,
        problems: Problems,
    ) -> Self {
        Self {
            sources,
            builtins,
            dir,
            problems,
            watched: Vec::new(),
            upstreams: Names::default(),
            filters: Names::default(),
            configs: Vec::new(),
            chains: Names::default(),
            addresses: Vec::new(),
        }
    }

    /// Checks everything, whatever is wrong; `None` only where problems have been told.
    pub(crate) fn file(&mut self, file: raw::File, top: &Location) -> Option<Resolved> {
        let raw::File {
            version,
            listeners,
            upstreams,
            filters,
            chains,
            routes,
            dns,
            observability,
            admin,
            workers,
            reload,
        } = file;
        self.version(&version);
        let (upstreams, filters, chains) = (rows(upstreams), rows(filters), rows(chains));
        self.upstreams = self.names(&upstreams, "upstreams");
        self.filters = self.names(&filters, "filters");
        self.chains = self.names(&chains, "chains");

        let upstreams = self.each(upstreams, Self::upstream);
        let filters = self.filters(filters);
        let chains = self.chains(chains);
        let only_tcp = tcp::only_tcp(&listeners);
        let listeners = self.listeners(listeners, chains.as_deref());
        let routes = self.routes(routes, chains.as_deref(), only_tcp, top);
        let dns = self.dns(dns);
        let observability = self.observability(observability, top);
        let admin = self.admin(admin);
        let workers = workers.and_then(|slot| slot.value).unwrap_or(Workers::Auto);
        let reload = self.reload(reload);
        Some(Resolved {
            listeners: listeners?,
            upstreams: upstreams?,
            filters: filters?,
            chains: chains?,
            routes: routes?,
            dns,
            observability,
            admin,
            workers,
            reload,
        })
    }

    fn version(&mut self, version: &Slot<u64>) {
        if let Some(number) = version.value
            && number != VERSION
        {
            let message = "this version of the format is not known to this Portcullis";
            self.problem(&version.at, message, Some("write `version: 1`".into()));
        }
    }

    fn problem(&mut self, at: &Location, message: impl Into<String>, hint: Option<String>) {
        self.problems.push(at.problem(message, hint));
    }

    /// Tells that a text was refused.
    fn refuse(&mut self, at: &Location, text: &Text, (reason, hint): Refusal) {
        self.problem(at, format!("`{text}` {reason}"), Some(hint.into()));
    }

    /// What `check` makes of a text; nothing where it is missing, wrong or refused.
    fn checked<T>(
        &mut self,
        slot: &Slot<Text>,
        check: impl FnOnce(&str) -> Result<T, Refusal>,
    ) -> Option<T> {
        let text = slot.value.as_ref()?;
        check(&text.value)
            .map_err(|refusal| self.refuse(&slot.at, text, refusal))
            .ok()
    }

    /// Resolves all rows of a table, so that all problems are told, and answers if all are good.
    fn each<T, U>(
        &mut self,
        rows: Vec<Row<T>>,
        resolve: impl Fn(&mut Self, Row<T>) -> Option<U>,
    ) -> Option<Vec<U>> {
        let all: Vec<Option<U>> = rows.into_iter().map(|row| resolve(self, row)).collect();
        all.into_iter().collect()
    }

    /// As [`Resolver::each`], for the items of a list.
    fn items<T, U>(
        &mut self,
        items: Vec<Slot<T>>,
        resolve: impl Fn(&mut Self, Location, T) -> Option<U>,
    ) -> Option<Vec<U>> {
        let all: Vec<Option<U>> = items
            .into_iter()
            .map(|slot| slot.value.and_then(|value| resolve(self, slot.at, value)))
            .collect();
        all.into_iter().collect()
    }

    /// A list that must have something in it.
    fn filled<T>(&mut self, slot: Slot<Vec<Slot<T>>>, what: &str) -> Option<Vec<Slot<T>>> {
        let items = slot.value?;
        if items.is_empty() {
            self.problem(
                &slot.at,
                format!("the list is empty; there must be at least one {what}"),
                None,
            );
            return None;
        }
        Some(items)
    }

    /// A duration longer than zero.
    fn time(&mut self, slot: Option<Slot<Duration>>, default: Duration) -> Duration {
        let Some(Slot {
            at,
            value: Some(time),
        }) = slot
        else {
            return default;
        };
        if time.is_zero() {
            let hint = format!("leave the key out for the default, {default:?}");
            self.problem(&at, "must be longer than zero", Some(hint));
        }
        time
    }

    /// A number within bounds.
    fn number<T: TryFrom<u64>>(
        &mut self,
        slot: Option<Slot<u64>>,
        default: T,
        range: RangeInclusive<u64>,
    ) -> T {
        let Some(Slot {
            at,
            value: Some(number),
        }) = slot
        else {
            return default;
        };
        match T::try_from(number) {
            Ok(converted) if range.contains(&number) => converted,
            _ => {
                let message = match *range.end() {
                    u64::MAX => format!("must be {} or more", range.start()),
                    end => format!("must be from {} to {end}", range.start()),
                };
                self.problem(&at, message, None);
                default
            }
        }
    }

    /// A size within bounds, which `bounds` says in words: "is below ...", "use ... or more".
    fn size<T: TryFrom<u64>>(
        &mut self,
        slot: Option<Slot<Size>>,
        default: T,
        bounds: &Bounds,
    ) -> T {
        let Some(Slot {
            at,
            value: Some(size),
        }) = slot
        else {
            return default;
        };
        let refusal = match size.bytes {
            bytes if bytes < bounds.least => Some(bounds.below),
            bytes if bytes > bounds.most => Some(bounds.above),
            _ => None,
        };
        match (refusal, T::try_from(size.bytes)) {
            (None, Ok(bytes)) => return bytes,
            (Some((message, hint)), _) => {
                self.problem(&at, format!("{size} {message}"), Some(hint.into()))
            }
            (None, Err(_)) => self.problem(
                &at,
                format!("{size} is larger than this machine can address"),
                None,
            ),
        }
        default
    }

    /// Remembers that an address is bound, and tells when something else does so already.
    fn bind(&mut self, address: SocketAddr, at: Location) {
        if address.port() == 0 {
            return;
        }
        if let Some((_, first)) = self.addresses.iter().find(|(bound, _)| *bound == address) {
            let message = format!(
                "the address is already bound by {} in line {}",
                first.path, first.line
            );
            self.problem(&at, message, Some("every address can be bound once".into()));
        } else {
            self.addresses.push((address, at));
        }
    }

    fn names<T>(&mut self, rows: &[Row<T>], what: &'static str) -> Names {
        let mut names = Names {
            what,
            ..Names::default()
        };
        for row in rows {
            if let Err((reason, hint)) = syntax::name(&row.name) {
                self.problem(&row.at, format!("the name {reason}"), Some(hint.into()));
            }
            match u16::try_from(names.ordered.len()) {
                Ok(id) => {
                    names.ids.insert(Arc::clone(&row.name), id);
                    names.ordered.push(Arc::clone(&row.name));
                }
                Err(_) => {
                    self.problem(
                        &row.at,
                        format!("there are more than {} {what}", u16::MAX),
                        None,
                    );
                    break;
                }
            }
        }
        names
    }

    /// Tells names that stand twice in a list of things that have their name inside.
    fn unique_names<'n>(&mut self, names: impl Iterator<Item = &'n Slot<Text>>, what: &str) {
        let mut first: HashMap<&str, usize> = HashMap::new();
        for slot in names {
            let Some(name) = &slot.value else { continue };
            if let Some(line) = first.get(&*name.value) {
                let message = format!("the {what} in line {line} is named `{name}` too");
                self.problem(
                    &slot.at,
                    message,
                    Some(format!("give each {what} a name of its own")),
                );
            } else {
                first.insert(&name.value, slot.at.line);
            }
        }
    }

    /// The id behind a reference; tells where there is none.
    fn reference(
        &mut self,
        names: fn(&Self) -> &Names,
        one: &str,
        at: &Location,
        text: &Text,
    ) -> Option<u16> {
        let found = names(self).find(&text.value, text.open);
        found
            .map_err(|hint| self.problem(at, format!("there is no {one} `{text}`"), Some(hint)))
            .ok()
    }
}

/// Bounds of a size, in bytes, and what to say beyond them.
struct Bounds {
    least: u64,
    below: Refusal,
    most: u64,
    above: Refusal,
}

impl Bounds {
    /// None; sizes that make no sense are the user's matter.
    const NONE: Self = Self {
        least: 0,
        below: ("", ""),
        most: u64::MAX,
        above: ("", ""),
    };
}

/// The names of one kind and the ids they stand for.
#[derive(Default)]
struct Names {
    what: &'static str,
    ids: HashMap<Arc<str>, u16>,
    ordered: Vec<Arc<str>>,
}

impl Names {
    /// The id, or a hint. `open` says whether the hint may tell something of the name.
    fn find(&self, name: &str, open: bool) -> Result<u16, String> {
        let known = self.ordered.iter().map(|known| &**known);
        let like = if open { name } else { "" };
        self.ids
            .get(name)
            .copied()
            .ok_or_else(|| suggest::hint(like, known, self.what))
    }
}

/// The rows of an optional table.
fn rows<T>(table: Option<Slot<Table<T>>>) -> Vec<Row<T>> {
    table
        .and_then(|slot| slot.value)
        .map_or_else(Vec::new, |Table(rows)| rows)
}

/// The value of an optional key, or its default.
fn or<T>(slot: Option<Slot<T>>, default: T) -> T {
    slot.and_then(|slot| slot.value).unwrap_or(default)
}
