//! From a checked configuration to a generation that can serve.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use portcullis_abi::Module;
use portcullis_abi::engine::Engine;
use portcullis_abi::shared::Spaces;
use portcullis_abi::{Grants, Limits, Plugin};
use portcullis_config::model::{
    ChainEntry, Filter, FilterId, ListenerProtocol, ModuleSource, PluginConfig, Target,
};
use portcullis_config::{Config, Problem, Problems};

use super::grants;
use super::live::{Generation, LiveRoute, LiveTarget, LiveTcp};
use super::unfit;
use crate::access_log::AccessLog;
use crate::builtin;
use crate::chain::{Plan, Slot};
use crate::pool::{Key, Pool, Services};
use crate::route::Router;
use crate::upstream::{Resolver, Upstreams};
use crate::waf;

/// What building needs that outlives generations.
pub struct Built {
    pub services: Arc<Services>,
    pub engine: Arc<Engine>,
    pub spaces: Spaces,
    pub resolver: Arc<Resolver>,
}

/// A plugin of the candidate: its pool, and the root context of each override.
struct Started {
    pool: Arc<Pool>,
    /// By route index.
    roots: HashMap<usize, usize>,
}

impl Built {
    /// Builds a candidate: loads and starts every plugin that is not running already. Blocks; not for a worker.
    ///
    /// # Errors
    /// Every problem found, at its place in the configuration. Nothing in force was changed.
    pub fn generation(
        &self,
        config: Config,
        number: u64,
        access_log: Arc<AccessLog>,
        upstreams: Arc<Upstreams>,
    ) -> Result<Generation, Problems> {
        let before = self.services.upstreams.swap(Some(upstreams.clone()));
        let started = self.plugins(&config);
        let started = started.inspect_err(|_| self.services.upstreams.store(before))?;
        let metrics = &self.services.metrics;
        let routes = config
            .routes
            .iter()
            .enumerate()
            .map(|(index, route)| {
                let slots = route
                    .chain
                    .iter()
                    .map(|entry| slot(&config, &started, Some(index), entry))
                    .collect();
                Arc::new(LiveRoute {
                    name: route.name.as_str().into(),
                    plan: Arc::new(Plan::new(slots)),
                    target: match &route.target {
                        Target::Upstream(id) => LiveTarget::Upstream(*id),
                        Target::Respond(respond) => LiveTarget::Respond(Arc::new(respond.clone())),
                    },
                    metrics: metrics.route(&route.name),
                })
            })
            .collect();
        Ok(Generation {
            number,
            router: Router::new(&config),
            tcp: tcp(&config, &started),
            routes,
            upstreams,
            upstream_metrics: config
                .upstreams
                .iter()
                .map(|upstream| metrics.upstream(&upstream.name))
                .collect(),
            upstream_names: config
                .upstreams
                .iter()
                .map(|upstream| upstream.name.as_str().into())
                .collect(),
            access_log,
            accept_request_id: config.observability.accept_request_id,
            unrouted: metrics.route(""),
            config: Arc::new(config),
        })
    }

    /// Starts, or takes over, every plugin of the configuration.
    fn plugins(&self, config: &Config) -> Result<Vec<Started>, Problems> {
        let mut problems = Vec::new();
        let mut started = Vec::new();
        let mut fresh = Vec::new();
        for (index, filter) in config.filters.iter().enumerate() {
            let id = FilterId(u16::try_from(index).unwrap_or(u16::MAX));
            match self.plugin(config, id, filter) {
                Ok((plugin, is_fresh)) => {
                    let exports = &plugin.pool.plugin().module.report().exports;
                    problems.extend(unfit::on_tcp(config, id, filter, exports));
                    if is_fresh {
                        fresh.push(plugin.pool.clone());
                    }
                    started.push(plugin);
                }
                Err(more) => problems.extend(more),
            }
        }
        if problems.is_empty() {
            // Only a whole candidate may act: ticks and callouts of a refused one never happen.
            fresh.iter().for_each(|pool| pool.activate());
            Ok(started)
        } else {
            Err(Problems(problems))
        }
    }

