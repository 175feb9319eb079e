//! Guest `auth`: lets a request pass by API key or JSON Web Token, and answers 401.
//!
//! Everything that decides is in the modules below, without a call of the proxy in them; this file and `proxy` only
//! ask the proxy and tell it. Standard proxy-wasm 0.2.1 throughout, so it runs in Envoy too.

pub mod api_keys;
pub mod claims;
pub mod credentials;
pub mod decide;
pub mod jwks;
pub mod policy;
pub mod proxy;
pub mod reply;
pub mod request;
pub mod token;
pub mod verification_key;

use decide::Decision;
use policy::Policy;
use proxy::Counters;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel};
use std::rc::Rc;

#[cfg(target_family = "wasm")]
proxy_wasm::main! {{ start(); }}

/// What the module does when it is loaded.
pub fn start() {
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Gate { configured: None }));
}

/// One configuration: a plugin, or a route's override of one.
struct Gate {
    configured: Option<(Rc<Policy>, Counters)>,
}

impl Context for Gate {}

impl RootContext for Gate {
    fn on_configure(&mut self, _size: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        let policy = Policy::parse(&configuration);
        if let Err(problems) = &policy {
            problems
                .iter()
                .for_each(|problem| log::error!("auth: {problem}"));
        }
        self.configured = policy
            .ok()
            .map(|policy| (Rc::new(policy), Counters::define()));
        self.configured.is_some()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    // None without a good configuration: the SDK stops the VM then, so that no request passes unchecked.
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let (policy, counters) = self.configured.clone()?;
        Some(Box::new(Exchange { policy, counters }))
    }
}

struct Exchange {
    policy: Rc<Policy>,
    counters: Counters,
}

impl Context for Exchange {}

impl HttpContext for Exchange {
    fn on_http_request_headers(&mut self, _count: usize, _end_of_stream: bool) -> Action {
        match decide::decide(&self.policy, &proxy::request(), proxy::now()) {
            Decision::Pass(pass) => {
                self.counters.count_pass(pass.authenticated);
                proxy::apply(&pass);
                Action::Continue
            }
            Decision::Deny(refusal, reply) => {
                self.counters.count_denied();
                log::info!("auth: denied: {refusal}");
                proxy::send(&reply);
                Action::Pause
            }
        }
    }
}
