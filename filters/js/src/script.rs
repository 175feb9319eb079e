//! A loaded script: its engine, and the calls into it.

use std::cell::RefCell;
use std::path::Path;

use boa_engine::object::JsObject;
use boa_engine::{Context, JsError, JsResult, JsString, JsValue, Source, js_string};
use serde_json::Value;

use crate::natives::{self, Turn};

const PRELUDE: &str = include_str!("prelude.js");

/// Depth of calls: a script that recurses without end gets an exception, long before the stack of the VM is at its end.
const RECURSION_MAX: usize = 200;

/// The functions that a script may define.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    RequestHeaders,
    RequestBody,
    ResponseHeaders,
    ResponseBody,
    Log,
}

const PHASES: [(Phase, &str); 5] = [
    (Phase::RequestHeaders, "onRequestHeaders"),
    (Phase::RequestBody, "onRequestBody"),
    (Phase::ResponseHeaders, "onResponseHeaders"),
    (Phase::ResponseBody, "onResponseBody"),
    (Phase::Log, "onLog"),
];

impl Phase {
    fn function(self) -> JsString {
        let (_, name) = PHASES[self as usize];
        JsString::from(name)
    }
}

/// What a call into the script asked for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) replied: bool,
    /// Callouts that were sent.
    pub(crate) calls: usize,
}

pub(crate) struct Script {
    context: RefCell<Context>,
    /// Of the prelude.
    open: JsObject,
    run: JsObject,
    answer: JsObject,
    defined: Vec<Phase>,
}

impl Script {
    /// Evaluates a script. Its errors name `name` and the line.
    pub(crate) fn load(name: &str, text: &str, settings: &Value) -> Result<Self, String> {
        let mut context = Context::default();
        context
            .runtime_limits_mut()
            .set_recursion_limit(RECURSION_MAX);
        context.insert_data(Turn::default());
        let prelude = prelude(&mut context, settings).map_err(|error| told(&error))?;
        let source = Source::from_bytes(text).with_path(Path::new(name));
        context.eval(source).map_err(|error| told(&error))?;
        context.run_jobs().map_err(|error| told(&error))?;
        let (defined, [open, run, answer]) =
            functions(&mut context, &prelude).map_err(|error| told(&error))?;
        if defined.is_empty() {
            let names: Vec<_> = PHASES.iter().map(|(_, name)| *name).collect();
            return Err(format!("{name} defines none of {}", names.join(", ")));
        }
        Ok(Self {
            context: RefCell::new(context),
            open,
            run,
            answer,
            defined,
        })
    }

    pub(crate) fn defines(&self, phase: Phase) -> bool {
        self.defined.contains(&phase)
    }

    /// The object that the script gets for an exchange.
    pub(crate) fn open(&self) -> Result<JsValue, String> {
        let context = &mut *self.context.borrow_mut();
        self.open
            .call(&JsValue::undefined(), &[], context)
            .map_err(|error| told(&error))
    }

    /// Runs a phase, if the script defines it.
    pub(crate) fn run(&self, phase: Phase, exchange: &JsValue) -> Result<Asked, String> {
        if !self.defines(phase) {
            return Ok(Asked::default());
        }
        self.call(&self.run, &[phase.function().into(), exchange.clone()])
    }

    /// Hands over the answer of a callout.
    pub(crate) fn answer(&self, exchange: &JsValue, token: u32) -> Result<Asked, String> {
        self.call(&self.answer, &[exchange.clone(), token.into()])
    }

    fn call(&self, function: &JsObject, args: &[JsValue]) -> Result<Asked, String> {
        let context = &mut *self.context.borrow_mut();
        let outcome = function
            .call(&JsValue::undefined(), args, context)
            .and_then(|_| context.run_jobs());
        let turn: &Turn = context.get_data().expect("put there by `load`");
        let asked = Asked {
            replied: turn.replied.take(),
            calls: turn.calls.take(),
        };
        let failed = turn.failed.take();
        match (outcome, failed) {
            (Ok(()), None) => Ok(asked),
            (Err(error), _) => Err(told(&error)),
            (Ok(()), Some(error)) => Err(error),
        }
    }
}

/// Evaluates the prelude: an object with what this file calls.
fn prelude(context: &mut Context, settings: &Value) -> JsResult<JsObject> {
    let source = Source::from_bytes(PRELUDE).with_path(Path::new("prelude.js"));
    let make = context.eval(source)?.to_object(context)?;
    let host = natives::host(context);
    let settings = JsValue::from_json(settings, context)?;
    make.call(&JsValue::undefined(), &[host.into(), settings], context)?
        .to_object(context)
}

fn functions(context: &mut Context, prelude: &JsObject) -> JsResult<(Vec<Phase>, [JsObject; 3])> {
    let mut defined = Vec::new();
    for (phase, name) in PHASES {
        let value = context.global_object().get(JsString::from(name), context)?;
        if value.is_callable() {
            defined.push(phase);
        }
    }
    let mut named = |name: JsString| prelude.get(name, context)?.to_object(context);
    let functions = [
        named(js_string!("open"))?,
        named(js_string!("run"))?,
        named(js_string!("answer"))?,
    ];
    Ok((defined, functions))
}

/// With the places in the script where it came from, innermost first.
fn told(error: &JsError) -> String {
    error.to_string()
}