    fn plugin(
        &self,
        config: &Config,
        id: FilterId,
        filter: &Filter,
    ) -> Result<(Started, bool), Vec<Problem>> {
        let wasm = module_bytes(filter).map_err(|problem| vec![problem])?;
        let (configs, roots) = configurations(config, id, filter);
        let vm_config = vm_config(config, filter, &configs)?;
        let grants = grants::of(config, filter);
        let key = key(filter, &wasm, &vm_config, &configs, &grants);
        if let Some(pool) = self.services.registry.find(&key) {
            return Ok((Started { pool, roots }, false));
        }
        let module = Module::load(&self.engine, &wasm).map_err(|error| {
            let message = format!("the module cannot be used: {error}");
            vec![filter.module_at.problem(message, None)]
        })?;
        let limits = &filter.limits;
        let plugin = Arc::new(Plugin {
            name: filter.name.clone(),
            root_id: filter.root_id.clone(),
            vm_id: filter.vm_id.clone(),
            vm_config,
            roots: configs,
            env: filter
                .env
                .iter()
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
            grants,
            limits: Limits {
                memory: limits.memory,
                table: limits.table,
                cpu_per_call: limits.cpu_per_call,
                cpu_per_exchange: limits.cpu_per_exchange,
                cpu_start: limits.cpu_start,
                shared_data: limits.shared_data,
                queue: limits.queue,
                callouts: limits.callouts,
                log_lines: limits.log.count,
                log_period: limits.log.per,
            },
            module,
            shared: self.spaces.space(&filter.vm_id),
        });
        let pool = Pool::start(plugin, self.services.clone(), filter.isolation, limits.vms)
            .map_err(|fault| {
                let message = format!("the filter cannot start: {}", fault.message);
                vec![filter.at.problem(message, None)]
            })?;
        self.services.registry.insert(key, &pool);
        Ok((Started { pool, roots }, true))
    }
}

/// Everything that `check` can tell about modules without starting them.
pub fn check(config: &Config) -> (Vec<Problem>, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut warnings = Vec::new();
    for (filter, id) in config.filters.iter().zip(0..) {
        if waf::needs_rules(filter) {
            let (configs, _) = configurations(config, FilterId(id), filter);
            match waf::prepare(&config.file, filter, &configs) {
                Ok(prepared) => warnings.extend(prepared.warnings),
                Err(found) => problems.extend(found),
            }
        }
        let wasm = match module_bytes(filter) {
            Ok(wasm) => wasm,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        match portcullis_abi::inspect(&wasm) {
            Err(error) => {
                problems.push(
                    filter
                        .module_at
                        .problem(format!("the module cannot be used: {error}"), None),
                );
            }
            Ok(report) => {
                problems.extend(unfit::on_tcp(config, FilterId(id), filter, &report.exports));
                warnings.extend(report.unknown_imports.iter().map(|name| {
                    filter.module_at.problem(
                        format!("the module imports {name}, which no host function answers: calling it is a trap"),
                        None,
                    )
                }));
            }
        }
    }
    (problems, warnings)
}

/// The bytes of a filter's module.
fn module_bytes(filter: &Filter) -> Result<std::borrow::Cow<'static, [u8]>, Problem> {
    match &filter.module {
        ModuleSource::Builtin(name) => {
            builtin::module(name).map_err(|error| filter.module_at.problem(error, None))
        }
        ModuleSource::File(path) => std::fs::read(path).map(Into::into).map_err(|error| {
            filter.module_at.problem(
                format!("cannot read the module {}: {error}", path.display()),
                None,
            )
        }),
    }
}

