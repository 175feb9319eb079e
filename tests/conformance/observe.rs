//! What client, origin and callee saw of a case, as one line of text.

use std::borrow::Cow;
use std::fmt::Write;
use std::future::pending;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use futures::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Frame;
use portcullis_tests::grpc::EchoService;
use portcullis_tests::origin::{Body, full};
use portcullis_tests::{Answer, Client, Config, Origin, RawClient, RawOrigin, Recorded};
use tokio::net::TcpSocket;
use tokio::time::timeout;

use crate::cases::{Ask, Case, TCP};
use crate::host::Host;

/// How long an answer may take before it counts as none: longer than any pause of a case.
const ANSWER: Duration = Duration::from_secs(15);

/// How often a case asks again until what it waits for has happened, and how long between.
const TRIES: usize = 500;
const BETWEEN: Duration = Duration::from_millis(20);

/// Headers that begin with `x-` and are the proxies' own, or were sent only to steer a case.
const NOISE: [&str; 5] = [
    "x-do",
    "x-request-id",
    "x-envoy-",
    "x-forwarded-",
    "x-portcullis-",
];

/// Everything behind the proxy. One set for each proxy: what arrives is its own.
pub(crate) struct Backends {
    /// Echoes; its path chooses more.
    origin: Origin,
    /// Answers callouts with the status of their path.
    callee: Origin,
    silent: Origin,
    /// Echoes bytes, and other ones in capitals.
    bytes: RawOrigin,
    other: RawOrigin,
    echo: EchoService,
    /// Bound, so that the port stays ours, but nobody listens there.
    nobody: TcpSocket,
}

impl Backends {
    pub(crate) async fn start() -> Self {
        let callee = |request: &Recorded| {
            let status: u16 = request
                .target
                .trim_start_matches('/')
                .parse()
                .unwrap_or(200);
            let asked = request.header("x-asked").unwrap_or("-");
            let response = Response::builder().status(status).header("x-callee", "1");
            response
                .body(full(format!("{asked} {}", request.length)))
                .expect("response")
        };
        let nobody = TcpSocket::new_v4().expect("a socket");
        nobody
            .bind((Ipv4Addr::LOCALHOST, 0).into())
            .expect("a port");
        Self {
            origin: Origin::answering(answer).await,
            callee: Origin::answering(callee).await,
            silent: Origin::handling(|_| pending()).await,
            bytes: RawOrigin::echo().await,
            other: RawOrigin::start(|mut wire| async move {
                let bytes = wire.rest().await.to_ascii_uppercase();
                let _ = wire.try_send(bytes).await;
            })
            .await,
            echo: EchoService::start().await,
            nobody,
        }
    }

    pub(crate) fn upstreams(&self, config: Config) -> Config {
        config
            .origin(self.origin.address())
            .upstream("callee", self.callee.address())
            .upstream("silent", self.silent.address())
            .upstream("nobody", self.nobody.local_addr().expect("a port"))
            .upstream("bytes", self.bytes.address())
            .upstream("other", self.other.address())
            .upstream_h2("echo", self.echo.origin().address())
            .upstream_h2("nobody-h2", self.nobody.local_addr().expect("a port"))
            .upstream("h2", self.origin.address())
            .set("/upstreams/h2/protocol", "h2".into())
    }

    pub(crate) async fn observe(&self, host: &Host, case: &Case, index: usize) -> String {
        let mut lines = Vec::new();
        for ask in &case.asks {
            lines.push(self.ask(host, ask, index).await);
        }
        for text in case.logs {
            lines.push(logged(host, text).await);
        }
        lines.join(" ; ")
    }

    /// One request, and again until the origin has seen what is waited for.
    async fn ask(&self, host: &Host, ask: &Ask, index: usize) -> String {
        let mut seen = self.once(host, ask, index).await;
        let Some(until) = ask.until else {
            return seen;
        };
        for _ in 0..TRIES {
            if seen.contains(until) {
                break;
            }
            tokio::time::sleep(BETWEEN).await;
            seen = self.once(host, ask, index).await;
        }
        seen
    }

    async fn once(&self, host: &Host, ask: &Ask, index: usize) -> String {
        let name = Case::route(index);
        if ask.method == TCP {
            return self.connection(host.listener(&name), ask).await;
        }
        let address = host.address(&name);
        let (origin, callee) = (self.origin.requests().len(), self.callee.requests().len());
        let request = ask.request(&format!("{name}.test"));
        let exchange = async {
            let mut client = if ask.h2 {
                Client::h2c(address).await
            } else {
                Client::h1(address).await
            };
            client.try_send(request).await
        };
        let mut line = String::new();
        match timeout(ANSWER, exchange).await {
            Ok(Ok(answer)) => write!(line, "client {}", told(&answer)),
            // How a connection breaks is the protocol's affair: reset, closed, or closed in a body.
            Ok(Err(_)) => write!(line, "client: broken off"),
            Err(_) => write!(line, "client: no answer"),
        }
        .expect("text");
        for (who, requests) in [
            ("origin", &self.origin.requests()[origin..]),
            ("callee", &self.callee.requests()[callee..]),
        ] {
            let mut seen: Vec<_> = requests.iter().map(arrived).collect();
            // Callouts of one callback have no order among them.
            seen.sort();
            for request in seen {
                write!(line, ", {who} {request}").expect("text");
            }
        }
        line
    }
}

