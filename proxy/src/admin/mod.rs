//! The admin address: `GET /healthz /readyz /config /generation` and `POST /reload`, in JSON.
//!
//! Whoever reaches it can read the configuration and reload it. On loopback every web page open in a local browser can
//! send requests too, hence the allow-list of Host values (no DNS rebinding) and the refusal of cross-site requests; on
//! any other address every request needs the token. Nothing sends CORS headers, so no other site reads an answer.

mod access;
pub(crate) mod endpoint;
#[cfg(test)]
mod tests;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use portcullis_config::Problems;
use portcullis_config::model::Admin;
use serde_json::{Value, json};

use access::Access;
pub use endpoint::Endpoint;

/// Bytes of a request body. None is read for its content.
const BODY_BYTES_MAX: usize = 64 * 1024;

/// From the end of a request's head to the end of its body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What the admin address shows and does.
pub trait AdminApi: Send + Sync + 'static {
    /// Number of the generation in force.
    fn generation(&self) -> u64;

    /// Whether new requests should be sent here: false before the first generation serves and while draining.
    fn ready(&self) -> bool;

    /// The configuration in force, secrets redacted.
    fn config(&self) -> Value;

    /// Reloads and answers when done: the new generation's number, or why the old one stays.
    fn reload(&self) -> BoxFuture<'static, Result<u64, Problems>>;
}

/// Serves the admin address until the future is dropped.
pub async fn serve(endpoint: Endpoint, admin: &Admin, api: Arc<dyn AdminApi>) -> Infallible {
    let access = Arc::new(Access::new(endpoint.address(), admin));
    endpoint
        .serve(move |request| {
            let (access, api) = (Arc::clone(&access), Arc::clone(&api));
            async move { answer(request, &access, &*api).await }
        })
        .await
}

type Answer = Response<Full<Bytes>>;

async fn answer<B>(request: Request<B>, access: &Access, api: &dyn AdminApi) -> Answer
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let (head, body) = request.into_parts();
    if let Err(denied) = access.check(&head) {
        let mut refused = error(denied.status, &denied.message);
        if denied.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"portcullis admin\"");
            refused.headers_mut().insert(WWW_AUTHENTICATE, scheme);
        }
        return refused;
    }
    let allowed: &[Method] = match head.uri.path() {
        "/healthz" | "/readyz" | "/config" | "/generation" => &[Method::GET, Method::HEAD],
        "/reload" => &[Method::POST],
        _ => {
            let paths = "the paths are /healthz, /readyz, /config, /generation and /reload";
            return error(StatusCode::NOT_FOUND, paths);
        }
    };
    if !allowed.contains(&head.method) {
        return wrong_method(allowed);
    }
    if let Err(refused) = read(body).await {
        return refused;
    }
    match head.uri.path() {
        "/healthz" => answer_json(StatusCode::OK, &json!({ "status": "ok" })),
        "/readyz" => ready(api.ready()),
        "/config" => answer_json(StatusCode::OK, &api.config()),
        "/generation" => answer_json(StatusCode::OK, &json!({ "generation": api.generation() })),
        _ => reloaded(api.reload().await),
    }
}

fn ready(ready: bool) -> Answer {
    let status = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    answer_json(status, &json!({ "ready": ready }))
}

fn reloaded(result: Result<u64, Problems>) -> Answer {
    match result {
        Ok(generation) => answer_json(StatusCode::OK, &json!({ "generation": generation })),
        Err(problems) => {
            let problems = json!({ "problems": problems });
            answer_json(StatusCode::UNPROCESSABLE_ENTITY, &problems)
        }
    }
}

/// Reads a body to its end and forgets it, so that the connection can be used again.
async fn read<B>(body: B) -> Result<(), Answer>
where
    B: hyper::body::Body<Data = Bytes>,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let body = std::pin::pin!(Limited::new(body, BODY_BYTES_MAX));
    match tokio::time::timeout(BODY_TIMEOUT, body.collect()).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(_)) => Err(error(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the request body is too large or broken",
        )),
        Err(_) => Err(error(
            StatusCode::REQUEST_TIMEOUT,
            "the request body did not come in time",
        )),
    }
}

fn wrong_method(allowed: &[Method]) -> Answer {
    let names: Vec<&str> = allowed.iter().map(Method::as_str).collect();
    let names = names.join(", ");
    let mut refused = error(
        StatusCode::METHOD_NOT_ALLOWED,
        &format!("this path takes {names}"),
    );
    let names = HeaderValue::try_from(names).expect("method names are tokens");
    refused.headers_mut().insert(ALLOW, names);
    refused
}

fn error(status: StatusCode, message: &str) -> Answer {
    answer_json(status, &json!({ "error": message }))
}

fn answer_json(status: StatusCode, value: &Value) -> Answer {
    let mut response = Response::new(Full::from(format!("{value}\n")));
    *response.status_mut() = status;
    for (name, value) in [
        (CONTENT_TYPE, "application/json"),
        (CACHE_CONTROL, "no-store"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}
