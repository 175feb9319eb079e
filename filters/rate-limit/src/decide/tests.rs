//! The decision against simulated shared data: exactness when workers get in each other's way, and each outcome.

use super::*;
use crate::gcra::Rate;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

const SECOND: u64 = 1_000_000_000;
const NOW: u64 = 1_700_000_000 * SECOND;

/// Shared data as proxy-wasm hosts implement it: one version counter for all keys, never 0; a version given for a key
/// that is not there is not looked at.
#[derive(Clone, Default)]
struct SharedData(Arc<Mutex<Entries>>);

#[derive(Default)]
struct Entries {
    entries: HashMap<String, (Vec<u8>, u32)>,
    version: u32,
    writes: usize,
}

impl SharedData {
    fn writes(&self) -> usize {
        self.0.lock().expect("no panic in a test").writes
    }
}

impl Store for SharedData {
    fn read(&mut self, key: &str) -> Stored {
        let data = self.0.lock().expect("no panic in a test");
        data.entries
            .get(key)
            .map_or_else(Stored::default, |(value, version)| Stored {
                value: value.clone(),
                version: Some(*version),
            })
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Expected) -> bool {
        let mut data = self.0.lock().expect("no panic in a test");
        let current = data.entries.get(key).map(|(_, version)| *version);
        let fits = match (expected, current) {
            (Expected::Anything, _) | (_, None) => true,
            (Expected::Version(version), Some(current)) => version == current,
            (Expected::Absent, Some(_)) => false,
        };
        if fits {
            data.version += 1;
            data.writes += 1;
            let version = data.version;
            data.entries
                .insert(key.to_owned(), (value.to_vec(), version));
        }
        fits
    }
}

/// Runs other workers' requests between a read and the write that follows it.
struct Interrupted<'a> {
    data: SharedData,
    interruptions: usize,
    other: &'a mut dyn FnMut(),
}

impl Store for Interrupted<'_> {
    fn read(&mut self, key: &str) -> Stored {
        let stored = self.data.read(key);
        if self.interruptions > 0 {
            self.interruptions -= 1;
            (self.other)();
        }
        stored
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Expected) -> bool {
        self.data.write(key, value, expected)
    }
}

/// Shared data that refuses some writes.
struct Refusing {
    data: SharedData,
    refuses: fn(Expected) -> bool,
    attempts: usize,
}

impl Store for Refusing {
    fn read(&mut self, key: &str) -> Stored {
        self.data.read(key)
    }

    fn write(&mut self, key: &str, value: &[u8], expected: Expected) -> bool {
        self.attempts += 1;
        !(self.refuses)(expected) && self.data.write(key, value, expected)
    }
}

struct Client;

impl Request for Client {
    fn property(&self, path: &[&str]) -> Option<Vec<u8>> {
        (path == ["source", "address"]).then(|| b"192.0.2.1:4711".to_vec())
    }

    fn header(&self, _name: &str) -> Option<Vec<u8>> {
        None
    }
}

fn policy(configuration: &str) -> Policy {
    Policy::parse(configuration.as_bytes()).expect(configuration)
}

fn one(configuration: &str, now: u64, store: &mut dyn Store) -> Verdict {
    decide(&policy(configuration), &Client, now, store)
}

fn status(verdict: &Verdict) -> Option<u32> {
    match &verdict.flow {
        Flow::Reply(reply) => Some(reply.status),
        Flow::Continue(_) => None,
    }
}

const SIMPLE: &str = r#"{"key":["client_ip"],"rate":"10/1s","burst":3}"#;

#[test]
fn passes_the_burst_and_then_refuses() {
    let mut data = SharedData::default();
    for left in [2, 1, 0] {
        let verdict = one(SIMPLE, NOW, &mut data);
        assert_eq!(verdict.event, Event::Allowed);
        let Flow::Continue(fields) = verdict.flow else {
            panic!("refused with {left} left")
        };
        assert_eq!(fields[0].1, "\"default\";q=10;w=1");
        assert_eq!(fields[1].1, format!("\"default\";r={left};t=1"));
    }
    let verdict = one(SIMPLE, NOW, &mut data);
    assert_eq!(
        (verdict.event, status(&verdict)),
        (Event::Limited, Some(429))
    );
    assert_eq!(data.writes(), 3, "a refusal writes nothing");
    assert_eq!(
        one(SIMPLE, NOW + SECOND / 10, &mut data).event,
        Event::Allowed
    );
}

