//! The example filter of each language (`examples/filters`) does what its README says.

use std::net::SocketAddr;

use http::{Request, Response};
use portcullis_tests::origin::{full, parts};
use portcullis_tests::{Client, Config, Filter, Origin, Proxy, artifacts};
use serde_json::{Value, json};

/// Scenarios for every language. One without a toolchain is skipped, with the reason.
macro_rules! in_every_language {
    ($($language:ident),* $(,)?) => {
        $(mod $language {
            #[tokio::test]
            async fn filters() {
                super::filters(stringify!($language)).await;
            }

            #[tokio::test]
            async fn refuses_a_bad_configuration() {
                super::refuses_a_bad_configuration(stringify!($language)).await;
            }
        })*

        /// Every language there is.
        pub(crate) const LANGUAGES: &[&str] = &[$(stringify!($language)),*];
    };
}

in_every_language!(rust, go, c, cpp, assemblyscript, zig);

pub(crate) fn settings() -> Value {
    json!({ "header": "x-tenant", "value": "blue", "mask": "password", "upstream": "policy" })
}

pub(crate) fn filter(language: &str) -> Option<Filter> {
    let module = artifacts::example(language)?;
    Some(Filter::module(module).set("config", settings()))
}

/// Allows whatever is not below `/deny`, and knows everybody as alice.
pub(crate) async fn policy() -> Origin {
    Origin::answering(|request| {
        let denied = request
            .header("x-path")
            .is_none_or(|path| path.starts_with("/deny"));
        let status = if denied { 401 } else { 200 };
        let response = Response::builder().status(status).header("x-user", "alice");
        response.body(full("")).expect("response")
    })
    .await
}

async fn filters(language: &str) {
    let Some(filter) = filter(language) else {
        return;
    };
    let (origin, policy) = (Origin::echo().await, policy().await);
    let proxy = Config::new()
        .origin(origin.address())
        .upstream("policy", policy.address())
        .filter(language, filter.may_call(&["policy"]))
        .start()
        .await;
    check(proxy.address(), &origin, &policy).await;
    check_h2(&proxy, &origin, &policy).await;
}

/// What the README promises, of whatever proxy listens there.
pub(crate) async fn check(proxy: SocketAddr, origin: &Origin, policy: &Origin) {
    check_headers(proxy, origin, policy).await;
    check_bodies(proxy, origin, policy).await;
    check_denial(proxy, origin, policy).await;
}

async fn check_headers(proxy: SocketAddr, origin: &Origin, policy: &Origin) {
    let request = Request::get("/page?a=b")
        .header("x-user", "mallory")
        .body(full(""))
        .expect("request");
    let answer = Client::h1(proxy).await.send(request).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.values("x-tenant"), ["blue"]);
    let asked = policy.next().await;
    assert_eq!(
        (asked.method.as_str(), asked.target.as_str()),
        ("GET", "/check")
    );
    assert_eq!(asked.header("x-path"), Some("/page?a=b"));
    let seen = origin.next().await;
    assert_eq!(seen.values("x-tenant"), ["blue"]);
    assert_eq!(seen.values("x-user"), ["alice"]);
}

async fn check_bodies(proxy: SocketAddr, origin: &Origin, policy: &Origin) {
    let body = r#" { "user": "bob", "password" : {"a": "\"}"}, "nested": {"password": "kept"}, "n": [1, 2.5, null] }"#;
    let masked = json!({ "user": "bob", "password": "***", "nested": { "password": "kept" }, "n": [1, 2.5, null] });
    let (head, tail) = body.split_at(25);
    let (sender, in_parts) = parts();
    let request = Request::post("/login").body(in_parts).expect("request");
    let mut client = Client::h1(proxy).await;
    let (answer, ()) = futures::join!(client.send(request), async {
        for part in [head, tail] {
            let frame = hyper::body::Frame::data(bytes::Bytes::from(part));
            sender.send(Ok(frame)).await.expect("the request is read");
        }
        drop(sender);
    });
    assert_eq!(answer.status, 200);
    let echoed: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(echoed, masked);
    assert_eq!(origin.next().await.body, answer.body);
    policy.next().await;

    // The name of the member is written with an escape; what is no object, or lacks it, stays as it is.
    for (sent, expected) in [
        (r#"{"pass\u0077ord":"secret"}"#, None),
        (r#"{"a" : "password" }"#, Some(())),
        (r#"["password"]"#, Some(())),
        (r#"{"password":"secret""#, Some(())),
        ("password", Some(())),
    ] {
        let answer = Client::h1(proxy).await.post("/login", sent).await;
        match expected {
            Some(()) => assert_eq!(answer.text(), sent),
            None => assert!(!answer.text().contains("secret"), "{}", answer.text()),
        }
        assert_eq!(origin.next().await.body, answer.body);
        policy.next().await;
    }
}

async fn check_denial(proxy: SocketAddr, origin: &Origin, policy: &Origin) {
    let heads = origin.heads();
    let answer = Client::h1(proxy).await.get("/deny/this").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (403, "denied by policy\n")
    );
    assert_eq!(origin.heads(), heads, "the origin saw nothing");
    policy.next().await;
}

/// Many streams wait for their answers at once, and each gets its own.
async fn check_h2(proxy: &Proxy, origin: &Origin, policy: &Origin) {
    let client = proxy.h2().await;
    let paths: Vec<_> = (0..20)
        .map(|n| {
            if n % 3 == 0 {
                format!("/deny/{n}")
            } else {
                format!("/{n}")
            }
        })
        .collect();
    let answers = futures::future::join_all(paths.iter().map(|path| {
        let mut client = client.another();
        async move { client.get(path).await.status }
    }))
    .await;
    for (path, status) in paths.iter().zip(answers) {
        let expected = if path.starts_with("/deny") { 403 } else { 200 };
        assert_eq!(status, expected, "{path}");
        policy.next().await;
        if status == 200 {
            origin.next().await;
        }
    }
}

async fn refuses_a_bad_configuration(language: &str) {
    let Some(filter) = filter(language) else {
        return;
    };
    let origin = Origin::echo().await;
    for config in [json!({ "header": "x-tenant" }), json!("{"), json!("")] {
        let refused = Proxy::try_start(
            &Config::new()
                .origin(origin.address())
                .filter(language, filter.clone().set("config", config)),
        )
        .await
        .err()
        .expect("the filter refuses to start");
        assert!(
            refused.log.contains("configuration"),
            "the reason is told: {}",
            refused.log
        );
    }
}
