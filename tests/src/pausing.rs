//! A module, generated in the text format, that answers its callbacks with any number of the ABI, also those that no SDK
//! has a name for, and tells in the log what was called.
//!
//! The first exchange it sees is the one it acts on. The next one releases that: it continues it, from the outside.

use std::fmt::Write;

use crate::Filter;

/// Which message it acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Request,
    Response,
}

/// What it answers to the first exchange.
#[derive(Clone, Copy, Debug)]
pub struct Pausing {
    pub half: Half,
    /// The answer to the headers callback.
    pub headers: u32,
    /// Answers to the body callbacks, in order; 0 (Continue) after them.
    pub body: &'static [u32],
    pub trailers: u32,
}

impl Pausing {
    /// Continues everywhere.
    #[must_use]
    pub fn of(half: Half) -> Self {
        Self {
            half,
            headers: 0,
            body: &[],
            trailers: 0,
        }
    }

    #[must_use]
    pub fn headers(self, headers: u32) -> Self {
        Self { headers, ..self }
    }

    #[must_use]
    pub fn body(self, body: &'static [u32]) -> Self {
        Self { body, ..self }
    }

    #[must_use]
    pub fn trailers(self, trailers: u32) -> Self {
        Self { trailers, ..self }
    }

    /// The filter. It needs a single worker: the second exchange must meet the first in one VM.
    #[must_use]
    pub fn filter(self) -> Filter {
        Filter::wat(&self.module())
    }

    fn module(self) -> String {
        let (side, stream) = match self.half {
            Half::Request => ("request", 0),
            Half::Response => ("response", 1),
        };
        let mut answers = String::new();
        for (step, answer) in self.body.iter().enumerate() {
            let _ = write!(
                answers,
                "(if (i32.eq (global.get $step) (i32.const {})) (then (return (i32.const {answer}))))",
                step + 1
            );
        }
        let Self {
            headers, trailers, ..
        } = self;
        format!(
            r#"(module
            (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
            (import "env" "proxy_continue_stream" (func $continue (param i32) (result i32)))
            (import "env" "proxy_set_effective_context" (func $effective (param i32) (result i32)))
            (memory (export "memory") 1)
            (data (i32.const 16) "saw: headers ")
            (data (i32.const 32) "saw: body 0000 ")
            (data (i32.const 48) "saw: body 0000 end ")
            (data (i32.const 80) "saw: trailers ")
            (data (i32.const 96) "saw: release ")
            (global $first (mut i32) (i32.const 0))
            (global $step (mut i32) (i32.const 0))
            (func (export "proxy_abi_version_0_2_1"))
            (func (export "malloc") (param i32) (result i32) (i32.const 1024))
            (func $say (param $at i32) (param $size i32)
                (drop (call $log (i32.const 2) (local.get $at) (local.get $size))))
            (func $digit (param $at i32) (param $value i32)
                (i32.store8 (local.get $at)
                    (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10)))))
            (func $number (param $at i32) (param $value i32)
                (call $digit (local.get $at) (i32.div_u (local.get $value) (i32.const 1000)))
                (call $digit (i32.add (local.get $at) (i32.const 1)) (i32.div_u (local.get $value) (i32.const 100)))
                (call $digit (i32.add (local.get $at) (i32.const 2)) (i32.div_u (local.get $value) (i32.const 10)))
                (call $digit (i32.add (local.get $at) (i32.const 3)) (local.get $value)))
            ;; The first context to come is the one; a later one continues it.
            (func (export "proxy_on_context_create") (param $context i32) (param $root i32)
                (if (i32.eqz (local.get $root)) (then (return)))
                (if (i32.eqz (global.get $first))
                    (then (global.set $first (local.get $context)))
                    (else
                        (call $say (i32.const 96) (i32.const 12))
                        (drop (call $effective (global.get $first)))
                        (drop (call $continue (i32.const {stream}))))))
            (func (export "proxy_on_{side}_headers") (param $context i32) (param i32 i32) (result i32)
                (if (i32.ne (local.get $context) (global.get $first)) (then (return (i32.const 0))))
                (call $say (i32.const 16) (i32.const 12))
                (i32.const {headers}))
            (func (export "proxy_on_{side}_body") (param $context i32) (param $size i32) (param $end i32) (result i32)
                (if (i32.ne (local.get $context) (global.get $first)) (then (return (i32.const 0))))
                (if (local.get $end)
                    (then (call $number (i32.const 58) (local.get $size)) (call $say (i32.const 48) (i32.const 18)))
                    (else (call $number (i32.const 42) (local.get $size)) (call $say (i32.const 32) (i32.const 14))))
                (global.set $step (i32.add (global.get $step) (i32.const 1)))
                {answers}
                (i32.const 0))
            (func (export "proxy_on_{side}_trailers") (param $context i32) (param i32) (result i32)
                (if (i32.ne (local.get $context) (global.get $first)) (then (return (i32.const 0))))
                (call $say (i32.const 80) (i32.const 13))
                (i32.const {trailers})))"#
        )
    }
}

/// What the guest said in a log, in order: `headers`, `body 0008 end`, `release`.
#[must_use]
pub fn seen(log: &str) -> Vec<String> {
    let lines = log.lines().filter_map(|line| line.split_once("saw: "));
    let words = lines.map(|(_, rest)| rest.split(" filter=").next().unwrap_or(rest).trim());
    words.map(str::to_owned).collect()
}
