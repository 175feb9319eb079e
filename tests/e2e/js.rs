//! Scripts in JavaScript: the built-in filter `js`. It is installed by `filters/js/build.sh`; without it, tests are
//! skipped with that reason.

use http::{Request, Response};
use portcullis_tests::origin::{Body, full};
use portcullis_tests::{Config, Filter, Origin, Proxy, artifacts};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

fn script(text: &str) -> Option<Filter> {
    configured(json!({ "script": text }))
}

fn configured(mut config: Value) -> Option<Filter> {
    if let Some(text) = config["script"].as_str() {
        // In the proxy's own file `${` draws in a value.
        config["script"] = text.replace("${", "$${").into();
    }
    artifacts::js_module().map(|_| {
        // A script is slower than a module, and this host is a debug build.
        Filter::builtin("js", config).limit("cpu_per_call", "5s")
    })
}

async fn start(origin: &Origin, filter: Filter) -> Proxy {
    launch(
        Config::new()
            .origin(origin.address())
            .filter("script", filter),
    )
    .await
}

/// Has the proxy compile the module, once for all tests and without a limit of time: it is large, and what is compiled is
/// kept. A script that defines nothing ends the proxy when that is done.
async fn compile() {
    static DONE: OnceCell<()> = OnceCell::const_new();
    let once = async || {
        let config = Config::new().filter("script", Filter::builtin("js", json!({ "script": "" })));
        let config = config.origin("127.0.0.1:9".parse().expect("an address"));
        let compiled = tokio::task::spawn_blocking(move || {
            let folder = tempfile::tempdir().expect("a folder");
            std::fs::write(folder.path().join("portcullis.yaml"), config.text()).expect("a file");
            let mut program = portcullis_tests::proxy::command(folder.path());
            program.args(["run", "-c", "portcullis.yaml"]).output()
        });
        let output = compiled.await.expect("a thread").expect("the program runs");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains("defines none of"), "{told}");
    };
    DONE.get_or_init(once).await;
}

async fn launch(config: Config) -> Proxy {
    compile().await;
    config.start().await
}

fn get(headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::get("/page?a=b");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(full("")).expect("request")
}

#[tokio::test]
async fn headers_are_read_and_changed() {
    let Some(filter) = script(
        r#"
        function onRequestHeaders(ctx) {
            const { request } = ctx;
            request.headers.set("x-method", request.method);
            request.headers.set("x-path", request.path);
            request.headers.set("x-all", request.headers.getAll("X-A").join("+"));
            request.headers.set("x-none", String(request.headers.get("x-nothing")));
            request.headers.remove("x-secret");
            request.headers.add("x-a", "3");
            request.path = "/changed";
            ctx.kept = request.headers.get("x-a");
        }
        function onResponseHeaders(ctx) {
            ctx.response.headers.set("x-kept", ctx.kept);
            ctx.response.headers.set("x-status", ctx.response.status);
            let names = 0;
            for (const [name] of ctx.response.headers) if (name.startsWith(":")) names++;
            ctx.response.headers.set("x-pseudo", names);
            ctx.response.status = 201;
        }
        "#,
    ) else {
        return;
    };
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter).await;
    let headers = [("x-a", "1"), ("x-a", "2"), ("x-secret", "s")];
    let answer = proxy.client().await.send(get(&headers)).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.header("x-kept"), Some("1"));
    assert_eq!(answer.header("x-status"), Some("200"));
    assert_eq!(answer.header("x-pseudo"), Some("1"));
    let seen = origin.next().await;
    assert_eq!(seen.target, "/changed");
    assert_eq!(seen.header("x-method"), Some("GET"));
    assert_eq!(seen.header("x-path"), Some("/page?a=b"));
    assert_eq!(seen.header("x-all"), Some("1+2"));
    assert_eq!(seen.header("x-none"), Some("null"));
    assert_eq!(seen.header("x-secret"), None);
    assert_eq!(seen.values("x-a"), ["1", "2", "3"]);
}

#[tokio::test]
async fn bodies_are_seen_whole() {
    let Some(filter) = script(
        r#"
        function onRequestBody(ctx) {
            const object = JSON.parse(ctx.request.body);
            object.password = "***";
            ctx.request.body = JSON.stringify(object);
        }
        function onResponseBody(ctx) {
            ctx.response.body = ctx.response.body.toUpperCase();
        }
        "#,
    ) else {
        return;
    };
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter).await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        let answer = client.post("/", r#"{"user":"bob","password":"s"}"#).await;
        assert_eq!(answer.text(), r#"{"USER":"BOB","PASSWORD":"***"}"#);
        let seen = origin.next().await;
        assert_eq!(seen.body, r#"{"user":"bob","password":"***"}"#);
    }
}

#[tokio::test]
async fn replies_and_settings() {
    let Some(filter) = configured(json!({
        "script": r#"
            function onRequestHeaders(ctx) {
                if (ctx.request.headers.get("x-key") !== settings.key)
                    ctx.reply(401, { "x-reason": ["no", "key"] }, `no key for ${ctx.request.path}`);
            }
            function onResponseHeaders(ctx) { ctx.response.headers.set("x-seen", "1"); }
        "#,
        "settings": { "key": "k" },
    })) else {
        return;
    };
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter).await;
    let answer = proxy.client().await.send(get(&[])).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (401, "no key for /page?a=b")
    );
    assert_eq!(answer.values("x-reason"), ["no", "key"]);
    assert_eq!(
        answer.header("x-seen"),
        None,
        "a script that replied is done"
    );
    assert_eq!(origin.heads(), 0);
    let answer = proxy.client().await.send(get(&[("x-key", "k")])).await;
    assert_eq!((answer.status, answer.header("x-seen")), (200, Some("1")));
}

