//! Grants from the configuration's ids to the names that a guest uses.

use portcullis_abi as abi;
use portcullis_config::Config;
use portcullis_config::model::{Access, Filter, ModuleSource, ReadWrite, UpstreamId};

use crate::builtin;

/// The grants of a filter.
pub(super) fn of(config: &Config, filter: &Filter) -> abi::Grants {
    let grants = &filter.grants;
    let upstreams = |ids: &[UpstreamId]| {
        ids.iter()
            .map(|id| config.upstreams[usize::from(id.0)].name.clone())
            .collect()
    };
    abi::Grants {
        all: grants.all,
        http_call: upstreams(&grants.http_call),
        grpc_call: upstreams(&grants.grpc_call),
        foreign: foreign(filter),
        queues: grants.queues.clone(),
        request_headers: both(&grants.request_headers, access),
        response_headers: both(&grants.response_headers, access),
        request_body: both(&grants.request_body, Clone::clone),
        response_body: both(&grants.response_body, Clone::clone),
        properties: access(&grants.properties),
        shared_data: access(&grants.shared_data),
    }
}

/// Those of the configuration, and those that a built-in filter cannot do without.
fn foreign(filter: &Filter) -> Vec<String> {
    let mut names = filter.grants.foreign.clone();
    if let ModuleSource::Builtin(builtin) = &filter.module {
        let needed = builtin::foreign(builtin)
            .iter()
            .map(|name| (*name).to_owned());
        names.extend(needed);
    }
    names
}

fn both<T, U>(sides: &ReadWrite<T>, map: impl Fn(&T) -> U) -> abi::ReadWrite<U> {
    abi::ReadWrite {
        read: map(&sides.read),
        write: map(&sides.write),
    }
}

fn access(access: &Access) -> abi::Access {
    match access {
        Access::All => abi::Access::All,
        Access::Only(names) => abi::Access::Only(names.clone()),
    }
}
