//! Changes for some exchanges, without another plan.

use std::sync::Arc;

use portcullis_seclang::plan::ctl::Select;
use portcullis_seclang::rules::actions::RuleEngine;
use portcullis_seclang::rules::{Key, Target};
use portcullis_seclang::transaction::tuning::{Exclusions, PathMatch, Settings, Spoken, Tuning};
use portcullis_seclang::variables::Variable;

use super::support::{World, engine, get, run};

const RULES: &str = "SecRule &TX:level \"@eq 0\" \"id:1,phase:1,nolog,pass,setvar:tx.level=1\"\n\
                     SecRule ARGS \"@rx x\" \"id:10,phase:2,deny,log,tag:'t'\"\n\
                     SecRule TX:level \"@ge 2\" \"id:20,phase:2,log,pass\"";

fn outcome(spoken: Spoken, target: &str) -> (Option<u16>, Vec<u64>) {
    let engine = engine(RULES);
    let tuning = Arc::new(Tuning::new(spoken, engine.plan()).unwrap());
    let mut transaction = engine.tuned_transaction(&tuning);
    let verdict = run(&mut transaction, &World::default(), &get(target));
    let ids = transaction.matches().iter().map(|found| found.id).collect();
    (verdict.map(|verdict| verdict.status), ids)
}

fn excluding(rules: Select, path: Option<PathMatch>, argument: Option<&str>) -> Spoken {
    let target = argument.map(|name| Target {
        variable: Variable::Args,
        key: Key::Name(name.to_owned()),
        count: false,
        exclude: false,
    });
    let exclusions = vec![Exclusions {
        rules,
        path,
        target,
    }];
    Spoken {
        exclusions,
        ..Spoken::default()
    }
}

#[test]
fn the_engine_and_variables() {
    assert_eq!(outcome(Spoken::default(), "/?q=x"), (Some(403), vec![10]));
    let settings = Settings {
        engine: Some(RuleEngine::DetectionOnly),
        tx: vec![("level".to_owned(), "2".to_owned())],
        ..Settings::default()
    };
    let spoken = Spoken {
        settings,
        ..Spoken::default()
    };
    assert_eq!(outcome(spoken, "/?q=x"), (None, vec![10, 20]));
}

#[test]
fn exclusions_by_path_and_target() {
    let ten = || Select::Ids(vec![(10, 10)]);
    let prefix = || Some(PathMatch::Prefix("/search".to_owned()));
    let denied = (Some(403), vec![10]);
    let passed = (None, vec![]);
    assert_eq!(outcome(excluding(ten(), None, None), "/?q=x"), passed);
    assert_eq!(
        outcome(excluding(Select::Tag("t".to_owned()), None, None), "/?q=x"),
        passed
    );
    assert_eq!(
        outcome(excluding(ten(), prefix(), None), "/search/a?q=x"),
        passed
    );
    assert_eq!(
        outcome(excluding(ten(), prefix(), None), "/searching?q=x"),
        denied
    );
    assert_eq!(
        outcome(excluding(ten(), prefix(), Some("q")), "/search?q=x"),
        passed
    );
    assert_eq!(
        outcome(excluding(ten(), prefix(), Some("q")), "/search?p=x"),
        denied
    );
    let regex = Some(PathMatch::Regex("^/s.*h$".to_owned()));
    assert_eq!(
        outcome(excluding(ten(), regex, None), "/search?q=x"),
        passed
    );
}

#[test]
fn an_exclusion_of_nothing_is_a_mistake() {
    let engine = engine(RULES);
    let spoken = excluding(Select::Ids(vec![(99, 99)]), None, None);
    let problems = Tuning::new(spoken, engine.plan()).unwrap_err();
    assert_eq!(problems[0].0, 0);
}
