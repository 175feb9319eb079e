//! The upstreams of one configuration: named sets of endpoints, each with the addresses it has now.
//!
//! `docs/guide/upstreams.md` says how names are resolved. Picking takes no lock: the addresses of an upstream are one
//! immutable list, replaced as a whole when a name in it changes.

mod lookup;
mod resolver;
mod system;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use futures::future::join_all;
use parking_lot::Mutex;
use portcullis_config::model::{Config, Dns, EndpointHost, Upstream, UpstreamId};
use tokio::time::timeout;

use resolver::{Follower, Name};
pub use resolver::{LookupOutcome, Resolver};

/// How long a new generation waits for the first answer about its names. Long enough for one lost packet, short enough
/// for a reload: without an answer the generation is used all the same, and its upstream answers 503 until there is one.
const FIRST_ANSWER_TIME_MAX: Duration = Duration::from_secs(2);

/// There is no address to send to: no name of the upstream has resolved yet, or all addresses were excluded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the upstream has no address")]
pub struct NoneHealthy;

/// Where to send one request.
#[derive(Clone, Copy, Debug)]
pub struct Picked<'a> {
    pub address: SocketAddr,
    /// The endpoint's host as configured, for SNI: a name, or the text of an IP address without brackets.
    pub host: &'a str,
    /// Protocol and timeouts.
    pub upstream: &'a Upstream,
}

/// The upstreams of one generation. Names are followed until this is dropped.
pub struct Upstreams {
    /// By [`UpstreamId`].
    pools: Box<[Pool]>,
    ids: HashMap<String, UpstreamId>,
    /// Each once.
    names: Vec<Arc<Name>>,
}

struct Pool {
    upstream: Upstream,
    /// The text of each endpoint's host.
    hosts: Box<[String]>,
    targets: Arc<Targets>,
    next: AtomicUsize,
}

impl Upstreams {
    /// Begins to follow the names of a configuration. Await [`Upstreams::resolved`] before using it.
    pub fn new(config: &Config, resolver: &Arc<Resolver>) -> Self {
        Self::with_parts(&config.upstreams, &config.dns, resolver)
    }

    pub(crate) fn with_parts(upstreams: &[Upstream], dns: &Dns, resolver: &Arc<Resolver>) -> Self {
        let mut names = HashMap::new();
        let pools = upstreams.iter().map(|upstream| {
            let places = upstream
                .endpoints
                .iter()
                .map(|endpoint| match &endpoint.host {
                    EndpointHost::Address(ip) => (Place::Address(*ip), endpoint.port),
                    EndpointHost::Name(host) => {
                        let name = names
                            .entry(host.clone())
                            .or_insert_with(|| resolver.name(host, dns));
                        (Place::Name(Arc::clone(name)), endpoint.port)
                    }
                });
            Pool::new(upstream, places.collect())
        });
        let pools = pools.collect();
        let ids = upstreams
            .iter()
            .zip(0..)
            .map(|(upstream, id)| (upstream.name.clone(), UpstreamId(id)))
            .collect();
        Self {
            pools,
            ids,
            names: names.into_values().collect(),
        }
    }

    /// Waits until each name has been asked for once, at most two seconds. A name without an answer is no error here.
    pub async fn resolved(&self) {
        let asked = join_all(self.names.iter().map(|name| name.asked()));
        // Late answers take effect when they come.
        let _ = timeout(FIRST_ANSWER_TIME_MAX, asked).await;
    }

    pub fn id(&self, name: &str) -> Option<UpstreamId> {
        self.ids.get(name).copied()
    }

    /// Names of the upstreams with an endpoint of this host name.
    pub fn using<'a>(&'a self, host: &'a str) -> impl Iterator<Item = &'a str> {
        let uses = move |pool: &&Pool| pool.hosts.iter().any(|name| name == host);
        self.pools
            .iter()
            .filter(uses)
            .map(|pool| pool.upstream.name.as_str())
    }

    /// The upstream as configured. `None`: an id of another configuration.
    pub fn upstream(&self, id: UpstreamId) -> Option<&Upstream> {
        self.pool(id).map(|pool| &pool.upstream)
    }

    /// The addresses known now, in the order of the endpoints.
    pub fn addresses(&self, id: UpstreamId) -> Vec<SocketAddr> {
        let targets = self.pool(id).map(|pool| pool.targets.list.load_full());
        targets
            .iter()
            .flat_map(|list| list.iter())
            .map(|target| target.address)
            .collect()
    }

