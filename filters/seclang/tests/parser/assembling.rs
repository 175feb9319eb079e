//! Defaults, chains, removals and updates.

use portcullis_seclang::parser::Parsed;
use portcullis_seclang::rules::{Action, Disruptive, Entry, Key, Phase, Rule, Text};
use portcullis_seclang::transformations::Transformation::{Lowercase, Trim, UrlDecode};

use super::{only, parsed, problems, rules};

const TWO: &str = "SecRule ARGS|!ARGS:p a \"id:1,phase:1,deny,tag:'x y',msg:'m %{tx.a}',t:trim\"\n\
                   SecRule ARGS b \"id:2,phase:2,pass,tag:'x y',chain\"\n SecRule TX:a c \"t:trim\"\n";

fn ids(parsed: &Parsed) -> Vec<u64> {
    rules(parsed).iter().map(|rule| rule.id).collect()
}

fn targets(rule: &Rule) -> Vec<String> {
    let shown = |target: &portcullis_seclang::rules::Target| {
        let mark = ["", "!"][usize::from(target.exclude)];
        match &target.key {
            Key::Name(name) => format!("{mark}{}:{name}", target.variable.name()),
            _ => format!("{mark}{}", target.variable.name()),
        }
    };
    rule.targets.iter().map(shown).collect()
}

#[test]
fn default_actions_of_a_phase() {
    let text = "SecAction \"id:1,phase:2\"\n\
                SecDefaultAction \"phase:2,deny,status:501,nolog,t:lowercase\"\n\
                SecAction \"id:2,phase:2,block,log\"\n\
                SecAction \"id:3,phase:2,pass,t:trim,status:401\"\n\
                SecAction \"id:4,t:none,t:trim,redirect:/a\"\n\
                SecAction \"id:5,phase:1\"\n\
                SecRule ARGS a \"id:6,chain,t:none\"\n SecRule ARGS b \"t:trim\"\n";
    let parsed = parsed(text);
    let found: Vec<_> = rules(&parsed)
        .into_iter()
        .map(|rule| {
            (
                rule.disruptive.clone(),
                rule.status,
                rule.log,
                rule.transformations.clone(),
            )
        })
        .collect();
    let redirect = Disruptive::Redirect(Text::parse("/a").unwrap());
    let expected = [
        (Disruptive::Deny, Some(501), false, vec![Lowercase]),
        (Disruptive::Deny, Some(501), true, vec![Lowercase]),
        (Disruptive::Pass, Some(401), false, vec![Lowercase, Trim]),
        (redirect, Some(501), false, vec![Trim]),
        (Disruptive::Pass, None, true, vec![]),
        (Disruptive::Deny, Some(501), false, vec![]),
    ];
    assert_eq!(found, expected);
    let member = &rules(&parsed)[5].chain[0];
    assert_eq!(member.transformations, [Lowercase, Trim]);
    assert_eq!(
        (&member.disruptive, member.phase),
        (&Disruptive::Pass, Phase::RequestBody)
    );
}

#[test]
fn a_default_tag_is_for_all_rules() {
    let rule = only(
        "SecDefaultAction \"phase:1,block,deny,tag:'Host: %{request_headers.host}'\"\n\
         SecAction id:1,phase:1,tag:a",
    );
    let tags: Vec<_> = rule.metadata.tags.iter().map(Text::to_string).collect();
    assert_eq!(tags, ["Host: %{REQUEST_HEADERS.host}", "a"]);
}

#[test]
fn what_is_wrong_with_default_actions() {
    let cases = [
        ("pass", "1:19: error: the phase is missing: phase:NUMBER"),
        (
            "phase:1",
            "1:19: error: the default verdict is missing: pass, deny, drop, redirect or allow",
        ),
        (
            "phase:1,block",
            "1:19: error: the default verdict is missing: pass, deny, drop, redirect or allow",
        ),
        (
            "phase:1,pass,id:1",
            "1:32: error: id cannot be a default action",
        ),
        (
            "phase:1,pass,msg:a",
            "1:32: error: msg cannot be a default action",
        ),
        (
            "phase:1,pass,t:none",
            "1:32: error: t cannot be a default action",
        ),
        (
            "phase:1,pass\"\nSecDefaultAction \"phase:1,deny",
            "2:1: error: phase 1 has its default at t:1:1",
        ),
    ];
    for (text, expected) in cases {
        let told = problems(&format!("SecDefaultAction \"{text}\""));
        assert_eq!(told, format!("t:{expected}\n"), "{text}");
    }
}

