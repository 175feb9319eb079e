//! The built-in filter `js`: a proxy-wasm module that runs a script in JavaScript over the phases of an exchange.
//! docs/guide/javascript.md says what a script finds.

mod natives;
mod script;

use std::cell::Cell;
use std::rc::Rc;

use boa_engine::JsValue;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde::Deserialize;
use serde_json::Value;

use script::{Asked, Phase, Script};

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Debug);
    proxy_wasm::set_root_context(|_| Box::<Plugin>::default());
}}

/// The plugin's configuration.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    script: String,
    /// What errors call it.
    #[serde(default = "script_name")]
    name: String,
    #[serde(default)]
    settings: Value,
    #[serde(default)]
    on_error: OnError,
}

fn script_name() -> String {
    "script.js".to_owned()
}

/// What an exception of the script does to its exchange.
#[derive(Clone, Copy, Default, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum OnError {
    /// 500.
    #[default]
    Deny,
    /// The exchange goes on as it is.
    Skip,
}

#[derive(Default)]
struct Plugin {
    loaded: Option<(Rc<Script>, OnError)>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, _size: usize) -> bool {
        let config = self.get_plugin_configuration().unwrap_or_default();
        let loaded = serde_json::from_slice(&config)
            .map_err(|error| format!("configuration: {error}"))
            .and_then(|settings: Settings| {
                let script = Script::load(&settings.name, &settings.script, &settings.settings)?;
                Ok((Rc::new(script), settings.on_error))
            });
        match loaded {
            Ok(loaded) => self.loaded = Some(loaded),
            Err(error) => {
                log::error!("{error}");
                return false;
            }
        }
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let (script, on_error) = self.loaded.as_ref()?;
        Some(Box::new(Stream {
            exchange: script
                .open()
                .inspect_err(|error| log::error!("{error}"))
                .ok()?,
            script: Rc::clone(script),
            on_error: *on_error,
            half: Half::Request,
            held: [false; 2],
            calls: Cell::new(0),
            over: Cell::new(false),
        }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Half {
    Request,
    Response,
}

struct Stream {
    script: Rc<Script>,
    /// What the script gets.
    exchange: JsValue,
    on_error: OnError,
    half: Half,
    /// Whether the body of each half waits for its end.
    held: [bool; 2],
    /// Callouts without an answer.
    calls: Cell<usize>,
    /// The script has replied, or we have for it: nothing more is asked of it but its log.
    over: Cell<bool>,
}

impl Stream {
    fn run(&self, phase: Phase) -> Action {
        if self.over.get() && phase != Phase::Log {
            return Action::Continue;
        }
        let asked = self.script.run(phase, &self.exchange);
        self.act(asked);
        if self.over.get() || self.calls.get() > 0 {
            Action::Pause
        } else {
            Action::Continue
        }
    }

    fn act(&self, asked: Result<Asked, String>) {
        match asked {
            Ok(asked) => {
                self.calls.set(self.calls.get() + asked.calls);
                if asked.replied {
                    self.over.set(true);
                }
            }
            Err(error) => {
                log::error!("{error}");
                if self.on_error == OnError::Deny && !self.over.replace(true) {
                    self.send_http_response(500, vec![], Some(b"the script failed\n"));
                }
            }
        }
    }

    /// Holds a body until it is whole; then the script sees it, once.
    fn body(&mut self, phase: Phase, end_of_stream: bool) -> Action {
        if self.over.get() || !self.script.defines(phase) {
            return Action::Continue;
        }
        let half = self.half as usize;
        self.held[half] = !end_of_stream;
        if end_of_stream {
            self.run(phase)
        } else {
            Action::Pause
        }
    }

    /// Trailers end a body too.
    fn trailers(&mut self, phase: Phase) -> Action {
        if std::mem::take(&mut self.held[self.half as usize]) {
            self.run(phase)
        } else {
            Action::Continue
        }
    }
}

impl Context for Stream {
    fn on_http_call_response(&mut self, token: u32, _: usize, _: usize, _: usize) {
        self.calls.set(self.calls.get().saturating_sub(1));
        let over = self.over.get();
        let asked = self.script.answer(&self.exchange, token);
        if over {
            return;
        }
        self.act(asked);
        if self.over.get() || self.calls.get() > 0 {
            return;
        }
        match self.half {
            Half::Request => self.resume_http_request(),
            Half::Response => self.resume_http_response(),
        }
    }
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        if !end_of_stream && self.script.defines(Phase::RequestBody) {
            // The body may get another length.
            self.set_http_request_header("content-length", None);
        }
        self.run(Phase::RequestHeaders)
    }

    fn on_http_request_body(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.body(Phase::RequestBody, end_of_stream)
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        self.trailers(Phase::RequestBody)
    }

    fn on_http_response_headers(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.half = Half::Response;
        if !end_of_stream && self.script.defines(Phase::ResponseBody) {
            self.set_http_response_header("content-length", None);
        }
        self.run(Phase::ResponseHeaders)
    }

    fn on_http_response_body(&mut self, _: usize, end_of_stream: bool) -> Action {
        self.body(Phase::ResponseBody, end_of_stream)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        self.trailers(Phase::ResponseBody)
    }

    fn on_log(&mut self) {
        self.run(Phase::Log);
    }
}
