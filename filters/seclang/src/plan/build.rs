//! From the rule set to the plan.

use std::collections::HashMap;

use crate::operators::Operator;
use crate::plan::ctl::Ctl;
use crate::plan::link::{Action, Change, Exclusion, Link, Name, Target, Test};
use crate::plan::selectors::Matcher;
use crate::plan::{
    Group, Identity, Macro, Pipelines, Plan, Prefilter, Rule, Selectors, Steps, TxNames,
};
use crate::rules::actions::{Action as Spoken, Change as SpokenChange};
use crate::rules::{self, Disruptive, Entry, Key, Phase, RuleSet, Text};
use crate::source::{Files, Position, Problem, Severity};
use crate::transformations::UnicodeMap;
use crate::variables::Variable;

/// Compiles a rule set. `files` are for the operators that read one (`@pmFromFile`).
///
/// # Errors
/// Every operator, key and action that cannot be compiled, each with its place.
pub fn build(set: RuleSet, files: &dyn Files) -> Result<Plan, Vec<Problem>> {
    let identities = identities(&set);
    let mut builder = Builder {
        files,
        identities: &identities,
        operators: Vec::new(),
        operator_texts: Vec::new(),
        operator_numbers: HashMap::new(),
        pipelines: Pipelines::default(),
        selectors: Selectors::default(),
        names: TxNames::default(),
        problems: Vec::new(),
    };
    let mut rules = Vec::new();
    let mut phases = <[Steps; 5]>::default();
    let mut markers: Vec<(String, [usize; 5])> = Vec::new();
    let mut jumps: Vec<(usize, Phase, usize, String)> = Vec::new();
    for entry in &set.entries {
        match entry {
            Entry::Rule(rule) => {
                let Some(steps) = phases.get_mut(rule.phase as usize) else {
                    continue;
                };
                if let Some(marker) = &rule.skip_after {
                    jumps.push((rules.len(), rule.phase, steps.len(), marker.clone()));
                }
                let built = builder.rule(rule);
                steps.push_rule(rules.len(), &built);
                rules.push(built);
            }
            Entry::Marker(name) => {
                markers.push((name.clone(), phases.each_ref().map(Steps::len)));
                phases.iter_mut().for_each(Steps::push_marker);
            }
        }
    }
    for (rule, phase, from, marker) in jumps {
        let steps = phases.get(phase as usize).map_or(0, Steps::len);
        // A marker that does not come leads to the end, as in ModSecurity.
        let to = markers
            .iter()
            .filter(|(name, _)| *name == marker)
            .filter_map(|(_, places)| places.get(phase as usize).copied())
            .find(|place| *place > from);
        if let Some(rule) = rules.get_mut(rule) {
            rule.jump = Some(to.unwrap_or(steps));
        }
    }
    let Builder {
        operators,
        operator_texts,
        pipelines,
        selectors,
        names: tx_names,
        mut problems,
        ..
    } = builder;
    let necessary = operators.iter().map(Operator::necessary).collect();
    let prefilter = Prefilter::new(necessary).unwrap_or_else(|message| {
        problems.push(problem(&nowhere(), message));
        Prefilter::default()
    });
    if !problems.is_empty() {
        return Err(problems);
    }
    let by_id = identities
        .iter()
        .enumerate()
        .map(|(index, identity)| (identity.id, index))
        .collect();
    Ok(Plan {
        unicode_map: UnicodeMap::new(&set.settings.unicode_map),
        settings: set.settings,
        operators,
        operator_texts,
        pipelines,
        selectors,
        prefilter,
        tx_names,
        rules,
        identities,
        phases,
        by_id,
    })
}

fn identities(set: &RuleSet) -> Vec<Identity> {
    set.entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Rule(rule) => Some(Identity {
                id: rule.id,
                metadata: rule.metadata.clone(),
            }),
            Entry::Marker(_) => None,
        })
        .collect()
}

fn nowhere() -> Position {
    Position {
        file: "rules".into(),
        line: 1,
        column: 1,
    }
}

fn problem(position: &Position, message: String) -> Problem {
    Problem {
        position: position.clone(),
        severity: Severity::Error,
        message,
    }
}

struct Builder<'a> {
    files: &'a dyn Files,
    identities: &'a [Identity],
    operators: Vec<Operator>,
    operator_texts: Vec<String>,
    /// By name and argument; `@pmFromFile` means its file, which depends on the folder of the rule's.
    operator_numbers: HashMap<(String, String, std::sync::Arc<str>), usize>,
    pipelines: Pipelines,
    selectors: Selectors,
    names: TxNames,
    problems: Vec<Problem>,
}