#[test]
fn chains() {
    let rule = only(
        "SecRule ARGS a \"id:1,phase:3,deny,chain\"\n\
         SecRuleEngine On\n\
         SecAction \"chain,setvar:tx.a\"\n\
         SecRule TX:a b \"capture,status:404,skipAfter:END\"\nSecMarker END\n",
    );
    assert_eq!((rule.chain.len(), rule.status), (2, Some(404)));
    assert_eq!(rule.skip_after.as_deref(), Some("END"));
    assert_eq!(rule.chain[0].operator, None);
    assert!(matches!(rule.chain[0].actions[..], [Action::SetVar(_)]));
    assert!(rule.chain[1].capture && rule.chain[1].phase == Phase::ResponseHeaders);
    let told = problems(
        "SecRule ARGS a \"id:1,chain\"\n\
         SecRule ARGS b \"id:2,phase:2,deny,tag:x,chain\"\n\
         SecMarker END\n",
    );
    let expected = "\
t:2:17: warning: id has no effect here: the first rule of the chain has it
t:2:22: warning: phase has no effect here: the first rule of the chain has it
t:2:30: error: deny belongs to the first rule of the chain
t:2:35: warning: tag has no effect here: the first rule describes the chain
t:2:1: error: the rule says chain, and no rule follows
";
    assert_eq!(told, expected);
}

#[test]
fn markers_keep_their_place_among_rules() {
    let parsed =
        parsed("SecAction id:1,skipAfter:A\nSecMarker \"A\"\nSecAction id:2\nSecMarker 'B c'\n");
    let shown: Vec<_> = parsed
        .rules
        .entries
        .iter()
        .map(|entry| match entry {
            Entry::Rule(rule) => rule.id.to_string(),
            Entry::Marker(name) => name.clone(),
        })
        .collect();
    assert_eq!(shown, ["1", "A", "2", "B c"]);
    assert_eq!(
        problems("SecAction id:1,skipAfter:A"),
        "t:1:1: warning: skipAfter: there is no SecMarker \"A\": the rest of the phase is skipped\n"
    );
}

#[test]
fn removals_of_earlier_and_later_rules() {
    let cases: [(&str, &[u64]); 8] = [
        ("SecRuleRemoveById 1", &[2]),
        ("SecRuleRemoveById 2 1", &[]),
        ("SecRuleRemoveById \"1-5\"", &[]),
        ("SecRuleRemoveById 0-1,7-9 2", &[]),
        ("SecRuleRemoveByTag \"x y\"", &[]),
        ("SecRuleRemoveByTag x", &[1, 2]),
        ("SecRuleRemoveByMsg 'm %{TX.a}'", &[2]),
        ("SecRuleRemoveByMsg m", &[1, 2]),
    ];
    for (text, expected) in cases {
        for text in [format!("{TWO}{text}"), format!("{text}\n{TWO}")] {
            assert_eq!(ids(&parsed(&text)), expected, "{text}");
        }
    }
    let told = problems(
        "SecRuleRemoveById x\nSecRuleRemoveById 5-2\nSecRuleRemoveById 3\nSecRuleRemoveByTag a",
    );
    let expected = "\
t:1:19: error: \"x\" is neither the id of a rule nor a range FIRST-LAST
t:2:19: error: \"5-2\" runs backwards
t:1:19: warning: no rule has this id (or the chain is shorter): nothing is changed
t:2:19: warning: no rule has this id (or the chain is shorter): nothing is changed
t:3:19: warning: no rule has this id (or the chain is shorter): nothing is changed
t:4:20: warning: no rule has this tag, which is compared as a whole: nothing is changed
";
    assert_eq!(told, expected);
}

/// A directive, and the targets it leaves to the first rule, the second one and its member.
type Updated<'a> = (&'a str, &'a [&'a str], &'a [&'a str], &'a [&'a str]);

