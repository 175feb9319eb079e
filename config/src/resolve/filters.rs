//! Filters (plugins) and chains of them.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Bounds, Resolver, or, rows};
use crate::expand::resolve_path;
use crate::model::{
    Chain, ChainEntry, Filter, FilterId, FilterLimits, Hold, Isolation, ModuleSource, OnFault,
    PluginConfig,
};
use crate::problem::Location;
use crate::raw;
use crate::read::{Row, Slot, Table};
use crate::suggest;
use crate::units::Rate;
use crate::values::{Free, Text};

/// One page of linear memory (WebAssembly core specification, section 4.2.8).
const WASM_PAGE: u64 = 64 << 10;
/// 16 bytes each: 160 MB a table.
const TABLE_ELEMENTS_MAX: u64 = 10_000_000;
/// Each reserves 4 GiB of the 128 TiB of addresses that a process has.
const VMS_MAX: u64 = 30_000;
/// All that 32-bit addresses reach.
const WASM_MEMORY_MAX: u64 = 4 << 30;

impl Resolver<'_> {
    pub(super) fn filters(&mut self, filters: Vec<Row<raw::Filter>>) -> Option<Vec<Filter>> {
        let all: Vec<Option<Filter>> = filters.into_iter().map(|row| self.filter(row)).collect();
        self.configs = all
            .iter()
            .map(|filter| filter.as_ref().map(|filter| filter.config.clone()))
            .collect();
        all.into_iter().collect()
    }

    fn filter(&mut self, row: Row<raw::Filter>) -> Option<Filter> {
        let raw::Filter {
            wasm,
            builtin,
            root_id,
            vm_id,
            vm_config,
            config,
            env,
            grants,
            limits,
            on_fault,
            isolation,
            hold,
        } = row.slot.value?;
        let module = self.module(&row.at, wasm, builtin);
        let env = self.env(env);
        let grants = self.grants(grants);
        let builtin = match &module {
            Some((ModuleSource::Builtin(name), _)) => name.as_str(),
            _ => "",
        };
        let defaults = Defaults::of(builtin);
        let limits = self.filter_limits(limits.and_then(|slot| slot.value), defaults.limits);
        let (module, module_at) = module?;
        let name = row.name.to_string();
        Some(Filter {
            module,
            module_at,
            root_id: text(root_id).unwrap_or_default(),
            vm_id: text(vm_id).unwrap_or_else(|| name.clone()),
            vm_config: plugin_config(vm_config).bytes(),
            config: plugin_config(config),
            env,
            grants,
            limits,
            on_fault: or(on_fault, OnFault::Deny),
            isolation: or(isolation, Isolation::Shared),
            hold: or(hold, defaults.hold),
            at: row.at,
            name,
        })
    }

    /// The module and where it is named.
    fn module(
        &mut self,
        at: &Location,
        wasm: Option<Slot<raw::Wasm>>,
        builtin: Option<Slot<Text>>,
    ) -> Option<(ModuleSource, Location)> {
        const HINT: &str = "write `wasm: { file: ./my.wasm }` for a module of your own, `builtin: auth` for one that comes along";
        match (wasm, builtin) {
            (Some(wasm), None) => {
                let raw::Wasm { file } = wasm.value?;
                let text = file.value?;
                if text.value.is_empty() {
                    self.problem(&file.at, "the path is empty", Some(HINT.into()));
                    return None;
                }
                let path = resolve_path(self.dir, &text.value);
                self.watched.push(path.clone());
                Some((ModuleSource::File(path), file.at))
            }
            (None, Some(Slot { at, value })) => {
                let text = value?;
                if !self.builtins.contains(&&*text.value) {
                    let like = if text.open { &*text.value } else { "" };
                    let hint =
                        suggest::hint(like, self.builtins.iter().copied(), "builtin filters");
                    self.problem(
                        &at,
                        format!("there is no builtin filter `{text}`"),
                        Some(hint),
                    );
                    return None;
                }
                Some((ModuleSource::Builtin(text.value.to_string()), at))
            }
            (Some(_), Some(builtin)) => {
                let message = "both `wasm` and `builtin` are given, but a filter has one module";
                self.problem(
                    &builtin.at,
                    message,
                    Some("leave out one of the two".into()),
                );
                None
            }
            (None, None) => {
                self.problem(
                    at,
                    "the filter has no module: neither `wasm` nor `builtin` is given",
                    Some(HINT.into()),
                );
                None
            }
        }
    }

    fn env(&mut self, env: Option<Slot<Table<Text>>>) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        for Row { name, at, slot } in rows(env) {
            if name.is_empty() || name.contains(['=', '\0']) {
                self.problem(
                    &at,
                    "not a name of an environment variable",
                    Some("names have no = and no NUL".into()),
                );
            }
            let Some(text) = slot.value else { continue };
            if text.value.contains('\0') {
                self.problem(
                    &slot.at,
                    "the value holds NUL",
                    Some("environment variables end at NUL".into()),
                );
            }
            variables.insert(name.to_string(), text.value.to_string());
        }
        variables
    }

    fn filter_limits(
        &mut self,
        limits: Option<raw::FilterLimits>,
        defaults: FilterLimits,
    ) -> FilterLimits {
        let Some(limits) = limits else {
            return defaults;
        };
        let raw::FilterLimits {
            memory,
            table,
            cpu_per_call,
            cpu_per_exchange,
            cpu_start,
            pause,
            body_held,
            shared_data,
            queue,
            callouts,
            vms,
            log,
        } = limits;
        let memory_bounds = Bounds {
            least: WASM_PAGE,
            below: ("is below one wasm page", "use 64KiB or more"),
            most: WASM_MEMORY_MAX,
            above: (
                "is more than a 32-bit module can address",
                "use 4GiB or less",
            ),
        };
        FilterLimits {
            memory: self.size(memory, defaults.memory, &memory_bounds),
            table: self.number(table, defaults.table, 0..=TABLE_ELEMENTS_MAX),
            cpu_per_call: self.time(cpu_per_call, defaults.cpu_per_call),
            cpu_per_exchange: self.time(cpu_per_exchange, defaults.cpu_per_exchange),
            cpu_start: self.time(cpu_start, defaults.cpu_start),
            pause: self.time(pause, defaults.pause),
            body_held: self.size(body_held, defaults.body_held, &Bounds::NONE),
            shared_data: self.size(shared_data, defaults.shared_data, &Bounds::NONE),
            queue: self.size(queue, defaults.queue, &Bounds::NONE),
            callouts: self.number(callouts, defaults.callouts, 0..=u64::MAX),
            vms: self.number(vms, defaults.vms, 1..=VMS_MAX),
            log: or(log, defaults.log),
        }
    }

    pub(super) fn chains(
        &mut self,
        chains: Vec<Row<Vec<Slot<raw::ChainEntry>>>>,
    ) -> Option<Vec<Chain>> {
        self.each(chains, |resolver, row| {
            let entries = resolver.chain_entries(row.slot.value?)?;
            Some(Chain {
                name: row.name.to_string(),
                entries,
            })
        })
    }

    pub(super) fn chain_entries(
        &mut self,
        entries: Vec<Slot<raw::ChainEntry>>,
    ) -> Option<Vec<ChainEntry>> {
        self.items(entries, |resolver, _, entry| {
            let raw::ChainEntry { filter, reroute } = entry;
            let id = resolver.reference(
                |resolver| &resolver.filters,
                "filter",
                &filter.at,
                filter.value.as_ref()?,
            )?;
            Some(ChainEntry {
                filter: FilterId(id),
                reroute: or(reroute, false),
            })
        })
    }
}