    /// The next address, round robin over all that the endpoints have.
    ///
    /// # Errors
    /// [`NoneHealthy`] where no address is known.
    pub fn pick(&self, id: UpstreamId) -> Result<Picked<'_>, NoneHealthy> {
        self.pick_other(id, &[])
    }

    /// As [`Upstreams::pick`], for another attempt: an address to which no connection `failed` yet.
    ///
    /// # Errors
    /// [`NoneHealthy`] where all addresses failed.
    pub fn pick_other(
        &self,
        id: UpstreamId,
        failed: &[SocketAddr],
    ) -> Result<Picked<'_>, NoneHealthy> {
        let pool = self.pool(id).ok_or(NoneHealthy)?;
        let list = pool.targets.list.load();
        let start = pool
            .next
            .fetch_add(1, Ordering::Relaxed)
            .checked_rem(list.len())
            .ok_or(NoneHealthy)?;
        let (before, after) = list.split_at(start);
        let mut in_turn = after.iter().chain(before);
        let target = in_turn
            .find(|target| !failed.contains(&target.address))
            .ok_or(NoneHealthy)?;
        Ok(Picked {
            address: target.address,
            host: &pool.hosts[target.endpoint],
            upstream: &pool.upstream,
        })
    }

    /// This address, where it is one of the upstream's and no connection to it `failed` yet.
    pub fn pick_at(
        &self,
        id: UpstreamId,
        address: SocketAddr,
        failed: &[SocketAddr],
    ) -> Option<Picked<'_>> {
        let pool = self.pool(id)?;
        let list = pool.targets.list.load();
        let target = list.iter().find(|target| target.address == address)?;
        (!failed.contains(&address)).then(|| Picked {
            address,
            host: &pool.hosts[target.endpoint],
            upstream: &pool.upstream,
        })
    }

    /// Whether [`Upstreams::pick_other`] would find an address, without taking a turn: an attempt that is only considered
    /// must not shift who is next.
    pub fn has_other(&self, id: UpstreamId, failed: &[SocketAddr]) -> bool {
        let list = self.pool(id).map(|pool| pool.targets.list.load());
        list.is_some_and(|list| list.iter().any(|target| !failed.contains(&target.address)))
    }

    fn pool(&self, id: UpstreamId) -> Option<&Pool> {
        self.pools.get(usize::from(id.0))
    }
}

impl Pool {
    fn new(upstream: &Upstream, places: Box<[(Place, u16)]>) -> Self {
        let hosts = upstream
            .endpoints
            .iter()
            .map(|endpoint| match &endpoint.host {
                EndpointHost::Address(ip) => ip.to_string(),
                EndpointHost::Name(name) => name.clone(),
            });
        let targets = Arc::new(Targets {
            places,
            list: ArcSwap::default(),
            rebuilding: Mutex::default(),
        });
        for (place, _) in &targets.places {
            if let Place::Name(name) = place {
                let follower: Weak<Targets> = Arc::downgrade(&targets);
                name.follow(follower);
            }
        }
        // After following, so that no answer falls between.
        targets.addresses_changed();
        Self {
            upstream: upstream.clone(),
            hosts: hosts.collect(),
            targets,
            next: AtomicUsize::new(0),
        }
    }
}

enum Place {
    Address(IpAddr),
    Name(Arc<Name>),
}

#[derive(Clone, Copy)]
struct Target {
    address: SocketAddr,
    /// Index into the endpoints of the upstream.
    endpoint: usize,
}

/// All addresses of one upstream.
struct Targets {
    /// Of each endpoint, with its port.
    places: Box<[(Place, u16)]>,
    list: ArcSwap<Vec<Target>>,
    /// Two names may change at once: the later list must not be overwritten by the earlier.
    rebuilding: Mutex<()>,
}

impl Follower for Targets {
    fn addresses_changed(&self) {
        let _one_at_a_time = self.rebuilding.lock();
        let mut list = Vec::new();
        for (endpoint, (place, port)) in self.places.iter().enumerate() {
            let target = |ip: IpAddr| Target {
                address: SocketAddr::new(ip, *port),
                endpoint,
            };
            match place {
                Place::Address(ip) => list.push(target(*ip)),
                Place::Name(name) => list.extend(name.addresses().iter().copied().map(target)),
            }
        }
        self.list.store(Arc::new(list));
    }
}
