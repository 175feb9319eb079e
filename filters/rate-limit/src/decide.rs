//! Whether a request passes: all its limits are asked, and if none refuses, each gives one request.
//!
//! Buckets live in the proxy's shared data, which all workers see, and change by compare-and-swap alone, so that of two
//! workers that read the same bucket one has to read it again. What this guarantees: never does a limit let more pass
//! than it says. Where a refusal or a worker's failure comes between two limits, a client may get less, never more.

use crate::fields::{self, Reply};
use crate::gcra::{Standing, Taken, Ticks};
use crate::key::{self, Request};
use crate::policy::{Limit, Mode, OnError, Policy};

/// Attempts to change a bucket. Each failed one means that another worker succeeded, so with fewer workers than this
/// hitting one bucket at the same moment the bound is never met.
pub const ATTEMPTS_MAX: usize = 128;

/// What the proxy's shared data offers: `proxy_get_shared_data` and `proxy_set_shared_data`.
pub trait Store {
    /// The value under `key` and the version it has; none when there is nothing.
    fn read(&mut self, key: &str) -> Stored;
    /// Writes if the entry is still what `expected` says. False: it is not, and nothing was written.
    fn write(&mut self, key: &str, value: &[u8], expected: Expected) -> bool;
}

/// An entry of shared data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// What is stored; empty when nothing is.
    pub value: Vec<u8>,
    /// The version for a compare-and-swap; none when there is no entry.
    pub version: Option<u32>,
}

/// What a write relies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// The entry has this version.
    Version(u32),
    /// There is no entry.
    Absent,
    /// Nothing: for a store that cannot express [`Expected::Absent`].
    Anything,
}

/// What the request counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Within its limits, or without any.
    Allowed,
    /// Over a limit, whether or not that is enforced.
    Limited,
    /// Shared data gave no answer.
    Failed,
}

/// What is to be done with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What to count.
    pub event: Event,
    /// What to do.
    pub flow: Flow,
}

/// What is to be done with the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flow {
    /// It goes on; these fields join the response.
    Continue(Vec<(&'static str, String)>),
    /// It is answered.
    Reply(Reply),
}

/// Shared data gave no answer within [`ATTEMPTS_MAX`].
struct Contended;

/// Decides on one request at `now`, in nanoseconds since the epoch.
#[must_use]
pub fn decide(policy: &Policy, request: &dyn Request, now: u64, store: &mut dyn Store) -> Verdict {
    let applying: Vec<(&Limit, String)> = policy
        .limits
        .iter()
        .filter_map(|limit| Some((limit, key::of(limit, request)?)))
        .collect();
    match take_all(&applying, now, store) {
        Ok((Event::Limited, standings)) if policy.mode == Mode::Enforce => Verdict {
            event: Event::Limited,
            flow: Flow::Reply(fields::too_many_requests(&standings)),
        },
        Ok((event, standings)) => {
            let told = policy.headers && policy.mode == Mode::Enforce && !standings.is_empty();
            let fields = if told {
                fields::fields(&standings)
            } else {
                Vec::new()
            };
            Verdict {
                event,
                flow: Flow::Continue(fields),
            }
        }
        Err(Contended) => {
            let flow = match (policy.mode, policy.on_error) {
                (Mode::Enforce, OnError::Deny) => Flow::Reply(fields::unavailable()),
                (Mode::Shadow, _) | (_, OnError::Allow) => Flow::Continue(Vec::new()),
            };
            Verdict {
                event: Event::Failed,
                flow,
            }
        }
    }
}

type Standings<'a> = Vec<(&'a Limit, Standing)>;

/// Takes a request from every bucket or from none.
fn take_all<'a>(
    limits: &[(&'a Limit, String)],
    now: u64,
    store: &mut dyn Store,
) -> Result<(Event, Standings<'a>), Contended> {
    // With several limits, look before taking: a client over one of them must not use up the others, and must hear of
    // all that refuse it.
    if limits.len() > 1 {
        let mut standings = Vec::with_capacity(limits.len());
        for (limit, key) in limits {
            standings.push((*limit, look(limit, key, now, store)?));
        }
        if standings
            .iter()
            .any(|(_, standing)| standing.remaining == 0)
        {
            return Ok((Event::Limited, standings));
        }
    }
    let mut standings = Vec::with_capacity(limits.len());
    for (index, (limit, key)) in limits.iter().enumerate() {
        let outcome = take(limit, key, now, store);
        if !matches!(outcome, Ok(Taken::Passed(..))) {
            // Another worker was quicker after the look.
            limits[..index]
                .iter()
                .for_each(|(limit, key)| put_back(limit, key, store));
        }
        match outcome? {
            Taken::Passed(_, standing) => standings.push((*limit, standing)),
            Taken::Refused(standing) => return Ok((Event::Limited, vec![(*limit, standing)])),
        }
    }
    Ok((Event::Allowed, standings))
}

fn look(limit: &Limit, key: &str, now: u64, store: &mut dyn Store) -> Result<Standing, Contended> {
    let mut standing = Err(Contended);
    update(key, store, |stored| {
        standing = Ok(limit.rate.look(stored, now));
        limit.rate.amended(stored, now)
    })?;
    standing
}

fn take(limit: &Limit, key: &str, now: u64, store: &mut dyn Store) -> Result<Taken, Contended> {
    let mut taken = Err(Contended);
    update(key, store, |stored| {
        let outcome = limit.rate.take(stored, now);
        taken = Ok(outcome);
        match outcome {
            Taken::Passed(next, _) => Some(next),
            Taken::Refused(_) => limit.rate.amended(stored, now),
        }
    })?;
    taken
}

/// Undoes [`take`]. If that fails, the client has one request less: the safe side.
fn put_back(limit: &Limit, key: &str, store: &mut dyn Store) {
    let _ = update(key, store, |stored| {
        stored.map(|tat| limit.rate.put_back(tat))
    });
}

/// Changes a bucket by what `change` makes of it; none leaves it alone.
fn update(
    key: &str,
    store: &mut dyn Store,
    mut change: impl FnMut(Option<Ticks>) -> Option<Ticks>,
) -> Result<(), Contended> {
    let mut refused_while_absent = 0;
    for _ in 0..ATTEMPTS_MAX {
        let stored = store.read(key);
        let Some(next) = change(decode(&stored.value)) else {
            return Ok(());
        };
        let expected = match stored.version {
            Some(version) => Expected::Version(version),
            // Refused again and again though nothing is there: this store takes no version for a new entry.
            None if refused_while_absent >= 2 => Expected::Anything,
            None => Expected::Absent,
        };
        if store.write(key, &next.to_le_bytes(), expected) {
            return Ok(());
        }
        refused_while_absent = if stored.version.is_none() {
            refused_while_absent + 1
        } else {
            0
        };
    }
    Err(Contended)
}

/// Anything but 16 bytes is no bucket of ours, an emptied entry for example: a full bucket.
fn decode(value: &[u8]) -> Option<Ticks> {
    value.try_into().ok().map(Ticks::from_le_bytes)
}

#[cfg(test)]
mod tests;
