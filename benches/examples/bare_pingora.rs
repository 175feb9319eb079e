//! The floor of every comparison: Pingora with no code of ours but the choice of the origin.
//!
//! Its settings are those of Portcullis: one worker thread, no work stealing, HTTP/2 in clear text by prior knowledge.
//!
//! Usage: `bare_pingora LISTEN ORIGIN`, for example `bare_pingora 127.0.0.1:8080 127.0.0.1:9000`.

use std::net::SocketAddr;
use std::process::ExitCode;

use async_trait::async_trait;
use pingora_core::Result;
use pingora_core::apps::HttpServerOptions;
use pingora_core::server::Server;
use pingora_core::server::configuration::ServerConf;
use pingora_core::upstreams::peer::HttpPeer;
use pingora_proxy::{ProxyHttp, Session, http_proxy_service};

struct Bare {
    origin: SocketAddr,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.origin, false, String::new())))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, origin] = arguments.as_slice() else {
        eprintln!("usage: bare_pingora LISTEN ORIGIN");
        return ExitCode::from(2);
    };
    let origin = match origin.parse() {
        Ok(origin) => origin,
        Err(error) => {
            eprintln!("bare_pingora: origin {origin}: {error}");
            return ExitCode::from(2);
        }
    };
    serve(listen, origin)
}

fn serve(listen: &str, origin: SocketAddr) -> ! {
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Bare { origin });
    if let Some(proxy) = service.app_logic_mut() {
        let mut options = HttpServerOptions::default();
        options.h2c = true;
        proxy.server_options = Some(options);
    }
    service.add_tcp(listen);
    server.add_service(service);
    server.run_forever()
}
