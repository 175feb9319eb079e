//! The table of [`super::super`], row by row, with plugins that follow a script.

use super::*;

#[derive(Default, Clone)]
struct Plugin {
    headers: Option<HeadersAction>,
    data: VecDeque<DataAction>,
    trailers: Option<TrailersAction>,
    hold: bool,
    body: bool,
    limit: usize,
    continues: bool,
    lost: Option<bool>,
    append: &'static str,
    injects: Vec<(&'static str, bool)>,
    /// The same within each body callback.
    injects_at_data: VecDeque<(&'static str, bool)>,
}

impl Plugin {
    fn new() -> Self {
        Self {
            headers: Some(HeadersAction::Continue),
            body: true,
            limit: 100,
            ..Self::default()
        }
    }
}

#[derive(Default)]
struct Script {
    plugins: Vec<Plugin>,
    calls: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Overflow(usize),
    Lost(usize),
}

impl Callbacks for Script {
    type Stop = Ended;

    fn headers(&mut self, position: usize, end: bool) -> Result<Option<HeadersAction>, Ended> {
        self.calls.push(format!(
            "{position}:headers{}",
            if end { ".end" } else { "" }
        ));
        Ok(self.plugins[position].headers)
    }

    fn data(
        &mut self,
        position: usize,
        body: &mut Body,
        end: bool,
    ) -> Result<Option<DataAction>, Ended> {
        let text = String::from_utf8_lossy(body.as_slice()).into_owned();
        self.calls.push(format!(
            "{position}:{text}{}",
            if end { ".end" } else { "" }
        ));
        let plugin = &mut self.plugins[position];
        plugin.injects.extend(plugin.injects_at_data.pop_front());
        if end {
            body.splice(usize::MAX, 0, plugin.append.as_bytes());
        }
        Ok(Some(
            plugin.data.pop_front().unwrap_or(DataAction::Continue),
        ))
    }

    fn trailers(&mut self, position: usize) -> Result<Option<TrailersAction>, Ended> {
        self.calls.push(format!("{position}:trailers"));
        Ok(self.plugins[position].trailers)
    }

    fn wants_body(&self, position: usize) -> bool {
        self.plugins[position].body
    }

    fn holds_headers(&self, position: usize) -> bool {
        self.plugins[position].hold
    }

    fn body_held_max(&self, position: usize) -> usize {
        self.plugins[position].limit
    }

    fn take_continue(&mut self, position: usize) -> bool {
        std::mem::take(&mut self.plugins[position].continues)
    }

    fn overflow(&mut self, position: usize) -> Ended {
        Ended::Overflow(position)
    }

    fn take_injected(&mut self, position: usize) -> Vec<(Bytes, bool)> {
        let pieces = std::mem::take(&mut self.plugins[position].injects);
        let pieces = pieces.into_iter();
        pieces.map(|(text, end)| (bytes(text), end)).collect()
    }

    fn lost(&mut self, position: usize) -> Result<bool, Ended> {
        match self.plugins[position].lost {
            None => Ok(false),
            Some(true) => Ok(true),
            Some(false) => Err(Ended::Lost(position)),
        }
    }
}

fn chain(plugins: Vec<Plugin>) -> (Flow, Script) {
    (
        Flow::new(plugins.len()),
        Script {
            plugins,
            calls: Vec::new(),
        },
    )
}

fn bytes(text: &'static str) -> Bytes {
    Bytes::from_static(text.as_bytes())
}

fn data(text: &'static str, end: bool) -> Item {
    Item::Data {
        bytes: bytes(text),
        end,
    }
}

fn out(flow: &mut Flow) -> Vec<Item> {
    std::iter::from_fn(|| flow.pop()).collect()
}

const HEAD: Item = Item::Headers { end: false };

#[test]
fn continue_lets_everything_go_on_in_order() {
    let (mut flow, mut script) = chain(vec![Plugin::new(), Plugin::new()]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), false).unwrap();
    flow.data(&mut script, bytes("c"), true).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("ab", false), data("c", true)]);
    assert_eq!(
        script.calls,
        [
            "0:headers",
            "1:headers",
            "0:ab",
            "1:ab",
            "0:c.end",
            "1:c.end"
        ]
    );
    assert_eq!(flow.blocked(&script), None);
}

#[test]
fn an_empty_chain_passes() {
    let (mut flow, mut script) = chain(vec![]);
    flow.headers(&mut script, true).unwrap();
    assert_eq!(out(&mut flow), [Item::Headers { end: true }]);
}

