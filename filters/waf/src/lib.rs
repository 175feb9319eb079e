//! Guest `waf`: runs SecLang rules on requests and responses, and refuses what they refuse.
//!
//! Everything that decides is in the rule engine and in [`exchange`]; this file and [`proxy`] only ask the proxy and tell
//! it. Standard proxy-wasm 0.2.1 throughout, so it runs in Envoy too.

pub mod exchange;
pub mod head;
pub mod proxy;
pub mod report;
pub mod waf;

use std::rc::Rc;

use exchange::{Exchange, Flow};
use portcullis_waf_policy::files::Bundle;
use proxy::{Counters, Proxy};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, BufferType, ContextType, LogLevel};
use waf::{Engines, Waf};

#[cfg(target_family = "wasm")]
proxy_wasm::main! {{ start(); }}

/// What the module does when it is loaded.
pub fn start() {
    proxy_wasm::set_log_level(LogLevel::Info);
    proxy_wasm::set_root_context(|_| Box::new(Firewall { waf: None }));
}

/// Tells the host that VMs may begin from a snapshot, so that rules are compiled once and not for each worker. Nothing is
/// drawn anew: no secret and no decision here depends on chance, and the tables that use a random seed have no names of
/// strangers in them.
#[allow(
    unsafe_code,
    reason = "an export by name; no other function is called so"
)]
#[unsafe(no_mangle)]
pub extern "C" fn portcullis_reseed() {}

thread_local! {
    // Of all configurations of this VM.
    static ENGINES: Engines = Engines::default();
    static COUNTERS: Counters = Counters::default();
}

/// One configuration: a plugin, or a route's override of one.
struct Firewall {
    waf: Option<Rc<Waf>>,
}

impl Context for Firewall {}

impl RootContext for Firewall {
    fn on_configure(&mut self, _size: usize) -> bool {
        let configuration = self.get_plugin_configuration().unwrap_or_default();
        let files = || Bundle::parse(&self.get_vm_configuration().unwrap_or_default());
        let waf = ENGINES.with(|engines| Waf::new(&configuration, files, engines));
        if let Err(problems) = &waf {
            problems
                .iter()
                .for_each(|problem| log::error!("waf: {problem}"));
        }
        self.waf = waf.ok().map(Rc::new);
        self.waf.is_some()
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    // None without a good configuration: the SDK stops the VM then, so that no request passes unseen.
    fn create_http_context(&self, _id: u32) -> Option<Box<dyn HttpContext>> {
        let waf = self.waf.clone()?;
        Some(Box::new(Stream {
            exchange: Exchange::new(waf.clone()),
            waf,
            read: 0,
        }))
    }
}

struct Stream {
    exchange: Exchange,
    waf: Rc<Waf>,
    /// Bytes of the present message's body that the rules have.
    read: usize,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _count: usize, end: bool) -> Action {
        if !self.exchange.has_rules() {
            return Action::Continue;
        }
        let head = Proxy.request_head();
        let flow = self
            .exchange
            .request_head(Proxy.parties(), &head, end, &Proxy);
        if self.exchange.wants_plain_response() {
            Proxy.refuse_compression();
        }
        match self.act(flow) {
            // The host holds the head while the body is read, by its own setting or by this answer.
            Action::Pause if self.exchange.reads_request() && !self.waf.policy.pause_headers => {
                Action::Continue
            }
            action => action,
        }
    }

    fn on_http_request_body(&mut self, size: usize, end: bool) -> Action {
        if !self.exchange.reads_request() {
            return Action::Continue;
        }
        let flow = self.body(BufferType::HttpRequestBody, size, end);
        self.act(flow)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let flow = self.exchange.request_body(&[], true, &Proxy);
        self.act(flow)
    }

    fn on_http_response_headers(&mut self, _count: usize, end: bool) -> Action {
        if !self.exchange.has_rules() {
            return Action::Continue;
        }
        self.read = 0;
        let (status, headers) = Proxy.response_head();
        let flow = self
            .exchange
            .response_head(status, &Proxy.protocol(), &headers, end, &Proxy);
        let action = self.act(flow);
        if action == Action::Continue && !end {
            Proxy.release_response();
        }
        action
    }

    fn on_http_response_body(&mut self, size: usize, end: bool) -> Action {
        if !self.exchange.reads_response() {
            return Action::Continue;
        }
        let flow = self.body(BufferType::HttpResponseBody, size, end);
        self.act(flow)
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        let flow = self.exchange.response_body(&[], true, &Proxy);
        self.act(flow)
    }

    fn on_log(&mut self) {
        if self.exchange.has_rules() && self.exchange.is_unseen() {
            // The proxy refused the request before any filter saw it: it is only told of.
            if let Some(head) = Proxy.raw_head() {
                let _too_late = self
                    .exchange
                    .request_head(Proxy.parties(), &head, true, &Proxy);
            }
        }
        let report = self.exchange.finish(&Proxy);
        COUNTERS.with(|counters| counters.publish(&report));
    }
}

impl Stream {
    /// Shows the rules what has come of a body.
    fn body(&mut self, buffer: BufferType, size: usize, end: bool) -> Flow {
        let exchange = &mut self.exchange;
        let is_request = matches!(buffer, BufferType::HttpRequestBody);
        let mut tell = |more: &[u8], end| {
            if is_request {
                exchange.request_body(more, end, &Proxy)
            } else {
                exchange.response_body(more, end, &Proxy)
            }
        };
        let mut flow = Flow::Hold;
        let mut ended = false;
        Proxy.body(buffer, self.read, size, |more, is_last| {
            ended = end && is_last;
            flow = tell(more, ended);
            flow == Flow::Hold
        });
        self.read = size;
        if end && !ended && flow == Flow::Hold {
            flow = tell(&[], true);
        }
        flow
    }

    /// Logs before anything goes on: whoever reads the log finds there what a client already knows.
    fn act(&mut self, flow: Flow) -> Action {
        let report = if self.exchange.is_decided() {
            self.exchange.finish(&Proxy)
        } else {
            self.exchange.report()
        };
        COUNTERS.with(|counters| counters.publish(&report));
        match flow {
            Flow::Continue => Action::Continue,
            Flow::Hold => Action::Pause,
            Flow::Reply(denial) => {
                Proxy.reply(&denial);
                Action::Pause
            }
            Flow::Drop => {
                Proxy.close();
                Action::Pause
            }
        }
    }
}
