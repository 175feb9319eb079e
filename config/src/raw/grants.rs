//! The shape of `grants`.

use schemars::{Schema, SchemaGenerator, json_schema};

use crate::model::Access;
use crate::problem::Problems;
use crate::read::{Cursor, Read, Slot, mapping};
use crate::values::{Text, or_reference};
use crate::yaml::Content;

mapping! {
    /// What a module may do besides handling its exchange, and what of the exchange it may not.
    struct Grants {
        /// Everything; for a module one trusts (default false).
        all: Option<Slot<bool>>,
        /// Upstreams that it may call by HTTP.
        http_call: Option<Slot<Vec<Slot<Text>>>>,
        /// Upstreams that it may call by gRPC.
        grpc_call: Option<Slot<Vec<Slot<Text>>>>,
        /// Foreign functions that it may call.
        foreign: Option<Slot<Vec<Slot<Text>>>>,
        /// vm_ids of other filters whose queues it may use.
        queues: Option<Slot<Vec<Slot<Text>>>>,
        /// Headers and trailers it may read and write (default: all).
        headers: Option<Slot<HeaderGrants>>,
        /// Bodies it may read and write (default: both).
        body: Option<Slot<BodyGrants>>,
        /// Properties it may read and write: true (the default), false, or paths such as request or source.address.
        properties: Option<Slot<Access>>,
        /// Keys of shared data it may use: true (the default), false, or prefixes.
        shared_data: Option<Slot<Access>>,
    }
}

mapping! {
    /// Headers and trailers a module may read and write.
    struct HeaderGrants {
        /// Of requests (default: all).
        request: Option<Slot<HeaderAccess>>,
        /// Of responses (default: all).
        response: Option<Slot<HeaderAccess>>,
    }
}

mapping! {
    /// Names of headers; a star at the end stands for any rest.
    struct HeaderAccess {
        /// true (the default), false, or names such as authorization or x-user-*.
        read: Option<Slot<Access>>,
        /// true (the default), false, or names.
        write: Option<Slot<Access>>,
    }
}

mapping! {
    /// Bodies a module may read and write.
    struct BodyGrants {
        /// Of requests (default: both).
        request: Option<Slot<BodyAccess>>,
        /// Of responses (default: both).
        response: Option<Slot<BodyAccess>>,
    }
}

mapping! {
    /// Whether a module may read and write a body.
    struct BodyAccess {
        /// Default true.
        read: Option<Slot<bool>>,
        /// Default true.
        write: Option<Slot<bool>>,
    }
}

/// `true`, `false`, or a list of names.
impl Read for Access {
    fn read(cursor: &Cursor<'_>, problems: &mut Problems) -> Option<Self> {
        match &cursor.node.content {
            Content::List(_) => {
                let names: Vec<Slot<Text>> = Vec::read(cursor, problems)?;
                let names = names.into_iter().map(|slot| {
                    let text = slot.value?;
                    if text.value.is_empty() {
                        let hint = "write a name, or true for all".to_owned();
                        problems.push(slot.at.problem("the name is empty", Some(hint)));
                    }
                    Some(text.value.to_string())
                });
                names.collect::<Option<_>>().map(Self::Only)
            }
            Content::Scalar(_) => bool::read(cursor, problems).map(|all| match all {
                true => Self::All,
                false => Self::Only(Vec::new()),
            }),
            Content::Mapping(_) => {
                cursor.scalar("true, false or a list of names", problems)?;
                None
            }
        }
    }

    fn schema(_: &mut SchemaGenerator) -> Schema {
        or_reference(json_schema!({
            "anyOf": [{ "type": "boolean" }, { "type": "array", "items": { "type": "string", "minLength": 1 } }],
        }))
    }
}
