//! What a configuration may say, and what is said of a bad one.

use super::*;

fn good(configuration: &str) -> Policy {
    Policy::parse(configuration.as_bytes())
        .unwrap_or_else(|problems| panic!("{configuration}: {problems:?}"))
}

#[test]
fn the_short_form_has_defaults() {
    let policy = good(r#"{"key":["client_ip"],"rate":"100/1s"}"#);
    assert_eq!(policy.limits.len(), 1);
    let limit = &policy.limits[0];
    assert_eq!(limit.name, "default");
    assert_eq!(
        limit.rate,
        Rate {
            count: 100,
            period: 1_000_000_000,
            burst: 100
        }
    );
    assert_eq!(limit.key, [Part::ClientIp { ipv6_prefix: 64 }]);
    assert_eq!(limit.missing, Missing::Share);
    assert_eq!(
        (policy.mode, policy.on_error, policy.headers),
        (Mode::Enforce, OnError::Deny, true)
    );
}

#[test]
fn every_key_is_read() {
    let policy = good(
        r#"{"mode":"shadow","on_error":"allow","headers":false,"limits":[
            {"name":"burst","key":["client_ip","route","host"],"rate":"10/s","burst":3,"ipv6_prefix":56,"missing":"skip"},
            {"key":[{"header":"X-Tenant"},{"claim":"sub"},{"const":"all"}],"rate":"1000/1h"}]}"#,
    );
    assert_eq!(
        (policy.mode, policy.on_error, policy.headers),
        (Mode::Shadow, OnError::Allow, false)
    );
    let [first, second] = &policy.limits[..] else {
        panic!("two limits")
    };
    assert_eq!(
        first.rate,
        Rate {
            count: 10,
            period: 1_000_000_000,
            burst: 3
        }
    );
    assert_eq!(
        first.key,
        [Part::ClientIp { ipv6_prefix: 56 }, Part::Route, Part::Host]
    );
    assert_eq!(
        (first.name.as_str(), first.missing),
        ("burst", Missing::Skip)
    );
    assert_eq!(second.name, "default-2");
    let parts = ["x-tenant", "sub", "all"].map(str::to_owned);
    let [header, claim, constant] = parts;
    assert_eq!(
        second.key,
        [
            Part::Header(header),
            Part::Claim(claim),
            Part::Constant(constant)
        ]
    );
}

#[test]
fn every_problem_is_reported_at_once() {
    let configuration = r#"{"key":["ip",{"header":"a b"},{"cookie":"c"},7],"rate":"fast","burst":0,"mode":"off",
        "on_error":"maybe","headers":1,"missing":"no","ipv6_prefix":129,"name":"a\"b","brust":1}"#;
    let problems = Policy::parse(configuration.as_bytes()).expect_err("a bad configuration");
    for start in [
        "mode: ",
        "on_error: ",
        "headers: ",
        "name: ",
        "missing: ",
        "ipv6_prefix: ",
        "key[0]: \"ip\" is not one of",
        "key[1].header: ",
        "key[2].cookie: unknown key",
        "key[3]: must be one of",
        "burst: ",
        "rate: \"fast\"",
        "brust: unknown key",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(start)),
            "{start} in {problems:#?}"
        );
    }
    assert_eq!(problems.len(), 13, "{problems:#?}");
}

#[test]
fn bad_configurations_are_refused() {
    for (configuration, start) in [
        ("", "config: is missing"),
        ("[]", "config: must be a mapping"),
        ("{}", "key: is missing"),
        (r#"{"key":[],"rate":"1/1s"}"#, "key: needs 1 to 8 parts"),
        (
            r#"{"key":"client_ip","rate":"1/1s"}"#,
            "key: must be a list",
        ),
        (r#"{"key":["client_ip"]}"#, "rate: is missing"),
        (r#"{"key":["client_ip"],"rate":"0/1s"}"#, "rate: must allow"),
        (
            r#"{"key":["client_ip"],"rate":"1/0s"}"#,
            "rate: must have a period",
        ),
        (
            r#"{"key":["client_ip"],"rate":"1/1us"}"#,
            "rate: must have a period",
        ),
        (
            r#"{"key":["client_ip"],"rate":"1/9999d"}"#,
            "rate: must have a period",
        ),
        (
            r#"{"key":["client_ip"],"rate":"+1/1s"}"#,
            "rate: \"+1/1s\" is not a rate",
        ),
        (
            r#"{"key":["client_ip"],"rate":"1.5/1s"}"#,
            "rate: \"1.5/1s\" is not a rate",
        ),
        (
            r#"{"key":["client_ip"],"rate":"1"}"#,
            "rate: \"1\" is not a rate",
        ),
        (
            r#"{"key":["client_ip"],"rate":100}"#,
            "rate: must be a string",
        ),
        (
            r#"{"key":["client_ip"],"rate":"1/1s","burst":1.5}"#,
            "burst: must be a whole number",
        ),
        (r#"{"limits":[]}"#, "limits: needs 1 to 8 limits"),
        (r#"{"limits":[7]}"#, "limits[0]: must be a mapping"),
        (
            r#"{"limits":[{"key":["host"],"rate":"1/1s"}],"rate":"1/1s"}"#,
            "rate: unknown key",
        ),
        (
            r#"{"limits":[{"name":"a","key":["host"],"rate":"1/1s"},{"name":"a","key":["route"],"rate":"1/1s"}]}"#,
            "limits[1].name: \"a\" is the name of two limits",
        ),
    ] {
        let problems = Policy::parse(configuration.as_bytes()).expect_err(configuration);
        assert!(
            problems[0].starts_with(start),
            "{configuration}: {problems:?}"
        );
    }
}
