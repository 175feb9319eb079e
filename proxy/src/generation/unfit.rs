//! Filters in a place where they would do nothing.

use portcullis_config::model::{Filter, FilterId, ListenerProtocol, ModuleSource};
use portcullis_config::{Config, Problem};

/// Callbacks of which a filter for TCP connections has at least one.
const OF_TCP: [&str; 3] = [
    "proxy_on_new_connection",
    "proxy_on_downstream_data",
    "proxy_on_upstream_data",
];

/// A filter for exchanges in the chain of a TCP listener: it would let everything pass, where somebody means it to guard.
/// The filters that Portcullis brings along are such, though their SDK exports every callback.
pub(super) fn on_tcp(
    config: &Config,
    id: FilterId,
    filter: &Filter,
    exports: &[String],
) -> Option<Problem> {
    let listener = config.listeners.iter().find(|listener| {
        matches!(&listener.protocol, ListenerProtocol::Tcp(target)
            if target.chain.iter().any(|entry| entry.filter == id))
    })?;
    let builtin = matches!(filter.module, ModuleSource::Builtin(_));
    let fit = !builtin && exports.iter().any(|export| OF_TCP.contains(&&**export));
    (!fit).then(|| {
        let message = format!(
            "the filter `{}` is for HTTP: it would let every TCP connection pass",
            filter.name
        );
        let hint = "leave it out of this listener's chain".to_owned();
        listener.at.problem(message, Some(hint))
    })
}
