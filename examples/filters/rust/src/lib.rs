//! The example filter in Rust. What it does is said in `../README.md`.

use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use serde::Deserialize;
use serde_json::{Map, Value};

const CALL_TIMEOUT: Duration = Duration::from_secs(1);

proxy_wasm::main! {{
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::<Plugin>::default());
}}

#[derive(Default, Deserialize)]
struct Settings {
    header: String,
    value: String,
    mask: String,
    upstream: String,
}

/// One configuration. A VM may have several: the proxy makes a context for each.
#[derive(Default)]
struct Plugin {
    settings: Rc<Settings>,
}

impl Context for Plugin {}

impl RootContext for Plugin {
    fn on_configure(&mut self, _size: usize) -> bool {
        let config = self.get_plugin_configuration().unwrap_or_default();
        match serde_json::from_slice(&config) {
            Ok(settings) => self.settings = Rc::new(settings),
            Err(error) => {
                log::error!("configuration: {error}");
                return false;
            }
        }
        true
    }

    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let settings = Rc::clone(&self.settings);
        Some(Box::new(Stream { settings }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

struct Stream {
    settings: Rc<Settings>,
}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        let settings = Rc::clone(&self.settings);
        self.add_http_request_header(&settings.header, &settings.value);
        if !end_of_stream {
            // The body will have another length.
            self.set_http_request_header("content-length", None);
        }
        // As bytes: the call for texts panics on a value that is not UTF-8, which a client may send.
        let path = self
            .get_http_request_header_bytes(":path")
            .unwrap_or_default();
        let path = String::from_utf8_lossy(&path);
        let headers = vec![
            (":method", "GET"),
            (":path", "/check"),
            (":authority", &settings.upstream),
            ("x-path", &path),
        ];
        let sent = self.dispatch_http_call(&settings.upstream, headers, None, vec![], CALL_TIMEOUT);
        if sent.is_err() {
            self.send_http_response(503, vec![], Some(b"no policy service\n"));
        }
        Action::Pause
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        if !end_of_stream {
            return Action::Pause;
        }
        let body = self.get_http_request_body(0, size).unwrap_or_default();
        if let Ok(mut object) = serde_json::from_slice::<Map<String, Value>>(&body)
            && let Some(value) = object.get_mut(&self.settings.mask)
        {
            *value = "***".into();
            let changed = Value::Object(object).to_string();
            self.set_http_request_body(0, size, changed.as_bytes());
        }
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        self.add_http_response_header(&self.settings.header, &self.settings.value);
        Action::Continue
    }
}

impl Context for Stream {
    fn on_http_call_response(
        &mut self,
        _token: u32,
        _headers: usize,
        _body: usize,
        _trailers: usize,
    ) {
        let allowed = self
            .get_http_call_response_header(":status")
            .is_some_and(|status| status == "200");
        // Nobody but the policy service says who it is.
        let user = self.get_http_call_response_header_bytes("x-user");
        self.set_http_request_header_bytes("x-user", user.as_deref());
        if allowed {
            self.resume_http_request();
        } else {
            self.send_http_response(403, vec![], Some(b"denied by policy\n"));
        }
    }
}