impl Builder<'_> {
    fn rule(&mut self, rule: &rules::Rule) -> Rule {
        let links = std::iter::once(rule)
            .chain(&rule.chain)
            .map(|link| self.link(link))
            .collect();
        let redirect = match &rule.disruptive {
            Disruptive::Redirect(text) => Some(self.text(text)),
            _ => None,
        };
        let metadata = &rule.metadata;
        Rule {
            position: rule.position.clone(),
            id: rule.id,
            links,
            disruptive: rule.disruptive.clone(),
            redirect,
            status: rule.status,
            message: metadata.message.as_ref().map(|text| self.text(text)),
            logdata: metadata.logdata.as_ref().map(|text| self.text(text)),
            tags: metadata.tags.iter().map(|text| self.text(text)).collect(),
            log: rule.log,
            audit_log: rule.audit_log,
            skip: rule.skip,
            jump: None,
        }
    }

    fn link(&mut self, rule: &rules::Rule) -> Link {
        let test = rule
            .operator
            .as_ref()
            .and_then(|operator| self.test(rule, operator));
        let actions = rule
            .actions
            .iter()
            .filter_map(|action| self.action(&rule.position, action))
            .collect();
        Link {
            test,
            actions,
            capture: rule.capture,
        }
    }

    /// `None` only with a problem noted.
    fn test(&mut self, rule: &rules::Rule, operator: &rules::Operator) -> Option<Test> {
        let number = self.operator(operator)?;
        let argument = self
            .operators
            .get(number)
            .and_then(|operator| operator.argument().cloned())
            .map(|text| self.text(&text));
        let steps = rule.transformations.as_slice();
        let pipelines: Vec<usize> = if rule.multi_match {
            (0..=steps.len())
                .filter_map(|end| steps.get(..end))
                .map(|steps| self.pipelines.number(steps))
                .collect()
        } else {
            vec![self.pipelines.number(steps)]
        };
        let mut targets = Vec::new();
        let mut exclusions = Vec::new();
        for target in &rule.targets {
            let key = match Matcher::new(&target.key) {
                Ok(key) => key,
                Err(message) => {
                    self.problems.push(problem(&rule.position, message));
                    continue;
                }
            };
            if target.exclude {
                exclusions.push(Exclusion {
                    variable: target.variable,
                    key,
                });
            } else {
                targets.push(self.target(target, &pipelines));
            }
        }
        Some(Test {
            targets,
            exclusions,
            operator: number,
            negated: operator.negated,
            argument,
            pipelines,
        })
    }

    fn target(&mut self, target: &rules::Target, pipelines: &[usize]) -> Target {
        let selector = self.selectors.number(target);
        let groups = if target.count {
            Vec::new()
        } else {
            pipelines
                .iter()
                .filter_map(|pipeline| {
                    self.selectors.group(Group {
                        selector,
                        pipeline: *pipeline,
                    })
                })
                .collect()
        };
        let tx = match &target.key {
            Key::Name(name) if target.variable == Variable::Tx && pipelines == [0] => {
                Some(self.names.number(name))
            }
            _ => None,
        };
        Target {
            variable: target.variable,
            selector,
            groups,
            tx,
            count: target.count,
        }
    }

    fn operator(&mut self, operator: &rules::Operator) -> Option<usize> {
        let place = (
            operator.name.to_ascii_lowercase(),
            operator.argument.clone(),
            operator.position.file.clone(),
        );
        if let Some(number) = self.operator_numbers.get(&place) {
            return Some(*number);
        }
        match Operator::compile(operator, self.files) {
            Ok(compiled) => {
                let number = self.operators.len();
                self.operators.push(compiled);
                let text = format!("{} {}", operator.name, operator.argument);
                self.operator_texts.push(text.trim_end().to_owned());
                self.operator_numbers.insert(place, number);
                Some(number)
            }
            Err(message) => {
                self.problems.push(problem(&operator.position, message));
                None
            }
        }
    }

    fn text(&mut self, text: &Text) -> Macro {
        Macro::new(text, &mut self.selectors, &mut self.names)
    }

    fn action(&mut self, position: &Position, action: &Spoken) -> Option<Action> {
        Some(match action {
            Spoken::SetVar(set) => Action::SetVar {
                collection: set.collection,
                key: self.name(set.collection, &set.key),
                change: match &set.change {
                    SpokenChange::Set(value) => Change::Set(self.text(value)),
                    SpokenChange::Add(value) => Change::Add(self.text(value)),
                    SpokenChange::Subtract(value) => Change::Subtract(self.text(value)),
                    SpokenChange::Remove => Change::Remove,
                },
            },
            Spoken::ExpireVar {
                collection,
                key,
                seconds,
            } => Action::ExpireVar {
                collection: *collection,
                key: self.text(key),
                seconds: self.text(seconds),
            },
            Spoken::DeprecateVar {
                collection,
                key,
                amount,
                seconds,
            } => Action::DeprecateVar {
                collection: *collection,
                key: self.text(key),
                amount: *amount,
                seconds: *seconds,
            },
            Spoken::InitCol { collection, key } | Spoken::SetId { collection, key } => {
                Action::InitCol {
                    collection: *collection,
                    key: self.text(key),
                    identity: matches!(action, Spoken::SetId { .. }),
                }
            }
            Spoken::SetEnv { name, value } => Action::SetEnv {
                name: name.as_str().into(),
                value: self.text(value),
            },
            Spoken::Ctl(ctl) => match Ctl::new(ctl, self.identities) {
                Ok(ctl) => Action::Ctl(ctl),
                Err(message) => {
                    self.problems.push(problem(position, message));
                    return None;
                }
            },
        })
    }

    fn name(&mut self, collection: Variable, key: &Text) -> Name {
        match key.literal() {
            Some(literal) if collection == Variable::Tx => Name::Tx(self.names.number(literal)),
            _ => Name::Text(self.text(key)),
        }
    }
}