#[test]
fn a_request_that_no_limit_is_for_passes_without_fields() {
    let mut data = SharedData::default();
    let configuration = r#"{"key":[{"header":"x-tenant"}],"rate":"1/1h","missing":"skip"}"#;
    for _ in 0..5 {
        let verdict = one(configuration, NOW, &mut data);
        assert_eq!(
            verdict,
            Verdict {
                event: Event::Allowed,
                flow: Flow::Continue(Vec::new())
            }
        );
    }
    assert_eq!(data.writes(), 0);
}

#[test]
fn headers_can_be_switched_off_but_not_on_a_refusal() {
    let mut data = SharedData::default();
    let configuration = r#"{"key":["client_ip"],"rate":"1/1h","headers":false}"#;
    assert_eq!(
        one(configuration, NOW, &mut data).flow,
        Flow::Continue(Vec::new())
    );
    let Flow::Reply(reply) = one(configuration, NOW, &mut data).flow else {
        panic!("over the limit")
    };
    assert!(reply.fields.iter().any(|(name, _)| *name == "ratelimit"));
    assert!(reply.fields.contains(&("retry-after", "3600".to_owned())));
}

#[test]
fn shadow_mode_counts_and_lets_pass() {
    let mut data = SharedData::default();
    let configuration = r#"{"key":["client_ip"],"rate":"1/1h","mode":"shadow"}"#;
    let events: Vec<Event> = (0..3)
        .map(|_| one(configuration, NOW, &mut data).event)
        .collect();
    assert_eq!(events, [Event::Allowed, Event::Limited, Event::Limited]);
    assert_eq!(
        one(configuration, NOW, &mut data).flow,
        Flow::Continue(Vec::new())
    );
}

/// The core promise, in every order in which two workers can get in each other's way on one bucket: a worker is
/// interrupted after its reads by up to three requests of others, the first request of a client included.
#[test]
fn no_interleaving_lets_one_more_or_one_less_pass() {
    let policy = policy(SIMPLE);
    for before in 0..5 {
        for interruptions in 0..4 {
            let data = SharedData::default();
            let (mut asked, mut passed) = (0, 0);
            let mut another = || {
                asked += 1;
                let verdict = decide(&policy, &Client, NOW, &mut data.clone());
                passed += usize::from(verdict.event == Event::Allowed);
            };
            (0..before).for_each(|_| another());
            let mut store = Interrupted {
                data: data.clone(),
                interruptions,
                other: &mut another,
            };
            let verdict = decide(&policy, &Client, NOW, &mut store);
            asked += 1;
            passed += usize::from(verdict.event == Event::Allowed);
            assert_eq!(
                passed,
                asked.min(3),
                "{before} before, {interruptions} between"
            );
            // A write that was lost shows only now: as a request too many.
            for _ in 0..4 {
                let verdict = decide(&policy, &Client, NOW, &mut data.clone());
                passed += usize::from(verdict.event == Event::Allowed);
            }
            assert_eq!(passed, 3, "{before} before, {interruptions} between");
            assert_eq!(data.writes(), passed, "each pass is one write");
        }
    }
}

/// Threads, a real race: exactly as many pass as the bucket holds, none is lost and none is won.
#[test]
fn exact_over_threads() {
    let configuration = r#"{"key":["client_ip"],"rate":"1/1h","burst":1000,"on_error":"deny"}"#;
    let data = SharedData::default();
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let mut data = data.clone();
            std::thread::spawn(move || {
                let policy = policy(configuration);
                let allowed =
                    |_: &i32| decide(&policy, &Client, NOW, &mut data).event == Event::Allowed;
                (0..250).filter(allowed).count()
            })
        })
        .collect();
    let passed: usize = workers
        .into_iter()
        .map(|worker| worker.join().expect("no panic"))
        .sum();
    assert_eq!(passed, 1000);
}

