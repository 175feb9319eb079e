//! What operators get to see: targets, keys, exclusions, counts, transformations.

use super::support::{check, get, post};

#[test]
fn targets_and_keys() {
    let q = || get("/a/b.php?q=x&Name=Y&q=z");
    check(&[
        (r#"SecRule ARGS "@streq x" "id:1,log""#, q(), &[1]),
        (r#"SecRule ARGS:q "@streq z" "id:1,log""#, q(), &[1]),
        (r#"SecRule ARGS:name "@streq Y" "id:1,log""#, q(), &[1]),
        (r#"SecRule ARGS:missing "!@streq Y" "id:1,log""#, q(), &[]),
        (r#"SecRule ARGS:/^n/ "@streq Y" "id:1,log""#, q(), &[1]),
        (r#"SecRule ARGS:/^n/ "@streq x" "id:1,log""#, q(), &[]),
        (r#"SecRule ARGS|!ARGS:q "@rx ^[xz]$" "id:1,log""#, q(), &[]),
        (r#"SecRule ARGS|!ARGS:/^q/ "@rx ." "id:1,log""#, q(), &[1]),
        (r#"SecRule ARGS_NAMES "@streq Name" "id:1,log""#, q(), &[1]),
        (
            r#"SecRule ARGS_GET_NAMES:name "@rx ." "id:1,log""#,
            q(),
            &[1],
        ),
        (r#"SecRule ARGS_POST "@rx ." "id:1,log""#, q(), &[]),
        (r#"SecRule &ARGS "@eq 3" "id:1,log""#, q(), &[1]),
        (r#"SecRule &ARGS:q "@eq 2" "id:1,log""#, q(), &[1]),
        (r#"SecRule &ARGS:none "@eq 0" "id:1,log""#, q(), &[1]),
        (r#"SecRule &ARGS|!ARGS:q "@eq 1" "id:1,log""#, q(), &[1]),
        (
            r#"SecRule REQUEST_FILENAME "@streq /a/b.php" "id:1,log""#,
            q(),
            &[1],
        ),
        (
            r#"SecRule REQUEST_BASENAME "@streq b.php" "id:1,log""#,
            q(),
            &[1],
        ),
        (
            r#"SecRule QUERY_STRING "@beginsWith q=x" "id:1,log""#,
            q(),
            &[1],
        ),
        (
            r#"SecRule REQUEST_LINE "@streq GET /a/b.php?q=x&Name=Y&q=z HTTP/1.1" "id:1,log""#,
            q(),
            &[1],
        ),
        (
            r#"SecRule REQUEST_HEADERS:host "@streq example.org" "id:1,log""#,
            q(),
            &[1],
        ),
        (
            r#"SecRule REQUEST_HEADERS_NAMES "@streq Host" "id:1,log""#,
            q(),
            &[1],
        ),
        (
            r#"SecRule SERVER_NAME "@streq example.org" "id:1,log""#,
            q(),
            &[1],
        ),
        (
            r#"SecRule REMOTE_ADDR "@ipMatch 192.0.2.0/24" "id:1,log""#,
            q(),
            &[1],
        ),
        (r#"SecRule UNIQUE_ID "@streq id-1" "id:1,log""#, q(), &[1]),
        (r#"SecRule TIME_YEAR "@eq 2023" "id:1,log""#, q(), &[1]),
        (r#"SecAction "id:1,log""#, q(), &[1]),
    ]);
}

#[test]
fn a_negated_operator_looks_at_every_value() {
    check(&[
        (
            r#"SecRule ARGS "!@streq x" "id:1,log""#,
            get("/?a=x&b=x"),
            &[],
        ),
        (
            r#"SecRule ARGS "!@streq x" "id:1,log""#,
            get("/?a=x&b=y"),
            &[1],
        ),
        (r#"SecRule ARGS "!@streq x" "id:1,log""#, get("/"), &[]),
    ]);
}

#[test]
fn transformations_apply_in_order() {
    check(&[
        (
            r#"SecRule ARGS "@streq abc" "id:1,log,t:none,t:lowercase""#,
            get("/?a=ABC"),
            &[1],
        ),
        (
            r#"SecRule ARGS "@streq abc" "id:1,log,t:lowercase,t:none""#,
            get("/?a=ABC"),
            &[],
        ),
        (
            r#"SecRule ARGS "@streq ABC" "id:1,log,t:urlDecodeUni,t:uppercase""#,
            get("/?a=%2561bc"),
            &[1],
        ),
        (
            r#"SecRule ARGS "@eq 3" "id:1,log,t:length""#,
            get("/?a=abc"),
            &[1],
        ),
        (
            r#"SecRule ARGS "@eq 0" "id:1,log,t:length""#,
            get("/?a="),
            &[1],
        ),
        (
            r#"SecRule ARGS "@streq da39a3ee5e6b4b0d3255bfef95601890afd80709" "id:1,log,t:sha1,t:hexEncode""#,
            get("/?a="),
            &[1],
        ),
    ]);
}

#[test]
fn multi_match_sees_the_values_between() {
    let rule =
        |multi| format!(r#"SecRule ARGS "@contains %" "id:1,log,t:none,t:urlDecodeUni{multi}""#);
    assert_eq!(super::support::ids(&rule(""), &get("/?a=%2541")), [0; 0]);
    assert_eq!(
        super::support::ids(&rule(",multiMatch"), &get("/?a=%2541")),
        [1]
    );
}

#[test]
fn bodies_are_read_by_their_type() {
    let form = || post("application/x-www-form-urlencoded", "a=1&b=%32");
    check(&[
        (
            r#"SecRule ARGS_POST:b "@streq 2" "id:1,log,phase:2""#,
            form(),
            &[1],
        ),
        (
            r#"SecRule ARGS:b "@streq 2" "id:1,log,phase:1""#,
            form(),
            &[],
        ),
        (
            r#"SecRule REQUEST_BODY "@streq a=1&b=%32" "id:1,log,phase:2""#,
            form(),
            &[1],
        ),
        (
            r#"SecRule REQBODY_PROCESSOR "@streq URLENCODED" "id:1,log,phase:1""#,
            form(),
            &[1],
        ),
        (
            "SecAction \"id:2,nolog,pass,phase:1,ctl:requestBodyProcessor=JSON\"\n\
             SecRule ARGS \"@streq deep\" \"id:1,log,phase:2\"",
            post("application/json", r#"{"a":{"b":["deep"]}}"#),
            &[1],
        ),
        (
            "SecAction \"id:2,nolog,pass,phase:1,ctl:requestBodyProcessor=JSON\"\n\
             SecRule REQBODY_ERROR \"@eq 1\" \"id:1,log,phase:2\"",
            post("application/json", r#"{"a":"#),
            &[1],
        ),
        (
            "SecAction \"id:2,nolog,pass,phase:1,ctl:requestBodyProcessor=XML\"\n\
             SecRule XML:/* \"@contains deep\" \"id:1,log,phase:2\"\n\
             SecRule XML://@* \"@streq v\" \"id:3,log,phase:2\"",
            post("text/xml", r#"<a k="v"><b>deep</b></a>"#),
            &[1, 3],
        ),
        (
            r#"SecRule REQUEST_BODY "@streq raw" "id:1,log,phase:2""#,
            post("text/plain", "raw"),
            &[],
        ),
        (
            "SecAction \"id:2,nolog,pass,phase:1,ctl:forceRequestBodyVariable=On\"\n\
             SecRule REQUEST_BODY \"@streq raw\" \"id:1,log,phase:2\"",
            post("text/plain", "raw"),
            &[1],
        ),
    ]);
}
