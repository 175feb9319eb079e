//! The table of [`super`], row by row.

use super::*;

/// Plugins that answer as they are told, and remember what they saw.
#[derive(Default)]
struct Fake {
    /// By slot: what the new connection, and data of each direction, is answered.
    new: Vec<Answer>,
    data: Vec<[Answer; 2]>,
    looks_ahead: Vec<bool>,
    skipped: Vec<bool>,
    held: Vec<[Body; 2]>,
    most: usize,
    calls: Vec<String>,
}

impl Fake {
    fn new(slots: usize) -> Self {
        Self {
            new: vec![Answer::Continue; slots],
            data: vec![[Answer::Continue; 2]; slots],
            looks_ahead: vec![false; slots],
            skipped: vec![false; slots],
            held: std::iter::repeat_with(Default::default)
                .take(slots)
                .collect(),
            most: 10,
            calls: Vec::new(),
        }
    }

    fn said(&mut self) -> String {
        std::mem::take(&mut self.calls).join(" ")
    }
}

impl Plugins for Fake {
    type Stop = String;

    fn new_connection(&mut self, slot: usize) -> Result<Answer, String> {
        self.calls.push(format!("new{slot}"));
        Ok(self.new[slot])
    }

    fn data(&mut self, slot: usize, direction: Direction, end: bool) -> Result<Answer, String> {
        let held = &self.held[slot][direction as usize];
        let text = String::from_utf8_lossy(held.as_slice());
        let way = if direction == Downstream { '>' } else { '<' };
        let end = if end { "." } else { "" };
        self.calls.push(format!("{slot}{way}{text}{end}"));
        if text == "fail" {
            return Err("failed".to_owned());
        }
        Ok(self.data[slot][direction as usize])
    }

    fn hold(&mut self, slot: usize, direction: Direction, chunk: Body) {
        self.held[slot][direction as usize].push(chunk);
    }

    fn release(&mut self, slot: usize, direction: Direction) -> Body {
        std::mem::take(&mut self.held[slot][direction as usize])
    }

    fn held(&self, slot: usize, direction: Direction) -> (usize, usize) {
        (self.held[slot][direction as usize].len(), self.most)
    }

    fn wants(&self, slot: usize, _: Direction) -> bool {
        !self.skipped[slot]
    }

    fn looks_ahead(&self, slot: usize) -> bool {
        self.looks_ahead[slot]
    }
}

fn body(text: &'static str) -> Body {
    Body::from(bytes::Bytes::from_static(text.as_bytes()))
}

fn push(flow: &mut Flow, fake: &mut Fake, direction: Direction, text: &'static str) {
    let (text, end) = match text.strip_suffix('.') {
        Some(text) => (text, true),
        None => (text, false),
    };
    flow.push(fake, direction, body(text), end)
        .expect("no stop");
}

fn out(flow: &mut Flow, direction: Direction) -> String {
    let out = flow.take(direction);
    let text = String::from_utf8_lossy(out.bytes.as_slice()).into_owned();
    text + if out.ended { "." } else { "" }
}

use Direction::{Downstream, Upstream};

#[test]
fn bytes_pass_first_to_last_and_back_last_to_first() {
    let (mut flow, mut fake) = (Flow::new(2), Fake::new(2));
    flow.begin(&mut fake).expect("no stop");
    assert!(flow.is_admitted());
    push(&mut flow, &mut fake, Downstream, "ab");
    push(&mut flow, &mut fake, Upstream, "cd");
    push(&mut flow, &mut fake, Downstream, ".");
    push(&mut flow, &mut fake, Upstream, "e.");
    assert_eq!(
        fake.said(),
        "new0 new1 0>ab 1>ab 1<cd 0<cd 0>. 1>. 1<e. 0<e."
    );
    assert_eq!(out(&mut flow, Downstream), "ab.");
    assert_eq!(out(&mut flow, Upstream), "cde.");
}