#[test]
fn updates_of_targets() {
    let one: &[&str] = &["ARGS", "!ARGS:p"];
    let cases: [Updated<'_>; 9] = [
        (
            "ById 1 \"!ARGS:q\"",
            &["ARGS", "!ARGS:p", "!ARGS:q"],
            &["ARGS"],
            &["TX:a"],
        ),
        (
            "ById 1 !ARGS:p|TX",
            &["ARGS", "!ARGS:p", "TX"],
            &["ARGS"],
            &["TX:a"],
        ),
        (
            "ById 1-2 !ARGS:q",
            &["ARGS", "!ARGS:p", "!ARGS:q"],
            &["ARGS", "!ARGS:q"],
            &["TX:a"],
        ),
        (
            "ById 1 2 !ARGS:q",
            &["ARGS", "!ARGS:p", "!ARGS:q"],
            &["ARGS", "!ARGS:q"],
            &["TX:a"],
        ),
        ("ById \"2:1\" TX:b", one, &["ARGS"], &["TX:a", "TX:b"]),
        ("ById 2:1 TX:b TX:a", one, &["ARGS"], &["TX:b"]),
        (
            "ById 1 REQUEST_BODY ARGS",
            &["!ARGS:p", "REQUEST_BODY"],
            &["ARGS"],
            &["TX:a"],
        ),
        (
            "ByTag 'x y' !ARGS:q",
            &["ARGS", "!ARGS:p", "!ARGS:q"],
            &["ARGS", "!ARGS:q"],
            &["TX:a"],
        ),
        (
            "ByMsg 'm %{tx.a}' !ARGS:q",
            &["ARGS", "!ARGS:p", "!ARGS:q"],
            &["ARGS"],
            &["TX:a"],
        ),
    ];
    for (text, first, second, member) in cases {
        let parsed = parsed(&format!("SecRuleUpdateTarget{text}\n{TWO}"));
        let rules = rules(&parsed);
        let found = [rules[0], rules[1], &rules[1].chain[0]].map(targets);
        assert_eq!(found, [first, second, member], "{text}");
        assert!(parsed.warnings.is_empty(), "{text}");
    }
    let cases = [
        (
            "ById x ARGS",
            "25: error: \"x\" is neither the id of a rule nor a range FIRST-LAST",
        ),
        (
            "ById 9 ARGS",
            "25: warning: no rule has this id (or the chain is shorter): nothing is changed",
        ),
        (
            "ById 2:2 ARGS",
            "25: warning: no rule has this id (or the chain is shorter): nothing is changed",
        ),
        (
            "ById 2:x ARGS",
            "25: error: \"2:x\": the place in the chain after :",
        ),
        (
            "ById 1 ARGZ",
            "27: error: unknown variable \"ARGZ\", did you mean ARGS?",
        ),
        (
            "ById 1 2",
            "1: error: SecRuleUpdateTargetById: RULES \"TARGETS\" [\"REPLACED\"]",
        ),
        (
            "ByTag z ARGS",
            "26: warning: no rule has this tag, which is compared as a whole: nothing is changed",
        ),
    ];
    for (text, expected) in cases {
        let told = problems(&format!("SecRuleUpdateTarget{text}\n{TWO}"));
        assert_eq!(told, format!("t:1:{expected}\n"), "{text}");
    }
}

#[test]
fn updates_of_actions() {
    let updated = |text: &str| {
        let parsed = parsed(&format!("SecRuleUpdateActionById {text}\n{TWO}"));
        rules(&parsed).into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(updated("1 pass")[0].disruptive, Disruptive::Pass);
    assert_eq!(updated("1-2 \"deny,status:404\"")[1].status, Some(404));
    assert_eq!(
        updated("1 t:urlDecode")[0].transformations,
        [Trim, UrlDecode]
    );
    assert_eq!(
        updated("1 \"t:none,t:urlDecode\"")[0].transformations,
        [UrlDecode]
    );
    assert_eq!(
        updated("2:1 t:urlDecode")[1].chain[0].transformations,
        [Trim, UrlDecode]
    );
    let rule = &updated("1 \"tag:z,msg:'n',setvar:tx.a,nolog\"")[0];
    assert_eq!(
        (rule.metadata.tags.len(), rule.actions.len(), rule.log),
        (2, 1, false)
    );
    assert_eq!(rule.metadata.message.as_ref().unwrap().to_string(), "n");
    let cases = [
        ("1 id:5", "27: error: id of a rule cannot be updated"),
        ("1 phase:5", "27: error: phase of a rule cannot be updated"),
        ("1 chain", "27: error: chain of a rule cannot be updated"),
        (
            "2:1 deny",
            "29: error: deny belongs to the first rule of the chain",
        ),
        (
            "1 2",
            "1: error: SecRuleUpdateActionById: RULES \"ACTIONS\"",
        ),
        (
            "9 deny",
            "25: warning: no rule has this id (or the chain is shorter): nothing is changed",
        ),
    ];
    for (text, expected) in cases {
        let told = problems(&format!("SecRuleUpdateActionById {text}\n{TWO}"));
        assert_eq!(told, format!("t:1:{expected}\n"), "{text}");
    }
}
