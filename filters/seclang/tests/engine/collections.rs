//! `TX`, and the collections that outlive an exchange.

use super::support::{World, check, engine, get, run};

#[test]
fn variables_of_an_exchange() {
    let rules = |set: &str, test: &str| {
        format!("SecAction \"id:1,phase:1,nolog,pass,{set}\"\nSecRule {test} \"id:2,phase:1,log\"")
    };
    let q = || get("/?q=7");
    check(&[
        (
            &rules("setvar:tx.a=5,setvar:tx.a=+3", r#"TX:A "@eq 8""#),
            q(),
            &[2],
        ),
        (
            &rules("setvar:tx.a=5,setvar:tx.a=-7", r#"TX:a "@eq -2""#),
            q(),
            &[2],
        ),
        (&rules("setvar:tx.a", r#"TX:a "@eq 1""#), q(), &[2]),
        (
            &rules("setvar:tx.a=5,setvar:!tx.a", r#"&TX:a "@eq 0""#),
            q(),
            &[2],
        ),
        (
            &rules("setvar:tx.a=%{ARGS.q}", r#"TX:a "@streq 7""#),
            q(),
            &[2],
        ),
        (
            &rules("setvar:tx.n=x,setvar:tx.a_%{tx.n}=1", r#"TX:a_x "@eq 1""#),
            q(),
            &[2],
        ),
        (
            &rules("setvar:tx.n=x,setvar:tx.a_%{tx.n}=1", r#"TX:/^a_/ "@eq 1""#),
            q(),
            &[2],
        ),
        (
            &rules("setvar:tx.a=abc", r#"TX:a "@within %{tx.list}""#),
            q(),
            &[],
        ),
        (
            &rules(
                "setvar:tx.a=b,setvar:tx.list=a b c",
                r#"TX:a "@within %{tx.list}""#,
            ),
            q(),
            &[2],
        ),
        (&rules("setenv:who=me", r#"ENV:who "@streq me""#), q(), &[2]),
    ]);
}

#[test]
fn records_of_a_client_add_up_and_expire() {
    let rules = "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR},setvar:ip.hits=+1,expirevar:ip.hits=60\"\n\
                 SecRule IP:hits \"@gt 2\" \"id:2,phase:1,deny,status:429,log\"";
    let engine = engine(rules);
    let world = World::default();
    let visit = || {
        let mut transaction = engine.transaction();
        let verdict = run(&mut transaction, &world, &get("/"));
        engine.recycle(transaction);
        verdict.map(|verdict| verdict.status)
    };
    assert_eq!([visit(), visit(), visit()], [None, None, Some(429)]);
    *world.seconds.borrow_mut() = 61;
    assert_eq!(visit(), None);
}

#[test]
fn two_exchanges_at_once_both_count() {
    let rules = "SecAction \"id:1,phase:1,nolog,pass,initcol:ip=%{REMOTE_ADDR},setvar:ip.hits=+1\"\n\
                 SecRule IP:hits \"@eq 3\" \"id:2,phase:1,log,pass\"";
    let engine = engine(rules);
    let world = World::default();
    let (mut one, mut two) = (engine.transaction(), engine.transaction());
    for transaction in [&mut one, &mut two] {
        transaction.connection(("192.0.2.7", 1), ("198.51.100.1", 80), "");
        transaction.request_line(b"GET", b"/", b"HTTP/1.1");
        transaction.request_headers_done(&world);
    }
    one.logging(&world);
    two.logging(&world);
    let mut third = engine.transaction();
    run(&mut third, &world, &get("/"));
    assert_eq!(third.matches().len(), 1);
}

#[test]
fn sessions_and_places() {
    let mut world = World::default();
    world.places.insert("192.0.2.7", "NL");
    world.listed.push("192.0.2.7");
    let engine = engine(
        "SecRule REQUEST_COOKIES:sid \"@rx .\" \"id:1,phase:1,nolog,pass,setsid:%{REQUEST_COOKIES.sid},setvar:session.n=+1\"\n\
         SecRule SESSIONID \"@streq abc\" \"id:2,phase:1,log,pass\"\n\
         SecRule SESSION:n \"@eq 1\" \"id:3,phase:1,log,pass\"\n\
         SecRule REMOTE_ADDR \"@geoLookup\" \"id:4,phase:1,log,pass,chain\"\n\
         SecRule GEO:COUNTRY_CODE \"@streq NL\" \"t:none\"\n\
         SecRule REMOTE_ADDR \"@rbl list.example\" \"id:5,phase:1,log,pass\"",
    );
    let mut transaction = engine.transaction();
    let mut exchange = get("/");
    exchange.headers.push(("Cookie", "sid=abc"));
    run(&mut transaction, &world, &exchange);
    let ids: Vec<_> = transaction.matches().iter().map(|found| found.id).collect();
    assert_eq!(ids, [2, 3, 4, 5]);
}
