//! Chains, and what a match leaves for the rules after it.

use super::support::{check, get};

#[test]
fn all_links_have_to_match() {
    let both =
        "SecRule ARGS:a \"@streq 1\" \"id:1,log,chain\"\nSecRule ARGS:b \"@streq 2\" \"t:none\"";
    check(&[
        (both, get("/?a=1&b=2"), &[1]),
        (both, get("/?a=1&b=3"), &[]),
        (both, get("/?a=0&b=2"), &[]),
    ]);
}

#[test]
fn later_links_see_what_matched() {
    check(&[
        (
            "SecRule ARGS \"@rx ^(.)x$\" \"id:1,log,capture,chain\"\nSecRule TX:1 \"@streq b\" \"t:none\"",
            get("/?q=bx"),
            &[1],
        ),
        (
            "SecRule ARGS \"@rx x\" \"id:1,log,chain\"\nSecRule MATCHED_VARS \"@streq bx\" \"t:none\"",
            get("/?p=ax&q=bx&r=no"),
            &[1],
        ),
        (
            "SecRule ARGS \"@rx x\" \"id:1,log,chain\"\nSecRule MATCHED_VARS \"@streq no\" \"t:none\"",
            get("/?p=ax&q=bx&r=no"),
            &[],
        ),
        (
            "SecRule ARGS \"@rx x\" \"id:1,log,chain\"\nSecRule MATCHED_VARS_NAMES \"@streq ARGS:q\" \"t:none\"",
            get("/?q=bx"),
            &[1],
        ),
        (
            "SecRule ARGS \"@rx x\" \"id:1,log,chain\"\nSecRule MATCHED_VAR \"@streq ax\" \"chain\"\n\
             SecRule MATCHED_VAR_NAME \"@streq MATCHED_VAR\" \"t:none\"",
            get("/?q=ax"),
            &[1],
        ),
    ]);
}

#[test]
fn variables_change_at_every_value_that_matches() {
    let rules = "SecRule ARGS \"@rx x\" \"id:1,nolog,pass,setvar:tx.score=+5\"\n\
                 SecRule TX:score \"@eq 10\" \"id:2,log\"";
    check(&[
        (rules, get("/?a=x&b=x&c=y"), &[2]),
        (rules, get("/?a=x"), &[]),
    ]);
}

#[test]
fn variables_of_a_first_link_change_without_the_second() {
    check(&[(
        "SecRule ARGS \"@rx x\" \"id:1,nolog,pass,setvar:tx.seen=1,chain\"\nSecRule ARGS \"@rx nothing\" \"t:none\"\n\
         SecRule TX:seen \"@eq 1\" \"id:2,log\"",
        get("/?a=x"),
        &[2],
    )]);
}

#[test]
fn captures_of_an_earlier_rule_are_gone() {
    check(&[(
        "SecRule ARGS:a \"@rx (.)(.)\" \"id:1,nolog,pass,capture\"\n\
         SecRule ARGS:b \"@rx (.)\" \"id:2,nolog,pass,capture\"\n\
         SecRule &TX:2 \"@eq 0\" \"id:3,log\"\nSecRule TX:1 \"@streq z\" \"id:4,log\"",
        get("/?a=xy&b=z"),
        &[3, 4],
    )]);
}
