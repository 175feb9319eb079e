//! The demo's origin: says what it was asked, so that one sees what the chain changed.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use serde_json::json;

use crate::admin::Endpoint;

const PAGE: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>Portcullis demo</title>
<h1>You came through the gate</h1>
<p>This page is the origin's. Any other path answers with what the origin saw, as JSON.</p>
</html>
";

/// Starts the origin on a thread of its own, at a port the system chooses, until the process ends.
///
/// # Errors
/// No port, or no thread.
pub(super) fn start() -> io::Result<SocketAddr> {
    let endpoint = Endpoint::bind((Ipv4Addr::LOCALHOST, 0).into())?;
    let address = endpoint.address();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    thread::Builder::new()
        .name("demo-origin".to_owned())
        .spawn(move || {
            runtime.block_on(endpoint.serve(|request| {
                let answer = answer(&request);
                async move { answer }
            }))
        })?;
    Ok(address)
}

fn answer<B>(request: &Request<B>) -> Response<Full<Bytes>> {
    let (kind, body) = match request.uri().path() {
        "/" => ("text/html; charset=utf-8", PAGE.to_owned()),
        _ => ("application/json", echo(request)),
    };
    let mut response = Response::new(Full::from(body));
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

fn echo<B>(request: &Request<B>) -> String {
    let mut headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in request.headers() {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.entry(name.as_str()).or_default().push(value);
    }
    let headers: BTreeMap<&str, String> = headers
        .into_iter()
        .map(|(name, values)| (name, values.join(", ")))
        .collect();
    let seen = json!({
        "method": request.method().as_str(),
        "path": request.uri().to_string(),
        "headers": headers,
    });
    format!("{seen:#}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_tells_what_it_saw() {
        let request = Request::put("/a?b=c")
            .header("x-a", "1")
            .header("x-a", "2")
            .body(())
            .expect("request");
        let seen: serde_json::Value = serde_json::from_str(&echo(&request)).expect("JSON");
        assert_eq!(
            seen,
            json!({ "method": "PUT", "path": "/a?b=c", "headers": { "x-a": "1, 2" } })
        );
        let page = answer(&Request::get("/").body(()).expect("request"));
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    }
}
