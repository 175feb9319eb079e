//! Changes of a rule set for some exchanges: a route, a path, a detection-only trial. They cost no second plan.

use std::sync::Arc;

use crate::plan::Plan;
use crate::plan::ctl::{RemovedTarget, RuleSet, Select};
use crate::plan::link::Exclusion;
use crate::plan::selectors::Matcher;
use crate::rules::Target;
use crate::rules::actions::{AuditEngine, RuleEngine};
use crate::rules::settings::LimitAction;
use crate::transaction::Transaction;

/// See the module. Made by [`Tuning::new`] from a [`Spoken`].
#[derive(Debug, Default)]
pub struct Tuning {
    settings: Settings,
    exclusions: Vec<Exclude>,
}

/// What is said of a tuning. Empty: the rule set as it is.
#[derive(Clone, Debug, Default)]
pub struct Spoken {
    pub settings: Settings,
    pub exclusions: Vec<Exclusions>,
}

/// What replaces a setting of the rule set, where there is something.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub engine: Option<RuleEngine>,
    pub audit_engine: Option<AuditEngine>,
    pub request_body_access: Option<bool>,
    /// Bytes.
    pub request_body_limit: Option<u64>,
    pub request_body_limit_action: Option<LimitAction>,
    pub response_body_access: Option<bool>,
    /// Bytes.
    pub response_body_limit: Option<u64>,
    pub response_body_limit_action: Option<LimitAction>,
    /// Members of `TX` that are there before the first rule: names without `tx.`.
    pub tx: Vec<(String, String)>,
}

/// Rules that do not run, or do not look at something.
#[derive(Clone, Debug)]
pub struct Exclusions {
    pub rules: Select,
    /// Only on these paths; `None`: everywhere.
    pub path: Option<PathMatch>,
    /// Only this is not looked at; `None`: the rules do not run.
    pub target: Option<Target>,
}

/// Which paths are meant; compared with `REQUEST_FILENAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathMatch {
    Exact(String),
    /// The path itself, or one below it: `/search` means `/search/a`, not `/searching`.
    Prefix(String),
    Regex(String),
}

#[derive(Debug)]
struct Exclude {
    path: Option<Path>,
    what: What,
}

#[derive(Debug)]
enum Path {
    Exact(String),
    Prefix(String),
    Regex(Box<regex_automata::meta::Regex>),
}

#[derive(Debug)]
enum What {
    Rules(RuleSet),
    Target(Arc<RemovedTarget>),
}

impl Tuning {
    /// For exchanges under `plan`.
    ///
    /// # Errors
    /// Each exclusion that means no rule, or has a pattern that cannot be compiled, with its index.
    pub fn new(spoken: Spoken, plan: &Plan) -> Result<Self, Vec<(usize, String)>> {
        let mut exclusions = Vec::new();
        let mut problems = Vec::new();
        for (index, said) in spoken.exclusions.iter().enumerate() {
            match Exclude::new(said, plan) {
                Ok(exclude) => exclusions.push(exclude),
                Err(message) => problems.push((index, message)),
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        Ok(Self {
            settings: spoken.settings,
            exclusions,
        })
    }
}

impl Exclude {
    fn new(said: &Exclusions, plan: &Plan) -> Result<Self, String> {
        let rules = said.rules.among(&plan.identities);
        if rules.is_empty() {
            return Err("no rule of the rule set is meant".to_owned());
        }
        let path = match &said.path {
            None => None,
            Some(PathMatch::Exact(path)) => Some(Path::Exact(path.clone())),
            Some(PathMatch::Prefix(path)) => Some(Path::Prefix(path.clone())),
            Some(PathMatch::Regex(pattern)) => {
                Some(Path::Regex(Box::new(crate::operators::regex(pattern)?)))
            }
        };
        let what = match &said.target {
            None => What::Rules(rules),
            Some(target) => What::Target(Arc::new(RemovedTarget {
                rules,
                what: Exclusion {
                    variable: target.variable,
                    key: Matcher::new(&target.key)?,
                },
            })),
        };
        Ok(Self { path, what })
    }
}

impl Path {
    fn matches(&self, path: &[u8]) -> bool {
        match self {
            Self::Exact(exact) => path == exact.as_bytes(),
            Self::Prefix(prefix) => {
                let prefix = prefix.as_bytes();
                let after = path.strip_prefix(prefix);
                let whole = prefix.ends_with(b"/");
                after.is_some_and(|rest| whole || rest.is_empty() || rest.starts_with(b"/"))
            }
            Self::Regex(regex) => regex.is_match(path),
        }
    }
}

impl Transaction {
    /// Applies the settings of the tuning.
    pub(super) fn tune(&mut self) {
        let tuning = self.tuning.clone();
        let settings = &tuning.settings;
        let limits = &mut self.limits;
        replace(&mut limits.request_access, settings.request_body_access);
        replace(&mut limits.request, settings.request_body_limit);
        replace(
            &mut limits.request_action,
            settings.request_body_limit_action,
        );
        replace(&mut limits.response_access, settings.response_body_access);
        replace(&mut limits.response, settings.response_body_limit);
        replace(
            &mut limits.response_action,
            settings.response_body_limit_action,
        );
        replace(&mut self.audit_engine, settings.audit_engine);
        replace(&mut self.engine, settings.engine);
        self.detect_only = settings.engine == Some(RuleEngine::DetectionOnly);
        for (name, value) in &settings.tx {
            self.tx
                .set_named(&self.plan.tx_names, name, Some(value.as_bytes()));
        }
    }

    /// Applies the exclusions, once the path is known.
    pub(super) fn exclude(&mut self) {
        let tuning = self.tuning.clone();
        for exclude in &tuning.exclusions {
            let path = self.data.request.path.as_slice();
            if exclude
                .path
                .as_ref()
                .is_some_and(|wanted| !wanted.matches(path))
            {
                continue;
            }
            match &exclude.what {
                What::Rules(rules) => self.removed.union(rules),
                What::Target(target) => self.removed_targets.push(target.clone()),
            }
        }
    }
}

fn replace<T: Clone>(setting: &mut T, by: Option<T>) {
    if let Some(by) = by {
        *setting = by;
    }
}