#[test]
fn continue_with_hold_waits_for_the_body_verdict() {
    let (mut flow, mut script) = chain(vec![
        Plugin {
            hold: true,
            ..Plugin::new()
        },
        Plugin::new(),
    ]);
    flow.headers(&mut script, false).unwrap();
    assert_eq!(
        flow.blocked(&script),
        Some(Blocked {
            position: 0,
            reads: true
        })
    );
    assert!(!flow.headers_passed());
    flow.data(&mut script, bytes("ab"), true).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("ab", true)]);
    assert_eq!(
        script.calls,
        ["0:headers", "0:ab.end", "1:headers", "1:ab.end"]
    );
}

#[test]
fn continue_with_hold_and_no_body_goes_on() {
    let (mut flow, mut script) = chain(vec![Plugin {
        hold: true,
        ..Plugin::new()
    }]);
    flow.headers(&mut script, true).unwrap();
    assert_eq!(out(&mut flow), [Item::Headers { end: true }]);
}

#[test]
fn stop_iteration_streaming_keeps_the_body_unseen() {
    let stop = Plugin {
        headers: Some(HeadersAction::StopIteration),
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![stop, Plugin::new()]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), false).unwrap();
    assert_eq!(
        flow.blocked(&script),
        Some(Blocked {
            position: 0,
            reads: false
        })
    );
    assert_eq!(script.calls, ["0:headers"]);
    flow.resume(&mut script).unwrap();
    assert!(!flow.has_output());
    script.plugins[0].continues = true;
    flow.resume(&mut script).unwrap();
    flow.data(&mut script, bytes("c"), true).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("ab", false), data("c", true)]);
    assert_eq!(
        script.calls,
        [
            "0:headers",
            "1:headers",
            "0:ab",
            "1:ab",
            "0:c.end",
            "1:c.end"
        ]
    );
}

#[test]
fn stop_iteration_with_hold_runs_body_callbacks() {
    let stop = Plugin {
        headers: Some(HeadersAction::StopIteration),
        hold: true,
        data: [DataAction::StopIterationAndBuffer].into(),
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![stop, Plugin::new()]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), false).unwrap();
    assert!(!flow.headers_passed());
    flow.data(&mut script, bytes("c"), true).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("abc", true)]);
    assert_eq!(
        script.calls,
        ["0:headers", "0:ab", "0:abc.end", "1:headers", "1:abc.end"]
    );
}

#[test]
fn stop_all_keeps_the_body_unseen_also_with_hold() {
    for (action, reads) in [
        (HeadersAction::StopAllIterationAndBuffer, true),
        (HeadersAction::StopAllIterationAndWatermark, false),
    ] {
        let stop = Plugin {
            headers: Some(action),
            hold: true,
            ..Plugin::new()
        };
        let (mut flow, mut script) = chain(vec![stop]);
        flow.headers(&mut script, false).unwrap();
        assert_eq!(flow.blocked(&script), Some(Blocked { position: 0, reads }));
        flow.data(&mut script, bytes("ab"), true).unwrap();
        script.plugins[0].continues = true;
        flow.resume(&mut script).unwrap();
        assert_eq!(out(&mut flow), [HEAD, data("ab", true)]);
        assert_eq!(script.calls, ["0:headers", "0:ab.end"]);
    }
}

#[test]
fn continue_and_end_stream_is_taken_as_continue() {
    let (mut flow, mut script) = chain(vec![Plugin {
        headers: Some(HeadersAction::ContinueAndEndStream),
        ..Plugin::new()
    }]);
    flow.headers(&mut script, false).unwrap();
    assert_eq!(out(&mut flow), [HEAD]);
}

#[test]
fn continue_stream_within_the_callback_outdoes_its_pause() {
    let stop = Plugin {
        headers: Some(HeadersAction::StopIteration),
        continues: true,
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![stop]);
    flow.headers(&mut script, false).unwrap();
    assert_eq!(out(&mut flow), [HEAD]);
}

#[test]
fn buffered_body_is_seen_whole_and_resumed_without_a_second_callback() {
    let buffer = Plugin {
        data: [
            DataAction::StopIterationAndBuffer,
            DataAction::StopIterationAndBuffer,
        ]
        .into(),
        append: "!",
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![buffer, Plugin::new()]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), false).unwrap();
    assert_eq!(
        flow.blocked(&script),
        Some(Blocked {
            position: 0,
            reads: true
        })
    );
    flow.data(&mut script, bytes("c"), true).unwrap();
    assert_eq!(
        flow.blocked(&script),
        Some(Blocked {
            position: 0,
            reads: false
        })
    );
    script.plugins[0].continues = true;
    flow.resume(&mut script).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("abc!", true)]);
    assert_eq!(
        script.calls,
        ["0:headers", "1:headers", "0:ab", "0:abc.end", "1:abc!.end"]
    );
}