#[test]
fn without_plugins_everything_passes() {
    let (mut flow, mut fake) = (Flow::new(0), Fake::new(0));
    flow.begin(&mut fake).expect("no stop");
    assert!(flow.is_admitted() && flow.reads_client(&fake));
    push(&mut flow, &mut fake, Downstream, "ab.");
    assert_eq!(out(&mut flow, Downstream), "ab.");
}

#[test]
fn a_stopped_connection_goes_no_further_until_it_is_continued() {
    let (mut flow, mut fake) = (Flow::new(3), Fake::new(3));
    fake.new[1] = Answer::Stop;
    flow.begin(&mut fake).expect("no stop");
    assert_eq!(fake.said(), "new0 new1");
    assert!(!flow.is_admitted() && !flow.reads_client(&fake));
    let stopped: Vec<_> = flow.stopped(&fake).collect();
    assert_eq!(
        stopped,
        [Stopped {
            slot: 1,
            more: false
        }]
    );
    // Continued by another plugin, or another way, it stays where it is.
    flow.resume(&mut fake, 0, Downstream).expect("no stop");
    flow.resume(&mut fake, 1, Upstream).expect("no stop");
    assert!(!flow.is_admitted());
    flow.resume(&mut fake, 1, Downstream).expect("no stop");
    assert_eq!(fake.said(), "new2");
    assert!(flow.is_admitted() && flow.stopped(&fake).next().is_none());
}

#[test]
fn who_looks_ahead_is_shown_bytes_before_the_others_are_told() {
    let (mut flow, mut fake) = (Flow::new(2), Fake::new(2));
    (fake.new[0], fake.looks_ahead[0]) = (Answer::Stop, true);
    fake.data[0][0] = Answer::Stop;
    flow.begin(&mut fake).expect("no stop");
    assert!(flow.reads_client(&fake));
    push(&mut flow, &mut fake, Downstream, "a");
    assert_eq!(fake.said(), "new0 0>a");
    fake.data[0][0] = Answer::Continue;
    push(&mut flow, &mut fake, Downstream, "b");
    assert_eq!(fake.said(), "0>ab new1 1>ab");
    assert!(flow.is_admitted());
    assert_eq!(out(&mut flow, Downstream), "ab");
}

#[test]
fn what_was_looked_at_goes_on_unseen_when_it_is_continued() {
    let (mut flow, mut fake) = (Flow::new(2), Fake::new(2));
    (fake.new[0], fake.looks_ahead[0]) = (Answer::Stop, true);
    fake.data[0][0] = Answer::Stop;
    fake.new[1] = Answer::Stop;
    flow.begin(&mut fake).expect("no stop");
    push(&mut flow, &mut fake, Downstream, "a");
    flow.resume(&mut fake, 0, Downstream).expect("no stop");
    assert_eq!(fake.said(), "new0 0>a new1");
    // It waits with the next, which stops the connection, and is shown to it when it continues.
    assert_eq!(out(&mut flow, Downstream), "");
    flow.resume(&mut fake, 1, Downstream).expect("no stop");
    assert_eq!(fake.said(), "1>a");
    assert_eq!(out(&mut flow, Downstream), "a");
}

#[test]
fn stopped_bytes_are_seen_again_with_what_came_since() {
    let (mut flow, mut fake) = (Flow::new(2), Fake::new(2));
    flow.begin(&mut fake).expect("no stop");
    fake.said();
    fake.data[1][0] = Answer::Stop;
    push(&mut flow, &mut fake, Downstream, "ab");
    push(&mut flow, &mut fake, Downstream, "cd");
    assert_eq!(fake.said(), "0>ab 1>ab 0>cd 1>abcd");
    assert_eq!(out(&mut flow, Downstream), "");
    let stopped: Vec<_> = flow.stopped(&fake).collect();
    assert_eq!(
        stopped,
        [Stopped {
            slot: 1,
            more: true
        }]
    );
    // The other direction goes on.
    push(&mut flow, &mut fake, Upstream, "x");
    assert_eq!(out(&mut flow, Upstream), "x");
    fake.data[1][0] = Answer::Continue;
    push(&mut flow, &mut fake, Downstream, "e.");
    assert_eq!(fake.said(), "1<x 0<x 0>e. 1>abcde.");
    assert_eq!(out(&mut flow, Downstream), "abcde.");
}

