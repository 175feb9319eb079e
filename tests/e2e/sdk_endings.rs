//! How roots and messages end, by both SDKs.

use http::{HeaderMap, HeaderValue, Response};
use hyper::body::Frame;
use portcullis_tests::deadline::until;
use portcullis_tests::origin::parts;
use portcullis_tests::{Config, Origin};
use serde_json::json;

use crate::{Guest, script, with_both_sdks};

with_both_sdks!(
    a_root_goes_on_until_it_is_done,
    trailers_of_a_response_are_read_and_changed,
);

/// A root that is not done when its plugin was replaced goes on, here with a tick, until it says that it is.
async fn a_root_goes_on_until_it_is_done(guest: Guest) {
    let filter = script!(guest, { "on": {
        "plugin_done": [{ "log": ["info", "not done yet"] }, { "tick": 20 }, "fail"],
        "tick": [{ "log": ["info", "last words"] }, "done"],
    }});
    let origin = Origin::echo().await;
    let config = |note: &str| {
        let vm_config = json!({ "note": note });
        let filter = filter.clone().set("vm_config", vm_config);
        Config::new()
            .origin(origin.address())
            .filter("lingers", filter)
    };
    let proxy = config("one").start().await;
    assert_eq!(proxy.get("/").await.status, 200);
    assert_eq!(proxy.reload(&config("two")).await.0, 200);
    // Each of two workers had a VM.
    let words = until("the last words", async || {
        let log = proxy.log();
        (log.matches("last words").count() >= 2).then_some(log)
    })
    .await;
    assert_eq!(words.matches("not done yet").count(), 2);
    assert_eq!(proxy.get("/").await.status, 200);
    assert_eq!(
        proxy.log().matches("last words").count(),
        2,
        "no tick after the end"
    );
}

async fn trailers_of_a_response_are_read_and_changed(guest: Guest) {
    let filter = script!(guest, { "on": {
        "response_trailers": [
            { "copy": ["x-end", "x-copied"] }, { "set": ["x-end", "changed"] },
            { "count": "x-count" }, { "remove": "x-gone" },
        ],
    }});
    let origin = Origin::handling(|_| async {
        let (sender, body) = parts();
        tokio::spawn(async move {
            let trailers = ["x-end", "x-gone"].map(|name| {
                let name: http::HeaderName = name.parse().expect("a name");
                (name, HeaderValue::from_static("origin"))
            });
            let _ = sender.send(Ok(Frame::data("body".into()))).await;
            let trailers = HeaderMap::from_iter(trailers);
            let _ = sender.send(Ok(Frame::trailers(trailers))).await;
        });
        Response::new(body)
    })
    .await;
    let config = Config::new()
        .origin(origin.address())
        .filter("trailers", filter);
    let proxy = config
        .set("/upstreams/origin/protocol", json!("h2"))
        .start()
        .await;
    let answer = proxy.h2().await.get("/").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "body"));
    let trailers = &answer.trailers;
    assert_eq!(trailers["x-copied"], "origin");
    assert_eq!(trailers["x-end"], "changed");
    assert_eq!(trailers["x-count"], "3");
    assert!(!trailers.contains_key("x-gone"));
}