impl Backends {
    /// What a client gets that sends all it has and then its end, and what each origin got of it.
    async fn connection(&self, address: SocketAddr, ask: &Ask) -> String {
        let origins = [("origin", &self.bytes), ("other", &self.other)];
        let before = origins.map(|(_, origin)| origin.bytes().len());
        let exchange = async {
            let mut wire = RawClient::try_connect(address).await.ok()?;
            wire.try_send(ask.body.concat()).await.ok()?;
            wire.try_finish().await.ok()?;
            Some(wire.rest().await)
        };
        let mut line = match timeout(ANSWER, exchange).await {
            Ok(answer) => format!("client {:?}", lossy(&answer.unwrap_or_default())),
            Err(_) => "client: no end".to_owned(),
        };
        for ((who, origin), before) in origins.into_iter().zip(before) {
            let seen = &origin.bytes()[before..];
            if !seen.is_empty() {
                write!(line, ", {who} {:?}", lossy(seen)).expect("text");
            }
        }
        line
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// The origin: `/multi` has a header twice, `/trailers` has trailers, `/large` a long body, `/204` none.
fn answer(request: &Recorded) -> Response<Body> {
    let response = Response::builder().header("x-origin", "1");
    let path = request.target.split('?').next().unwrap_or_default();
    match path {
        "/multi" => response
            .header("x-multi", "a")
            .header("x-multi", "b")
            .body(full(request.body.clone())),
        "/trailers" => response.body(with_trailers(request.body.clone(), &[("x-trailer", "t")])),
        "/large" => response.body(full(vec![b'l'; 100_000])),
        "/204" => response.status(204).body(full("")),
        "/503" => response.status(503).body(full("from the origin")),
        _ => response.body(full(request.body.clone())),
    }
    .expect("response")
}

/// A body in one part, with trailers behind.
pub(crate) fn with_trailers(body: Bytes, trailers: &[(&'static str, &'static str)]) -> Body {
    let trailers: HeaderMap = trailers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
    let frames = [Ok(Frame::data(body)), Ok(Frame::trailers(trailers))];
    StreamBody::new(stream::iter(frames)).boxed_unsync()
}

impl Ask {
    fn request(&self, host: &str) -> Request<Body> {
        let mut request = Request::builder()
            .method(self.method)
            .uri(self.path)
            .header("host", host);
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        let body = match self.body {
            [] => full(""),
            [one] => full(*one),
            parts => {
                let frames: Vec<_> = parts
                    .iter()
                    .map(|part| Ok(Frame::data(Bytes::from(*part))))
                    .collect();
                StreamBody::new(stream::iter(frames)).boxed_unsync()
            }
        };
        let body = if self.trailers.is_empty() {
            body
        } else {
            with_trailers(Bytes::from(self.body.concat()), self.trailers)
        };
        request.body(body).expect("a request")
    }
}

fn told(answer: &Answer) -> String {
    let mut text = answer.status.to_string();
    write_headers(&mut text, &answer.headers);
    // The page that Portcullis makes of an error of its own: its text is not what is compared.
    let page = http::StatusCode::from_u16(answer.status).map(|status| format!("{status}\n"));
    if page.is_ok_and(|page| page.as_bytes() != answer.body) {
        write_body(&mut text, &answer.body);
    }
    write_trailers(&mut text, &answer.trailers);
    text
}

fn arrived(request: &Recorded) -> String {
    let mut text = format!("{} {}", request.method, request.target);
    write_headers(&mut text, &request.headers);
    write_body(&mut text, &request.body);
    write_trailers(&mut text, &request.trailers);
    text
}

/// Headers that begin with `x-`, ordered by name; the values of one in their order.
fn write_headers(text: &mut String, headers: &HeaderMap) {
    let mut names: Vec<_> = headers
        .keys()
        .map(HeaderName::as_str)
        .filter(|name| name.starts_with("x-"))
        .filter(|name| !NOISE.iter().any(|noise| name.starts_with(noise)))
        .collect();
    names.sort_unstable();
    for name in names {
        let values: Vec<_> = headers
            .get_all(name)
            .iter()
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect();
        write!(text, " {name}={}", values.join("|")).expect("text");
    }
}

fn write_body(text: &mut String, body: &[u8]) {
    match body.len() {
        0 => Ok(()),
        1..=64 => write!(text, " {:?}", String::from_utf8_lossy(body)),
        length => write!(text, " {length} bytes"),
    }
    .expect("text");
}

fn write_trailers(text: &mut String, trailers: &HeaderMap) {
    if !trailers.is_empty() {
        text.push_str(" trailers");
        write_headers(text, trailers);
    }
}

/// Whether a line came to be in the proxy's log; that may take a moment.
async fn logged(host: &Host, text: &str) -> String {
    for _ in 0..TRIES / 5 {
        if host.log().contains(text) {
            return format!("logged {text:?}");
        }
        tokio::time::sleep(BETWEEN).await;
    }
    format!("not logged {text:?}")
}
