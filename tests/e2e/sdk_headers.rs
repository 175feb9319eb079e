//! Modules by the public SDKs read and change headers, properties and configurations.

use http::{Request, Response};
use portcullis_tests::origin::{Body, full};
use portcullis_tests::{Config, Origin};
use serde_json::json;

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    request_headers,
    response_headers,
    whole_maps,
    properties,
    a_set_property,
    configurations
);

async fn request_headers(guest: Guest) {
    let filter = script!(guest, { "request_headers": [
        { "list": ["x-many", "x-all"] },
        { "copy": ["x-many", "x-first"] },
        { "copy": ["x-absent", "x-absent-was"] },
        { "add": ["x-many", "c"] },
        { "set": ["x-changed", "after"] },
        { "set": ["x-new", "1"] },
        { "remove": "x-gone" },
        { "remove": "x-never-there" },
        { "copy": [":method", "x-method"] },
        { "copy": [":path", "x-path"] },
        { "copy": [":authority", "x-authority"] },
        { "set": [":path", "/other?b=2"] },
    ] });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        assert_eq!(client.send(request_with_headers()).await.status, 200);
        let seen = origin.next().await;
        assert_eq!(seen.header("x-all"), Some("a|b"));
        assert_eq!(
            seen.header("x-first"),
            Some("a"),
            "a read of several values gives the first"
        );
        assert_eq!(seen.header("x-absent-was"), Some("-"));
        assert_eq!(seen.values("x-many"), ["a", "b", "c"]);
        assert_eq!(seen.values("x-changed"), ["after"]);
        assert_eq!(seen.header("x-new"), Some("1"));
        assert_eq!(seen.header("x-gone"), None);
        assert_eq!(seen.header("x-kept"), Some("yes"));
        assert_eq!(seen.header("x-method"), Some("GET"));
        assert_eq!(seen.header("x-path"), Some("/here?a=1"));
        assert_eq!(seen.header("x-authority"), Some("portcullis.test"));
        assert_eq!(
            seen.target, "/other?b=2",
            "a changed :path is what the origin is asked for"
        );
    }
}