/// The VM configuration: as it is written, or for the WAF its rules.
fn vm_config(
    config: &Config,
    filter: &Filter,
    configs: &[Vec<u8>],
) -> Result<Vec<u8>, Vec<Problem>> {
    if !waf::needs_rules(filter) {
        return Ok(filter.vm_config.clone());
    }
    let prepared = waf::prepare(&config.file, filter, configs)?;
    for warning in &prepared.warnings {
        tracing::warn!("{warning}");
    }
    Ok(prepared.vm_config)
}

/// The distinct configurations of a plugin, its own first, and which of them each route that overrides it uses.
fn configurations(
    config: &Config,
    id: FilterId,
    filter: &Filter,
) -> (Vec<Vec<u8>>, HashMap<usize, usize>) {
    let mut configs = vec![filter.config.bytes()];
    let mut roots = HashMap::new();
    for (route, over) in overrides(config, id) {
        let bytes = over.bytes();
        let root = configs
            .iter()
            .position(|known| *known == bytes)
            .unwrap_or_else(|| {
                configs.push(bytes);
                configs.len() - 1
            });
        roots.insert(route, root);
    }
    (configs, roots)
}

fn overrides(config: &Config, id: FilterId) -> impl Iterator<Item = (usize, &PluginConfig)> {
    config
        .routes
        .iter()
        .enumerate()
        .filter_map(move |(index, route)| Some((index, route.overrides.get(&id)?)))
}

/// What has to be the same for a plugin to keep its VMs.
fn key(
    filter: &Filter,
    wasm: &[u8],
    vm_config: &[u8],
    configs: &[Vec<u8>],
    grants: &Grants,
) -> Key {
    let limits = format!("{:?} {:?}", filter.limits, filter.isolation);
    let grants = format!("{grants:?}");
    let env: BTreeMap<_, _> = filter.env.iter().collect();
    let env = format!("{env:?}");
    let texts = [
        &filter.name,
        &filter.root_id,
        &filter.vm_id,
        &limits,
        &grants,
        &env,
    ];
    let texts = texts.into_iter().map(|text| text.as_bytes());
    let fixed = [wasm, vm_config].into_iter();
    Key::new(texts.chain(fixed).chain(configs.iter().map(Vec::as_slice)))
}

/// What connections of TCP listeners go through.
fn tcp(config: &Config, started: &[Started]) -> HashMap<String, Arc<LiveTcp>> {
    let targets = config.listeners.iter().filter_map(|listener| {
        let ListenerProtocol::Tcp(target) = &listener.protocol else {
            return None;
        };
        let chain = target.chain.iter();
        let slots = chain.map(|entry| slot(config, started, None, entry));
        let live = LiveTcp {
            plan: Arc::new(Plan::new(slots.collect())),
            upstream: target.upstream,
            target: config.upstreams[usize::from(target.upstream.0)].clone(),
        };
        Some((listener.name.clone(), Arc::new(live)))
    });
    targets.collect()
}

/// `route`: whose overrides apply, by index.
fn slot(config: &Config, started: &[Started], route: Option<usize>, entry: &ChainEntry) -> Slot {
    let index = usize::from(entry.filter.0);
    let filter = &config.filters[index];
    let Started { pool, roots } = &started[index];
    let callbacks = pool.plugin().module.callbacks();
    let edits = match &filter.module {
        ModuleSource::Builtin(name) => builtin::edits_body(name),
        ModuleSource::File(_) => true,
    };
    let grants = &filter.grants;
    let injects = pool.plugin().injects();
    Slot {
        filter: entry.filter,
        pool: pool.clone(),
        root: route
            .and_then(|route| roots.get(&route).copied())
            .unwrap_or(0),
        reroute: entry.reroute,
        hold: filter.hold,
        on_fault: filter.on_fault,
        pause: filter.limits.pause,
        body_held: filter.limits.body_held,
        request_body: callbacks.request_body,
        response_body: callbacks.response_body,
        edits_request_body: edits && callbacks.request_body && grants.request_body.write,
        edits_response_body: injects
            || edits && callbacks.response_body && grants.response_body.write,
        metrics: pool.metrics().clone(),
    }
}
