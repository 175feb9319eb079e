//! Host names whose addresses are kept up to date in the background.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_config::model::Dns;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{info, warn};

use super::lookup::Lookup;

/// Fastest pace at which a name is asked: a mistyped refresh shall not flood a name server.
const REFRESH_MIN: Duration = Duration::from_millis(10);

/// For one answer over all servers, families and search domains; then it counts as failed.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);

/// What one lookup brought, for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupOutcome<'a> {
    /// The addresses known before.
    Same,
    /// Other addresses than before, sorted; also the first answer of all.
    Changed(&'a [IpAddr]),
    /// No answer, or one without addresses. What was known before stays in use.
    Failed(&'a str),
}

/// Called with the name and the outcome of each lookup, on the control runtime.
type Observer = Box<dyn Fn(&str, LookupOutcome<'_>) + Send + Sync>;

/// Follows host names for as long as something uses them. One for the process: generations share what it knows, so a
/// reload asks no question that was already answered.
pub struct Resolver {
    runtime: Handle,
    observer: Observer,
    names: Mutex<HashMap<Question, Weak<Name>>>,
    /// By name servers.
    lookups: Mutex<HashMap<Vec<SocketAddr>, Weak<Lookup>>>,
}

/// What makes two uses of a name the same.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Question {
    name: String,
    servers: Vec<SocketAddr>,
    refresh: Duration,
}

impl Resolver {
    /// Lookups run on `runtime`. `observer` sees the name and outcome of each; it must not block.
    pub fn new(
        runtime: Handle,
        observer: impl Fn(&str, LookupOutcome<'_>) + Send + Sync + 'static,
    ) -> Arc<Self> {
        let observer = Box::new(observer);
        Arc::new(Self {
            runtime,
            observer,
            names: Mutex::default(),
            lookups: Mutex::default(),
        })
    }

    /// The name's shared state. Asking begins with its first user and ends with its last.
    pub(super) fn name(self: &Arc<Self>, name: &str, dns: &Dns) -> Arc<Name> {
        let question = Question {
            name: name.to_owned(),
            servers: dns.servers.clone(),
            refresh: dns.refresh,
        };
        let mut names = self.names.lock();
        if let Some(name) = names.get(&question).and_then(Weak::upgrade) {
            return name;
        }
        names.retain(|_, name| name.strong_count() > 0);
        let name = Arc::new(Name::default());
        let task = keep_asking(
            Arc::clone(self),
            question.clone(),
            self.lookup(&dns.servers),
            Arc::downgrade(&name),
        );
        // Set only here, before anyone else has the name.
        let _ = name.task.set(self.runtime.spawn(task).abort_handle());
        names.insert(question, Arc::downgrade(&name));
        name
    }

    fn lookup(&self, servers: &[SocketAddr]) -> Arc<Lookup> {
        let mut lookups = self.lookups.lock();
        if let Some(lookup) = lookups.get(servers).and_then(Weak::upgrade) {
            return lookup;
        }
        lookups.retain(|_, lookup| lookup.strong_count() > 0);
        let lookup = Arc::new(Lookup::new(servers));
        lookups.insert(servers.to_vec(), Arc::downgrade(&lookup));
        lookup
    }
}

async fn keep_asking(
    resolver: Arc<Resolver>,
    question: Question,
    lookup: Arc<Lookup>,
    name: Weak<Name>,
) {
    let mut ticks = interval(question.refresh.max(REFRESH_MIN));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let answer = timeout(ANSWER_TIME_MAX, lookup.addresses(&question.name)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let Some(name) = name.upgrade() else { return };
        name.learn(&question.name, answer, &resolver.observer);
    }
}

/// Something that wants to know when a name's addresses change.
pub(super) trait Follower: Send + Sync {
    /// Called after the name has them.
    fn addresses_changed(&self);
}

/// A host name and its addresses.
#[derive(Default)]
pub(super) struct Name {
    /// The last good answer, sorted; empty until there is one.
    addresses: ArcSwap<Vec<IpAddr>>,
    /// Whether the last lookup failed; `None` before the first. Guards the order in which answers take effect.
    failing: Mutex<Option<bool>>,
    asked: watch::Sender<bool>,
    followers: Mutex<Vec<Weak<dyn Follower>>>,
    task: OnceLock<AbortHandle>,
}

impl Name {
    pub(super) fn addresses(&self) -> Arc<Vec<IpAddr>> {
        self.addresses.load_full()
    }

    /// Waits until the first lookup has ended, well or badly.
    pub(super) async fn asked(&self) {
        // It cannot be closed: the sender lives in self.
        let _ = self.asked.subscribe().wait_for(|asked| *asked).await;
    }

    pub(super) fn follow(&self, follower: Weak<dyn Follower>) {
        let mut followers = self.followers.lock();
        followers.retain(|follower| follower.strong_count() > 0);
        followers.push(follower);
    }

    fn learn(&self, name: &str, answer: Result<Vec<IpAddr>, String>, observer: &Observer) {
        match answer {
            Ok(addresses) => {
                let recovered = self.failing.lock().replace(false) == Some(true);
                let changed = **self.addresses.load() != addresses;
                if changed {
                    info!(name, ?addresses, "addresses of an upstream changed");
                    self.addresses.store(Arc::new(addresses.clone()));
                    self.tell_followers();
                } else if recovered {
                    info!(name, "name resolution works again");
                }
                observer(
                    name,
                    if changed {
                        LookupOutcome::Changed(&addresses)
                    } else {
                        LookupOutcome::Same
                    },
                );
            }
            Err(error) => {
                // Once, not every few seconds of an outage.
                if self.failing.lock().replace(true) != Some(true) {
                    let kept = self.addresses.load().len();
                    warn!(
                        name,
                        error, kept, "name resolution fails; the last good answer stays in use"
                    );
                }
                observer(name, LookupOutcome::Failed(&error));
            }
        }
        self.asked.send_replace(true);
    }

    fn tell_followers(&self) {
        let followers = self.followers.lock().clone();
        for follower in followers.iter().filter_map(Weak::upgrade) {
            follower.addresses_changed();
        }
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        if let Some(task) = self.task.get() {
            task.abort();
        }
    }
}