#[test]
fn watermark_stops_reading_at_the_limit_and_is_no_overflow() {
    let slow = Plugin {
        data: [DataAction::StopIterationAndWatermark; 3].into(),
        limit: 3,
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![slow]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), false).unwrap();
    assert_eq!(
        flow.blocked(&script),
        Some(Blocked {
            position: 0,
            reads: true
        })
    );
    flow.data(&mut script, bytes("cd"), false).unwrap();
    assert_eq!(
        flow.blocked(&script),
        Some(Blocked {
            position: 0,
            reads: false
        })
    );
}

#[test]
fn no_buffer_drops_what_the_plugin_saw() {
    let eater = Plugin {
        data: [DataAction::StopIterationNoBuffer].into(),
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![eater]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), false).unwrap();
    flow.data(&mut script, bytes("c"), true).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("c", true)]);
    assert_eq!(script.calls, ["0:headers", "0:ab", "0:c.end"]);
}

#[test]
fn body_beyond_the_limit_is_an_overflow() {
    let buffer = Plugin {
        data: [DataAction::StopIterationAndBuffer; 3].into(),
        limit: 3,
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![Plugin::new(), buffer]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("abc"), false).unwrap();
    assert_eq!(
        flow.data(&mut script, bytes("d"), false),
        Err(Ended::Overflow(1))
    );
}

#[test]
fn unseen_body_beyond_the_limit_is_an_overflow_where_it_is_read() {
    for (action, refused) in [
        (HeadersAction::StopAllIterationAndBuffer, true),
        (HeadersAction::StopAllIterationAndWatermark, false),
        (HeadersAction::StopIteration, false),
    ] {
        let stop = Plugin {
            headers: Some(action),
            limit: 3,
            ..Plugin::new()
        };
        let (mut flow, mut script) = chain(vec![stop]);
        flow.headers(&mut script, false).unwrap();
        flow.data(&mut script, bytes("abc"), false).unwrap();
        let over = flow.data(&mut script, bytes("d"), false);
        assert_eq!(over.is_err(), refused, "{action:?}");
        if !refused {
            script.plugins[0].continues = true;
            flow.resume(&mut script).unwrap();
            flow.data(&mut script, bytes("efgh"), true).unwrap();
            assert_eq!(
                out(&mut flow),
                [
                    HEAD,
                    data("abc", false),
                    data("d", false),
                    data("efgh", true)
                ]
            );
        }
    }
}

/// What it continued before more came is not shown to it again.
#[test]
fn a_continued_body_goes_on_before_the_next_chunk() {
    let buffer = Plugin {
        data: [DataAction::StopIterationAndBuffer].into(),
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![buffer]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), false).unwrap();
    script.plugins[0].continues = true;
    flow.data(&mut script, bytes("c"), true).unwrap();
    assert_eq!(script.calls, ["0:headers", "0:ab", "0:c.end"]);
    assert_eq!(out(&mut flow), [HEAD, data("ab", false), data("c", true)]);
}

#[test]
fn trailers_continue_releases_the_held_body_before_them() {
    let buffer = Plugin {
        data: [DataAction::StopIterationAndBuffer].into(),
        trailers: Some(TrailersAction::Continue),
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![buffer]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), false).unwrap();
    flow.trailers(&mut script).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("ab", false), Item::Trailers]);
}

#[test]
fn trailers_stop_waits_for_continue_stream() {
    let stop = Plugin {
        trailers: Some(TrailersAction::StopIteration),
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![stop]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), false).unwrap();
    flow.trailers(&mut script).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("ab", false)]);
    script.plugins[0].continues = true;
    flow.resume(&mut script).unwrap();
    assert_eq!(out(&mut flow), [Item::Trailers]);
    assert_eq!(script.calls, ["0:headers", "0:ab", "0:trailers"]);
}

#[test]
fn a_second_plugin_can_stop_what_the_first_released() {
    let first = Plugin {
        headers: Some(HeadersAction::StopIteration),
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![first.clone(), first]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), true).unwrap();
    script.plugins[0].continues = true;
    flow.resume(&mut script).unwrap();
    assert_eq!(
        flow.blocked(&script),
        Some(Blocked {
            position: 1,
            reads: false
        })
    );
    script.plugins[1].continues = true;
    flow.resume(&mut script).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("ab", true)]);
}

#[test]
fn a_lost_plugin_is_skipped_or_ends_the_message() {
    let stop = Plugin {
        headers: Some(HeadersAction::StopIteration),
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![stop]);
    flow.headers(&mut script, true).unwrap();
    script.plugins[0].lost = Some(false);
    assert_eq!(flow.resume(&mut script), Err(Ended::Lost(0)));
    script.plugins[0].lost = Some(true);
    flow.resume(&mut script).unwrap();
    assert_eq!(out(&mut flow), [Item::Headers { end: true }]);
}

