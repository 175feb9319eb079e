//! Guest `rate-limit`: counts requests by client address, header or claim, over all workers, and answers 429.
//!
//! Everything that decides is in the modules below, without a call of the proxy in them; this file and `proxy` only
//! ask the proxy and tell it. Standard proxy-wasm 0.2.1 throughout, so it runs in Envoy too.

pub mod address;
pub mod decide;
pub mod fields;
pub mod gcra;
pub mod key;
pub mod policy;
pub mod proxy;

use decide::{Flow, Verdict};
use policy::Policy;
use proxy::{Counters, Proxy};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use std::rc::Rc;

#[cfg(target_family = "wasm")]
proxy_wasm::main! {{ start(); }}

/// What the module does when it is loaded.
pub fn start() {
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Limiter { configured: None }));
}

/// One configuration: a plugin, or a route's override of one.
struct Limiter {
    configured: Option<(Rc<Policy>, Counters)>,
}

impl Context for Limiter {}

impl RootContext for Limiter {
    fn on_configure(&mut self, _size: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        let policy = Policy::parse(&configuration);
        if let Err(problems) = &policy {
            problems
                .iter()
                .for_each(|problem| log::error!("rate-limit: {problem}"));
        }
        self.configured = policy
            .ok()
            .map(|policy| (Rc::new(policy), Counters::define()));
        self.configured.is_some()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    // None without a good configuration: the SDK stops the VM then, so that no request passes unlimited.
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let (policy, counters) = self.configured.clone()?;
        Some(Box::new(Exchange {
            policy,
            counters,
            fields: Vec::new(),
        }))
    }
}

struct Exchange {
    policy: Rc<Policy>,
    counters: Counters,
    /// For the response; stays empty when the response is our own, which has them already.
    fields: Vec<(&'static str, String)>,
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        let Verdict { event, flow } =
            decide::decide(&self.policy, &Proxy, proxy::now(), &mut Proxy);
        self.counters.count(event);
        match flow {
            Flow::Continue(fields) => {
                self.fields = fields;
                Action::Continue
            }
            Flow::Reply(reply) => {
                proxy::send(&reply);
                Action::Pause
            }
        }
    }

    fn on_http_response_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        for (name, value) in std::mem::take(&mut self.fields) {
            self.add_http_response_header(name, &value);
        }
        Action::Continue
    }
}