fn text(slot: Option<Slot<Text>>) -> Option<String> {
    Some(slot?.value?.value.to_string())
}

fn plugin_config(slot: Option<Slot<Free>>) -> PluginConfig {
    let free = slot.and_then(|slot| slot.value);
    free.map_or(PluginConfig::None, |Free(value)| PluginConfig::from(value))
}

/// What holds for a filter where its file says nothing.
struct Defaults {
    limits: FilterLimits,
    hold: Hold,
}

impl Defaults {
    fn of(builtin: &str) -> Self {
        let limits = FilterLimits::default();
        match builtin {
            // It looks at whole bodies, and origins are to get nothing before it has.
            "waf" => Self {
                limits: FilterLimits {
                    memory: 256 << 20,
                    cpu_per_call: Duration::from_millis(500),
                    cpu_start: Duration::from_secs(30),
                    ..limits
                },
                hold: Hold::Headers,
            },
            _ => Self {
                limits,
                hold: Hold::Stream,
            },
        }
    }
}

impl Default for FilterLimits {
    fn default() -> Self {
        Self {
            memory: 64 << 20,
            table: 1 << 17,
            cpu_per_call: Duration::from_millis(10),
            cpu_per_exchange: Duration::from_secs(10),
            cpu_start: Duration::from_secs(10),
            pause: Duration::from_secs(5),
            body_held: 16 << 20,
            shared_data: 16 << 20,
            queue: 4 << 20,
            callouts: 50,
            vms: 1000,
            log: Rate {
                count: 100,
                per: Duration::from_secs(1),
            },
        }
    }
}