fn request_with_headers() -> Request<Body> {
    let headers = [
        ("x-many", "a"),
        ("x-many", "b"),
        ("x-changed", "before"),
        ("x-gone", "1"),
        ("x-kept", "yes"),
    ];
    let request = headers
        .iter()
        .fold(Request::get("/here?a=1"), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.body(full("")).expect("request")
}

async fn response_headers(guest: Guest) {
    let filter = script!(guest, { "response_headers": [
        { "list": ["set-cookie", "x-cookies"] },
        { "add": ["set-cookie", "c=3"] },
        { "set": ["x-changed", "after"] },
        { "remove": "x-internal" },
        { "copy": [":status", "x-status"] },
        { "set": [":status", "202"] },
    ] });
    let origin = Origin::answering(|_| {
        Response::builder()
            .header("set-cookie", "a=1")
            .header("set-cookie", "b=2")
            .header("x-changed", "before")
            .header("x-internal", "secret")
            .body(full("body"))
            .expect("response")
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    for mut client in [proxy.client().await, proxy.h2().await] {
        let answer = client.get("/").await;
        assert_eq!(
            answer.status, 202,
            "a changed :status is what the client gets"
        );
        assert_eq!(answer.header("x-cookies"), Some("a=1|b=2"));
        assert_eq!(answer.values("set-cookie"), ["a=1", "b=2", "c=3"]);
        assert_eq!(answer.values("x-changed"), ["after"]);
        assert_eq!(answer.header("x-internal"), None);
        assert_eq!(answer.header("x-status"), Some("200"));
        assert_eq!(answer.text(), "body");
    }
}

async fn whole_maps(guest: Guest) {
    let filter = script!(guest, {
        "request_headers": [{ "set_all": [
            [":method", "GET"], [":path", "/rewritten"], [":authority", "portcullis.test"], [":scheme", "http"],
            ["x-only", "1"], ["x-only", "2"],
        ] }],
        "response_headers": [{ "set_all": [[":status", "203"], ["content-length", "4"], ["x-answer", "1"]] }],
    });
    let origin = Origin::answering(|_| {
        Response::builder()
            .header("x-from", "origin")
            .body(full("body"))
            .expect("response")
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    let request = Request::get("/asked")
        .header("x-dropped", "1")
        .body(full(""))
        .expect("request");
    let answer = proxy.client().await.send(request).await;
    let seen = origin.next().await;
    assert_eq!(seen.target, "/rewritten");
    assert_eq!(seen.values("x-only"), ["1", "2"]);
    assert_eq!(seen.header("x-dropped"), None);
    assert_eq!(answer.status, 203);
    assert_eq!(answer.header("x-answer"), Some("1"));
    assert_eq!(answer.header("x-from"), None);
    assert_eq!(answer.text(), "body");
}

async fn properties(guest: Guest) {
    let filter = script!(guest, { "on": {
        "request_headers": [
            { "property": ["request.path", "x-p-path"] },
            { "property": ["request.url_path", "x-p-url-path"] },
            { "property": ["request.query", "x-p-query"] },
            { "property": ["request.host", "x-p-host"] },
            { "property": ["request.scheme", "x-p-scheme"] },
            { "property": ["request.method", "x-p-method"] },
            { "property": ["request.protocol", "x-p-protocol"] },
            { "property": ["request.useragent", "x-p-agent"] },
            { "property": ["request.headers.x-two", "x-p-two"] },
            { "property": ["source.address", "x-p-source"] },
            { "property_number": ["source.port", "x-p-source-port"] },
            { "property": ["destination.address", "x-p-destination"] },
            { "property_number": ["destination.port", "x-p-destination-port"] },
            { "property": ["plugin_name", "x-p-plugin"] },
            { "property": ["plugin_root_id", "x-p-root"] },
            { "property": ["plugin_vm_id", "x-p-vm"] },
            { "property": ["route_name", "x-p-route"] },
            { "property": ["xds.route_name", "x-p-xds-route"] },
            { "property_number": ["request.size", "x-p-size"] },
            { "property": ["no.such.property", "x-p-none"] },
            { "property": ["response.code", "x-p-early"] },
        ],
        "response_headers": [
            { "property_number": ["response.code", "x-p-code"] },
            { "property": ["request.path", "x-p-path"] },
            { "property": ["response.headers.x-origin", "x-p-header"] },
        ],
    } });
    let filter = filter
        .set("root_id", json!("my_root"))
        .set("vm_id", json!("my_vm"));
    let origin = Origin::answering(|_| {
        Response::builder()
            .status(201)
            .header("x-origin", "yes")
            .body(full(""))
            .expect("response")
    })
    .await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    let request = Request::post("/a/b?c=d")
        .header("user-agent", "tests/1")
        .header("x-two", "1")
        .header("x-two", "2")
        .body(full("12345"))
        .expect("request");
    let answer = proxy.client().await.send(request).await;
    let seen = origin.next().await;
    for (name, value) in [
        ("path", "/a/b?c=d"),
        ("url-path", "/a/b"),
        ("query", "c=d"),
        ("host", "portcullis.test"),
        ("scheme", "http"),
        ("method", "POST"),
        ("protocol", "HTTP/1.1"),
        ("agent", "tests/1"),
        ("two", "1,2"),
        ("destination", &proxy.address().to_string()),
        ("destination-port", &proxy.address().port().to_string()),
        ("plugin", "guest"),
        ("root", "my_root"),
        ("vm", "my_vm"),
        ("route", "all"),
        ("xds-route", "all"),
        ("size", "5"),
        ("none", "-"),
        ("early", "-"),
    ] {
        assert_eq!(seen.header(&format!("x-p-{name}")), Some(value), "{name}");
    }
    let source = seen.header("x-p-source").expect("source.address");
    let (ip, port) = source.rsplit_once(':').expect("address and port");
    assert_eq!(ip, "127.0.0.1");
    assert_eq!(
        seen.header("x-p-source-port"),
        Some(port),
        "source.port is the port of source.address"
    );
    assert_eq!(answer.header("x-p-code"), Some("201"));
    assert_eq!(
        answer.header("x-p-path"),
        Some("/a/b?c=d"),
        "request properties stay readable in the response"
    );
    assert_eq!(answer.header("x-p-header"), Some("yes"));
}

async fn a_set_property(guest: Guest) {
    let writer = script!(guest, { "request_headers": [{ "set_property": ["greeting", "hello"] }] });
    let reader = script!(guest, {
        "request_headers": [{ "property": ["greeting", "x-greeting"] }, { "property": ["greeting2", "x-other"] }],
        "response_headers": [{ "property": ["greeting", "x-greeting"] }],
    });
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("writer", writer)
        .filter("reader", reader)
        .route(
            "both",
            json!({ "path": { "prefix": "/both" } }),
            &["writer", "reader"],
        )
        .route("one", json!({}), &["reader"])
        .start()
        .await;
    let mut client = proxy.client().await;
    let answer = client.get("/both").await;
    let seen = origin.next().await;
    assert_eq!(
        seen.header("x-greeting"),
        Some("hello"),
        "a later plugin sees it"
    );
    assert_eq!(seen.header("x-other"), Some("-"));
    assert_eq!(
        answer.header("x-greeting"),
        Some("hello"),
        "and still in the response"
    );
    client.get("/one").await;
    assert_eq!(
        origin.next().await.header("x-greeting"),
        Some("-"),
        "another exchange does not"
    );
}

async fn configurations(guest: Guest) {
    let echo = json!({ "request_headers": [{ "vm_config": "x-vm" }, { "env": ["GREETING", "x-env"] }, { "env": ["HOME", "x-home"] }] });
    let text = script!(guest, { "request_headers": [{ "vm_config": "x-vm" }, { "env": ["GREETING", "x-env"] }, { "env": ["HOME", "x-home"] }] });
    let text = text
        .set("vm_config", json!("plain text"))
        .set("env", json!({ "GREETING": "hello" }));
    let mapping = script!(guest, { "on": {
        "request_headers": [{ "vm_config": "x-vm" }, { "plugin_config": "x-plugin" }] } });
    let mapping = mapping.set("vm_config", json!({ "a": [1, true] }));
    let as_string = serde_json::to_string(&json!({ "on": echo })).expect("JSON");
    let string = script!(guest, {}).set("config", json!(as_string));
    let origin = Origin::echo().await;
    let proxy = Config::new()
        .origin(origin.address())
        .filter("text", text)
        .filter("mapping", mapping)
        .filter("string", string)
        .route("text", json!({ "path": { "prefix": "/text" } }), &["text"])
        .route(
            "mapping",
            json!({ "path": { "prefix": "/mapping" } }),
            &["mapping"],
        )
        .route(
            "string",
            json!({ "path": { "prefix": "/string" } }),
            &["string"],
        )
        .start()
        .await;
    let mut client = proxy.client().await;
    client.get("/text").await;
    let seen = origin.next().await;
    assert_eq!(seen.header("x-vm"), Some("plain text"));
    assert_eq!(seen.header("x-env"), Some("hello"));
    assert_eq!(
        seen.header("x-home"),
        Some("-"),
        "nothing of the proxy's own environment"
    );
    client.get("/mapping").await;
    let seen = origin.next().await;
    assert_eq!(
        seen.header("x-vm"),
        Some(r#"{"a":[1,true]}"#),
        "a mapping goes to the module as JSON"
    );
    let config: serde_json::Value =
        serde_json::from_str(seen.header("x-plugin").expect("configuration")).expect("JSON");
    assert!(config["on"]["request_headers"].is_array(), "{config}");
    client.get("/string").await;
    assert_eq!(
        origin.next().await.header("x-vm"),
        Some(""),
        "a string configuration arrives as it is"
    );
}

#[tokio::test]
async fn the_clock_is_wall_time() {
    let origin = Origin::echo().await;
    let filter =
        portcullis_tests::Filter::rust(json!({ "request_headers": [{ "clock": "x-clock" }] }));
    let proxy = Config::new()
        .origin(origin.address())
        .filter("guest", filter)
        .start()
        .await;
    proxy.get("/").await;
    let clock: u64 = origin
        .next()
        .await
        .header("x-clock")
        .expect("clock")
        .parse()
        .expect("seconds");
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970")
        .as_secs();
    assert!(now.abs_diff(clock) < 60, "{clock} is not about {now}");
}