#[test]
fn a_plugin_without_a_body_callback_sees_no_body() {
    let (mut flow, mut script) = chain(vec![Plugin {
        body: false,
        hold: true,
        ..Plugin::new()
    }]);
    flow.headers(&mut script, false).unwrap();
    flow.data(&mut script, bytes("ab"), true).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("ab", true)]);
    assert_eq!(script.calls, ["0:headers"]);
}

#[test]
fn what_is_added_goes_on_before_what_the_answer_lets_on() {
    let first = Plugin {
        injects: vec![("x", false), ("y", false)],
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![first, Plugin::new()]);
    flow.headers(&mut script, false).unwrap();
    script.plugins[0].injects = vec![("<", false)];
    flow.data(&mut script, bytes("ab"), true).unwrap();
    let all = [
        HEAD,
        data("x", false),
        data("y", false),
        data("<", false),
        data("ab", true),
    ];
    assert_eq!(out(&mut flow), all);
    assert_eq!(
        script.calls,
        [
            "0:headers",
            "1:headers",
            "1:x",
            "1:y",
            "1:<",
            "0:ab.end",
            "1:ab.end"
        ]
    );
    assert!(!flow.ended_early());
}

#[test]
fn an_addition_takes_held_headers_along_and_leaves_the_plugin_in_charge() {
    for (action, reads) in [
        (HeadersAction::StopIteration, false),
        (HeadersAction::StopAllIterationAndBuffer, true),
    ] {
        let stop = Plugin {
            headers: Some(action),
            injects: vec![("x", false)],
            ..Plugin::new()
        };
        let (mut flow, mut script) = chain(vec![stop]);
        flow.headers(&mut script, false).unwrap();
        assert_eq!(out(&mut flow), [HEAD, data("x", false)]);
        let position = 0;
        let blocked = flow.blocked(&script);
        assert_eq!(blocked, Some(Blocked { position, reads }));
        flow.data(&mut script, bytes("ab"), true).unwrap();
        assert_eq!(out(&mut flow), []);
        script.plugins[0].injects = vec![("y", false)];
        script.plugins[0].continues = true;
        flow.resume(&mut script).unwrap();
        assert_eq!(out(&mut flow), [data("y", false), data("ab", true)]);
    }
}

#[test]
fn a_message_without_a_body_gets_one_and_ends_when_the_plugin_goes_on() {
    for goes_on in [false, true] {
        let stop = Plugin {
            headers: Some(match goes_on {
                true => HeadersAction::Continue,
                false => HeadersAction::StopIteration,
            }),
            injects: vec![("x", false)],
            ..Plugin::new()
        };
        let (mut flow, mut script) = chain(vec![stop, Plugin::new()]);
        flow.headers(&mut script, true).unwrap();
        if !goes_on {
            assert_eq!(out(&mut flow), [HEAD, data("x", false)]);
            script.plugins[0].continues = true;
            flow.resume(&mut script).unwrap();
            assert_eq!(out(&mut flow), [data("", true)]);
        } else {
            assert_eq!(out(&mut flow), [HEAD, data("x", false), data("", true)]);
        }
        let calls = ["0:headers.end", "1:headers", "1:x", "1:.end"];
        assert_eq!(script.calls, calls);
    }
}

#[test]
fn an_addition_that_ends_the_message_is_the_last_of_it() {
    let stop = Plugin {
        headers: Some(HeadersAction::StopIteration),
        injects: vec![("x", true), ("never", false)],
        ..Plugin::new()
    };
    let (mut flow, mut script) = chain(vec![Plugin::new(), stop]);
    flow.headers(&mut script, false).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("x", true)]);
    assert!(flow.ended_early());
    assert_eq!(flow.blocked(&script), None);
    script.plugins[0].injects = vec![("late", false)];
    flow.data(&mut script, bytes("ab"), false).unwrap();
    flow.trailers(&mut script).unwrap();
    assert_eq!(out(&mut flow), []);
    assert_eq!(script.calls, ["0:headers", "1:headers"]);
}

#[test]
fn chunks_are_replaced_by_additions() {
    let (mut flow, mut script) = chain(vec![Plugin {
        data: [DataAction::StopIterationNoBuffer; 2].into(),
        injects_at_data: [("AB", false), ("C", true)].into(),
        hold: true,
        ..Plugin::new()
    }]);
    flow.headers(&mut script, false).unwrap();
    assert_eq!(out(&mut flow), []);
    flow.data(&mut script, bytes("ab"), false).unwrap();
    assert_eq!(out(&mut flow), [HEAD, data("AB", false)]);
    flow.data(&mut script, bytes("c"), true).unwrap();
    assert_eq!(out(&mut flow), [data("C", true)]);
    assert_eq!(script.calls, ["0:headers", "0:ab", "0:c.end"]);
}