async fn callee() -> Origin {
    Origin::answering(|request| {
        let status: u16 = request
            .target
            .trim_start_matches('/')
            .parse()
            .unwrap_or(200);
        let body = format!(
            "{} {}",
            request.header("x-asked").unwrap_or("-"),
            request.length
        );
        let response = Response::builder().status(status).header("x-callee", "1");
        response.body(full(body)).expect("response")
    })
    .await
}

/// By promise, by callback, several at once, one after the other, and in the response.
#[tokio::test]
async fn callouts() {
    let Some(filter) = script(
        r#"
        async function onRequestHeaders(ctx) {
            const first = await ctx.fetch("callee", { method: "POST", path: "/201", headers: { "x-asked": "a" }, body: "12345" });
            ctx.request.headers.set("x-first", `${first.status} ${first.headers.get("X-Callee")} ${first.body}`);
            const both = await Promise.all([ctx.fetch("callee", { path: "/202" }), ctx.fetch("callee", { path: "/203" })]);
            ctx.request.headers.set("x-both", both.map((answer) => answer.status).join());
        }
        function onResponseHeaders(ctx) {
            ctx.fetch("callee", { path: "/404" }, (answer) => {
                if (ctx.request.headers.get("x-deny")) ctx.reply(451, {}, "withheld");
                else ctx.response.headers.set("x-answer", answer.status);
            });
        }
        "#,
    ) else {
        return;
    };
    let (origin, callee) = (Origin::echo().await, callee().await);
    let config = Config::new()
        .origin(origin.address())
        .upstream("callee", callee.address())
        .filter("script", filter.may_call(&["callee"]));
    let proxy = launch(config).await;
    let answer = proxy.client().await.send(get(&[])).await;
    assert_eq!(
        (answer.status, answer.header("x-answer")),
        (200, Some("404"))
    );
    let seen = origin.next().await;
    assert_eq!(seen.header("x-first"), Some("201 1 a 5"));
    assert_eq!(seen.header("x-both"), Some("202,203"));
    let answer = proxy.client().await.send(get(&[("x-deny", "1")])).await;
    assert_eq!((answer.status, answer.text().as_str()), (451, "withheld"));
}

#[tokio::test]
async fn a_callout_without_a_grant_throws() {
    let Some(filter) = script(
        r#"function onRequestHeaders(ctx) {
            try { ctx.fetch("origin"); } catch (error) { ctx.request.headers.set("x-error", error.message); }
        }"#,
    ) else {
        return;
    };
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter).await;
    assert_eq!(proxy.get("/").await.status, 200);
    let seen = origin.next().await;
    let error = seen.header("x-error").expect("an error");
    assert!(
        error.contains("\"origin\"") && error.contains("grant"),
        "{error}"
    );
}