#[test]
fn resumed_bytes_go_on_without_another_call() {
    let (mut flow, mut fake) = (Flow::new(3), Fake::new(3));
    flow.begin(&mut fake).expect("no stop");
    fake.said();
    fake.data[1] = [Answer::Stop; 2];
    push(&mut flow, &mut fake, Downstream, "ab.");
    push(&mut flow, &mut fake, Upstream, "cd");
    assert_eq!(fake.said(), "0>ab. 1>ab. 2<cd 1<cd");
    let stopped: Vec<_> = flow.stopped(&fake).collect();
    assert_eq!(
        stopped,
        [
            Stopped {
                slot: 1,
                more: false
            },
            Stopped {
                slot: 1,
                more: true
            }
        ]
    );
    flow.resume(&mut fake, 1, Downstream).expect("no stop");
    flow.resume(&mut fake, 1, Downstream).expect("no stop");
    flow.resume(&mut fake, 1, Upstream).expect("no stop");
    assert_eq!(fake.said(), "2>ab. 0<cd");
    assert_eq!(out(&mut flow, Downstream), "ab.");
    assert_eq!(out(&mut flow, Upstream), "cd");
}

#[test]
fn a_full_plugin_stops_reading() {
    let (mut flow, mut fake) = (Flow::new(1), Fake::new(1));
    flow.begin(&mut fake).expect("no stop");
    fake.data[0][0] = Answer::Stop;
    push(&mut flow, &mut fake, Downstream, "123456789");
    assert!(flow.reads_client(&fake));
    push(&mut flow, &mut fake, Downstream, "0");
    assert!(!flow.reads_client(&fake) && flow.has_room(&fake, Upstream));
    let stopped: Vec<_> = flow.stopped(&fake).collect();
    assert_eq!(
        stopped,
        [Stopped {
            slot: 0,
            more: false
        }],
        "it cannot be shown more"
    );
}

/// A plugin that is skipped from now on lets go what it held, in order.
#[test]
fn a_skipped_plugin_keeps_nothing() {
    let (mut flow, mut fake) = (Flow::new(2), Fake::new(2));
    flow.begin(&mut fake).expect("no stop");
    fake.data[0][0] = Answer::Stop;
    push(&mut flow, &mut fake, Downstream, "ab");
    fake.said();
    fake.skipped[0] = true;
    flow.resume(&mut fake, 0, Downstream).expect("no stop");
    push(&mut flow, &mut fake, Downstream, "cd");
    assert_eq!(fake.said(), "1>ab 1>cd");
    assert_eq!(out(&mut flow, Downstream), "abcd");
}

#[test]
fn a_failure_stops_everything() {
    let (mut flow, mut fake) = (Flow::new(1), Fake::new(1));
    flow.begin(&mut fake).expect("no stop");
    let stop = flow.push(&mut fake, Downstream, body("fail"), false);
    assert_eq!(stop, Err("failed".to_owned()));
    assert_eq!(out(&mut flow, Downstream), "");
}

/// Bytes that a plugin swallowed are no call for the next.
#[test]
fn nothing_is_not_passed_on() {
    let (mut flow, mut fake) = (Flow::new(1), Fake::new(1));
    flow.begin(&mut fake).expect("no stop");
    fake.said();
    push(&mut flow, &mut fake, Downstream, "");
    assert_eq!(fake.said(), "");
    push(&mut flow, &mut fake, Downstream, ".");
    assert_eq!(fake.said(), "0>.");
}
