//! Our filters in real Envoy: the modules are the same bytes as here, and do the same.

use http::{Request, StatusCode};
use portcullis_tests::envoy::Envoy;
use portcullis_tests::origin::full;
use portcullis_tests::{Client, Config, Filter, Origin, artifacts};
use serde_json::json;

use crate::languages;

#[tokio::test]
async fn the_example_filters() {
    let (origin, policy) = (Origin::echo().await, languages::policy().await);
    let mut config = Config::new()
        .origin(origin.address())
        .upstream("policy", policy.address());
    let mut built = Vec::new();
    for language in languages::LANGUAGES {
        let Some(filter) = languages::filter(language) else {
            continue;
        };
        config = config.filter(language, filter);
        config = config.route(language, json!({}), &[language]);
        built.push(language);
    }
    let Some(envoy) = Envoy::start(&config).await else {
        return;
    };
    for language in built {
        println!("{language}");
        languages::check(envoy.address(language), &origin, &policy).await;
    }
}

#[tokio::test]
async fn the_auth_filter() {
    let origin = Origin::echo().await;
    let config = json!({ "api_keys": { "header": "x-api-key", "keys": { "alice": "0123456789abcdef0123456789abcdef" } } });
    let config = Config::new()
        .origin(origin.address())
        .filter("auth", Filter::builtin("auth", config));
    let Some(envoy) = Envoy::start(&config).await else {
        return;
    };
    let mut client = Client::h1(envoy.address("all")).await;
    let asking = |key: Option<&str>| {
        let mut request = Request::get("/");
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        request.body(full("")).expect("request")
    };
    assert_eq!(client.send(asking(None)).await.status, 401);
    assert_eq!(client.send(asking(Some("wrong"))).await.status, 401);
    assert_eq!(origin.heads(), 0);
    let right = asking(Some("0123456789abcdef0123456789abcdef"));
    assert_eq!(client.send(right).await.status, StatusCode::OK);
    let seen = origin.next().await;
    assert_eq!(
        seen.header("x-api-key"),
        None,
        "the key is for us, not for the origin"
    );
}

#[tokio::test]
async fn the_js_filter() {
    if artifacts::js_module().is_none() {
        return;
    }
    let script = r#"
        async function onRequestHeaders(ctx) {
            const answer = await ctx.fetch("policy", { path: "/check", headers: { "x-path": ctx.request.path } });
            if (answer.status !== 200) return ctx.reply(403, {}, "denied by policy\n");
            ctx.request.headers.set("x-user", answer.headers.get("x-user"));
        }
        function onRequestBody(ctx) { ctx.request.body = ctx.request.body.toUpperCase(); }
        function onResponseHeaders(ctx) { ctx.response.headers.set("x-tenant", settings.tenant); }
    "#;
    let (origin, policy) = (Origin::echo().await, languages::policy().await);
    let config = json!({ "script": script, "settings": { "tenant": "blue" } });
    let config = Config::new()
        .origin(origin.address())
        .upstream("policy", policy.address())
        .filter("js", Filter::builtin("js", config));
    let Some(envoy) = Envoy::start(&config).await else {
        return;
    };
    let mut client = Client::h1(envoy.address("all")).await;
    let answer = client.post("/page", "body").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "BODY"));
    assert_eq!(answer.header("x-tenant"), Some("blue"));
    assert_eq!(origin.next().await.header("x-user"), Some("alice"));
    let answer = Client::h1(envoy.address("all")).await.get("/deny").await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (403, "denied by policy\n")
    );
    assert_eq!(origin.heads(), 1);
}

#[tokio::test]
async fn the_rate_limit_filter() {
    let origin = Origin::echo().await;
    let config = json!({ "key": [{ "header": "x-user" }], "rate": "2/1h", "burst": 2 });
    let config = Config::new()
        .origin(origin.address())
        .filter("limit", Filter::builtin("rate-limit", config));
    let Some(envoy) = Envoy::start(&config).await else {
        return;
    };
    let mut client = Client::h1(envoy.address("all")).await;
    for user in ["alice", "bob"] {
        let mut statuses = Vec::new();
        for _ in 0..4 {
            let request = Request::get("/").header("x-user", user);
            let answer = client.send(request.body(full("")).expect("request")).await;
            statuses.push(answer.status);
        }
        assert_eq!(statuses, [200, 200, 429, 429], "{user}");
    }
    assert_eq!(origin.heads(), 4);
}