#[tokio::test]
async fn shared_data_logs_and_properties() {
    let Some(filter) = script(
        r#"
        function onRequestHeaders(ctx) {
            ctx.request.headers.set("x-before", String(shared.get("seen")));
            ctx.request.headers.set("x-count", shared.update("count", (count) => Number(count) + 1));
            shared.set("seen", "yes");
            ctx.request.headers.set("x-method", ctx.property("request.method"));
            ctx.request.headers.set("x-missing", String(ctx.property(["no", "such"])));
            console.warn("a warning with", { an: ["object"] });
        }
        function onLog(ctx) { ctx.log("it was", ctx.response.status); }
        "#,
    ) else {
        return;
    };
    let origin = Origin::echo().await;
    let proxy = start(&origin, filter).await;
    for (before, count) in [("null", "1"), ("yes", "2"), ("yes", "3")] {
        proxy.get("/").await;
        let seen = origin.next().await;
        assert_eq!(seen.header("x-before"), Some(before));
        assert_eq!(seen.header("x-count"), Some(count));
        assert_eq!(seen.header("x-method"), Some("GET"));
        assert_eq!(seen.header("x-missing"), Some("null"));
    }
    proxy.until_log(r#"a warning with {"an":["object"]}"#).await;
    proxy.until_log("it was 200").await;
}

/// The log names the line; the exchange is denied, or goes on if the configuration says so; the VM lives.
#[tokio::test]
async fn an_exception_denies_its_exchange() {
    let text = "let count = 0;\nfunction onRequestHeaders(ctx) {\n  count++;\n  ctx.request.headers.set('x-count', count);\n  if (ctx.request.headers.get('x-fail')) inner(ctx);\n}\nfunction inner(ctx) {\n  ctx.nothing.at.all;\n}\nasync function onResponseHeaders(ctx) {\n  if (ctx.request.headers.get('x-late')) throw new Error('late');\n}\n";
    let Some(filter) = configured(json!({ "script": text, "name": "edge.js" })) else {
        return;
    };
    let skipping = filter.clone().set(
        "config",
        json!({ "script": text, "name": "skipping.js", "on_error": "skip" }),
    );
    let origin = Origin::echo().await;
    let config = Config::new()
        .origin(origin.address())
        .filter("deny", filter)
        .filter("skip", skipping)
        .set("/workers", json!(1))
        .route("skip", json!({ "path": { "prefix": "/skip" } }), &["skip"])
        .route("deny", json!({}), &["deny"]);
    let proxy = launch(config).await;
    let answer = proxy.client().await.send(get(&[("x-fail", "1")])).await;
    assert_eq!(
        (answer.status, answer.text().as_str()),
        (500, "the script failed\n")
    );
    assert_eq!(origin.heads(), 0);
    let log = proxy.until_log("edge.js:8:").await;
    assert!(log.contains("TypeError"), "{log}");
    assert!(log.contains("edge.js:5:"), "who called is told too: {log}");
    assert_eq!(proxy.client().await.send(get(&[])).await.status, 200);
    assert_eq!(
        origin.next().await.header("x-count"),
        Some("2"),
        "an exception does not cost the VM"
    );
    let answer = proxy.client().await.send(get(&[("x-late", "1")])).await;
    assert_eq!(answer.status, 500, "a rejected promise is an exception");
    proxy.until_log("Error: late").await;
    origin.next().await;
    let request = Request::get("/skip")
        .header("x-fail", "1")
        .body(full(""))
        .expect("request");
    assert_eq!(proxy.client().await.send(request).await.status, 200);
    origin.next().await;
}

#[tokio::test]
async fn what_cannot_be_loaded_is_refused_with_its_line() {
    if artifacts::js_module().is_none() {
        return;
    }
    compile().await;
    let origin = Origin::echo().await;
    for (config, reason) in [
        (
            json!({ "script": "function onRequestHeaders(ctx) {\n  let = ;\n}" }),
            "line 2",
        ),
        (
            json!({ "script": "\n\nthrow new Error('at the top');" }),
            "script.js:3:",
        ),
        (
            json!({ "script": "const onRequestHeaders = 1;" }),
            "defines none of onRequestHeaders",
        ),
        (json!({ "scripts": "" }), "unknown field `scripts`"),
        (json!({}), "missing field `script`"),
    ] {
        let config = Config::new()
            .origin(origin.address())
            .filter("script", Filter::builtin("js", config));
        let refused = Proxy::try_start(&config).await.err().expect("refused");
        assert!(refused.log.contains(reason), "{reason}: {}", refused.log);
    }
}

/// Where the module is not there, the way out is told.
#[tokio::test]
async fn a_missing_module_is_explained() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = Config::new()
        .origin("127.0.0.1:9".parse().expect("an address"))
        .filter("script", Filter::builtin("js", json!({ "script": "" })));
    std::fs::write(folder.path().join("portcullis.yaml"), config.text()).expect("a file");
    let output = portcullis_tests::proxy::command(folder.path())
        .args(["check", "-c", "portcullis.yaml"])
        .env("PORTCULLIS_FILTERS", folder.path())
        .output()
        .expect("the program runs");
    assert!(!output.status.success());
    let told = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("filters/js/build.sh"), "{told}");
}

/// What a script leaves in its globals ends with the exchange; what it made at its start is there.
#[tokio::test]
async fn an_exchange_has_an_engine_of_its_own() {
    let counting = r#"
        let seen = 0;
        const started = [40, 2].reduce((sum, number) => sum + number);
        function onRequestHeaders(ctx) {
            seen += 1;
            ctx.request.headers.set("x-seen", `${seen} of ${started}`);
        }
        function onResponseHeaders(ctx) {
            ctx.response.headers.set("x-seen", seen);
        }
    "#;
    for (isolation, expected) in [("request", ["1", "1", "1"]), ("shared", ["1", "2", "3"])] {
        let Some(filter) = script(counting) else {
            return;
        };
        let origin = Origin::echo().await;
        let config = Config::new()
            .origin(origin.address())
            .set("/workers", json!(1));
        let filter = filter.set("isolation", json!(isolation));
        let proxy = launch(config.filter("script", filter)).await;
        let mut client = proxy.client().await;
        for count in expected {
            let answer = client.send(get(&[])).await;
            assert_eq!(answer.header("x-seen"), Some(count), "{isolation}");
            let seen = origin.next().await;
            let both = format!("{count} of 42");
            assert_eq!(seen.header("x-seen"), Some(both.as_str()));
        }
        let told = proxy.log();
        assert!(!told.contains("there can be no snapshot"), "{told}");
    }
}
