//! Names by the rules of the machine: its hosts file, then its name servers.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::RecordType;
use hickory_resolver::system_conf::parse_resolv_conf;
use hickory_resolver::{Hosts, TokioResolver};
use parking_lot::Mutex;

use super::lookup::{ask, fit, parsed};

/// Both files are looked at before each question and read again when they changed: a laptop changes networks, and an
/// orchestrator writes addresses into the hosts file of a running container.
pub(super) struct System {
    resolv_conf: PathBuf,
    hosts: PathBuf,
    read: Mutex<Option<Rules>>,
}

/// What the files said.
#[derive(Clone)]
struct Rules {
    versions: [Option<Version>; 2],
    hosts: Arc<Hosts>,
    /// The reason where there is no usable configuration; the hosts file still counts.
    resolver: Result<TokioResolver, String>,
}

/// What tells whether a file was changed.
type Version = (SystemTime, u64);

impl Default for System {
    fn default() -> Self {
        Self::of("/etc/resolv.conf".into(), "/etc/hosts".into())
    }
}

impl System {
    fn of(resolv_conf: PathBuf, hosts: PathBuf) -> Self {
        Self {
            resolv_conf,
            hosts,
            read: Mutex::default(),
        }
    }

    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        let rules = self.rules();
        // A name in the hosts file is not asked for elsewhere, not even in the other family: so the C library has it.
        let listed = listed(&rules.hosts, name)?;
        if !listed.is_empty() {
            return Ok(listed);
        }
        ask(rules.resolver.as_ref().map_err(String::clone)?, name).await
    }

    fn rules(&self) -> Rules {
        let versions = [version(&self.resolv_conf), version(&self.hosts)];
        let mut read = self.read.lock();
        match &*read {
            Some(rules) if rules.versions == versions => rules.clone(),
            _ => {
                let hosts = Arc::new(hosts_of(&self.hosts));
                let resolver = resolver_of(&self.resolv_conf);
                read.insert(Rules {
                    versions,
                    hosts,
                    resolver,
                })
                .clone()
            }
        }
    }
}

/// `None`: there is no such file.
fn version(file: &Path) -> Option<Version> {
    let metadata = std::fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

/// An unreadable hosts file lists nothing.
fn hosts_of(file: &Path) -> Hosts {
    let mut hosts = Hosts::default();
    let read = std::fs::read(file).and_then(|text| hosts.read_hosts_conf(text.as_slice()));
    read.map_or_else(|_| Hosts::default(), |()| hosts)
}

fn resolver_of(resolv_conf: &Path) -> Result<TokioResolver, String> {
    let text = std::fs::read(resolv_conf)
        .map_err(|error| format!("{}: {error}", resolv_conf.display()))?;
    let build = || -> Result<TokioResolver, NetError> {
        let (config, mut options) = parse_resolv_conf(text)?;
        fit(&mut options);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        builder.with_options(options).build()
    };
    build().map_err(|error| error.to_string())
}

fn listed(hosts: &Hosts, name: &str) -> Result<Vec<IpAddr>, String> {
    let name = parsed(name)?;
    let mut addresses = Vec::new();
    for family in [RecordType::A, RecordType::AAAA] {
        if let Some(lookup) = hosts.lookup_static_host(&Query::query(name.clone(), family)) {
            addresses.extend(
                lookup
                    .answers()
                    .iter()
                    .filter_map(|record| record.data.ip_addr()),
            );
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_hosts_file_comes_first_and_is_read_again_when_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let (resolv_conf, hosts) = (
            folder.path().join("resolv.conf"),
            folder.path().join("hosts"),
        );
        // Nobody answers there, so a question would fail.
        std::fs::write(
            &resolv_conf,
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        )
        .unwrap();
        std::fs::write(&hosts, "10.0.0.1 one.test alias\n::1 one.test\n").unwrap();
        let system = System::of(resolv_conf.clone(), hosts.clone());
        let addresses = async |name| {
            system
                .addresses(name)
                .await
                .map(|all| all.iter().map(IpAddr::to_string).collect::<Vec<_>>())
        };
        assert_eq!(addresses("one.test").await.unwrap(), ["10.0.0.1", "::1"]);
        assert_eq!(addresses("One.Test.").await.unwrap(), ["10.0.0.1", "::1"]);
        assert_eq!(addresses("alias").await.unwrap(), ["10.0.0.1"]);
        std::fs::write(&hosts, "10.0.0.22 one.test my_service\n").unwrap();
        assert_eq!(addresses("one.test").await.unwrap(), ["10.0.0.22"]);
        assert_eq!(addresses("my_service").await.unwrap(), ["10.0.0.22"]);
        // Without a configuration the hosts file still counts, and the reason is told for all other names.
        std::fs::remove_file(&resolv_conf).unwrap();
        assert_eq!(addresses("one.test").await.unwrap(), ["10.0.0.22"]);
        assert!(
            addresses("two.test")
                .await
                .unwrap_err()
                .contains("resolv.conf")
        );
        std::fs::remove_file(&hosts).unwrap();
        assert!(addresses("one.test").await.is_err());
    }
}