#[test]
fn several_limits_all_give_or_none() {
    let configuration = r#"{"limits":[{"name":"a","key":["client_ip"],"rate":"1/1h","burst":2},
        {"name":"b","key":[{"const":"x"}],"rate":"1/1m","burst":3}]}"#;
    let mut data = SharedData::default();
    assert_eq!(one(configuration, NOW, &mut data).event, Event::Allowed);
    assert_eq!(one(configuration, NOW, &mut data).event, Event::Allowed);
    for _ in 0..3 {
        let verdict = one(configuration, NOW, &mut data);
        let Flow::Reply(reply) = verdict.flow else {
            panic!("over limit a")
        };
        assert!(reply.body.contains(r#"["a"]"#), "{}", reply.body);
        // b is shown, and has not paid for what a refused.
        assert_eq!(reply.fields[1].1, "\"a\";r=0;t=3600, \"b\";r=1;t=60");
    }
    assert_eq!(data.writes(), 4);
}

#[test]
fn what_an_earlier_limit_gave_is_put_back_when_a_later_one_refuses_after_the_look() {
    let both = policy(
        r#"{"limits":[{"name":"a","key":["client_ip"],"rate":"1/1h","burst":5},
        {"name":"b","key":[{"const":"x"}],"rate":"1/1h","burst":1}]}"#,
    );
    let data = SharedData::default();
    let mut reads = 0;
    // Between our look at b and our taking from it (the fourth read), another worker empties b.
    let key_b = key::of(&both.limits[1], &Client).expect("a key");
    let mut other = || {
        reads += 1;
        if reads == 3 {
            assert!(matches!(
                take(&both.limits[1], &key_b, NOW, &mut data.clone()),
                Ok(Taken::Passed(..))
            ));
        }
    };
    let mut store = Interrupted {
        data: data.clone(),
        interruptions: 4,
        other: &mut other,
    };
    let verdict = decide(&both, &Client, NOW, &mut store);
    assert_eq!(
        (verdict.event, status(&verdict)),
        (Event::Limited, Some(429))
    );
    let key_a = key::of(&both.limits[0], &Client).expect("a key");
    let left = both.limits[0]
        .rate
        .look(decode(&data.clone().read(&key_a).value), NOW);
    assert_eq!(left.remaining, 5, "a has all of its requests back");
}

#[test]
fn a_store_that_never_answers_is_given_up_as_configured() {
    for (extra, expected) in [
        ("", Some(503)),
        (r#","on_error":"deny""#, Some(503)),
        (r#","on_error":"allow""#, None),
        (r#","mode":"shadow""#, None),
    ] {
        let configuration = format!(r#"{{"key":["client_ip"],"rate":"10/1s"{extra}}}"#);
        let mut store = Refusing {
            data: SharedData::default(),
            refuses: |_| true,
            attempts: 0,
        };
        let verdict = one(&configuration, NOW, &mut store);
        assert_eq!(
            (verdict.event, status(&verdict)),
            (Event::Failed, expected),
            "{configuration}"
        );
        assert_eq!(store.attempts, ATTEMPTS_MAX);
    }
}

#[test]
fn a_store_that_takes_no_version_for_a_new_entry_still_works() {
    let refuses = |expected: Expected| expected == Expected::Absent;
    let mut store = Refusing {
        data: SharedData::default(),
        refuses,
        attempts: 0,
    };
    let events: Vec<Event> = (0..4).map(|_| one(SIMPLE, NOW, &mut store).event).collect();
    assert_eq!(
        events,
        [
            Event::Allowed,
            Event::Allowed,
            Event::Allowed,
            Event::Limited
        ]
    );
}

#[test]
fn what_is_no_bucket_of_ours_counts_as_full() {
    let limit = &policy(SIMPLE).limits[0];
    let key = key::of(limit, &Client).expect("a key");
    for value in [&b""[..], b"short", &[0xff; 17]] {
        let mut data = SharedData::default();
        assert!(data.write(&key, value, Expected::Anything));
        assert_eq!(one(SIMPLE, NOW, &mut data).event, Event::Allowed);
        assert_eq!(one(SIMPLE, NOW, &mut data).event, Event::Allowed);
        assert_eq!(one(SIMPLE, NOW, &mut data).event, Event::Allowed);
        assert_eq!(one(SIMPLE, NOW, &mut data).event, Event::Limited);
    }
    assert_eq!(
        limit.rate,
        Rate {
            count: 10,
            period: SECOND,
            burst: 3
        }
    );
}

#[test]
fn a_clock_set_back_locks_nobody_out() {
    let several = r#"{"limits":[{"name":"a","key":["client_ip"],"rate":"10/1s","burst":3},
        {"name":"b","key":[{"const":"x"}],"rate":"10/1s","burst":3}]}"#;
    for configuration in [SIMPLE, several] {
        let mut data = SharedData::default();
        assert_eq!(one(configuration, NOW, &mut data).event, Event::Allowed);
        let then = NOW - 3_600 * SECOND;
        assert_eq!(one(configuration, then, &mut data).event, Event::Limited);
        assert_eq!(
            one(configuration, then + SECOND / 10, &mut data).event,
            Event::Allowed,
            "{configuration}"
        );
        assert_eq!(
            one(configuration, then + SECOND / 10, &mut data).event,
            Event::Limited,
            "{configuration}"
        );
    }
}
