//! `ctl`

use super::support::{check, get, post};

#[test]
fn rules_are_removed() {
    let with = |ctl: &str| {
        format!(
            "SecAction \"id:1,phase:1,nolog,pass,ctl:{ctl}\"\n\
             SecRule ARGS \"@rx x\" \"id:10,phase:2,log,pass,msg:'one',tag:'a'\"\n\
             SecRule ARGS \"@rx x\" \"id:11,phase:2,log,pass,msg:'two',tag:'b'\""
        )
    };
    let x = || get("/?q=x&p=x");
    check(&[
        (&with("ruleRemoveById=10"), x(), &[11]),
        (&with("ruleRemoveById=5-10"), x(), &[11]),
        (&with("ruleRemoveByTag=b"), x(), &[10]),
        (&with("ruleRemoveByMsg=two"), x(), &[10]),
        (&with("ruleRemoveTargetById=10;ARGS"), x(), &[11]),
        (&with("ruleRemoveTargetById=10;ARGS:q"), x(), &[10, 11]),
        (&with("ruleRemoveTargetByTag=b;ARGS"), x(), &[10]),
        (&with("ruleRemoveTargetById=10;ARGS:/^[qp]$/"), x(), &[11]),
        (&with("ruleEngine=Off"), x(), &[]),
    ]);
}

#[test]
fn a_removed_target_holds_for_the_chain() {
    check(&[(
        "SecAction \"id:1,phase:1,nolog,pass,ctl:ruleRemoveTargetById=10;ARGS:q\"\n\
         SecRule REQUEST_METHOD \"@streq GET\" \"id:10,phase:2,log,pass,chain\"\nSecRule ARGS \"@rx x\" \"t:none\"",
        get("/?q=x"),
        &[],
    )]);
}

#[test]
fn body_access_can_be_taken_away() {
    check(&[(
        "SecAction \"id:1,phase:1,nolog,pass,ctl:requestBodyAccess=Off\"\nSecRule ARGS_POST \"@rx .\" \"id:2,phase:2,log\"",
        post("application/x-www-form-urlencoded", "a=1"),
        &[],
    )]);
}
