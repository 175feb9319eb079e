//! Runs the rules of a phase, and what those that match do to the exchange.

use crate::plan::{Plan, Quick, Step, Steps};
use crate::rules::actions::{Allow, RuleEngine};
use crate::rules::{Disruptive, Phase};
use crate::transaction::host::Host;
use crate::transaction::{Intervention, Transaction};

impl Transaction {
    /// Runs the rules of a phase, up to an intervention.
    pub(super) fn phase(&mut self, phase: Phase, host: &dyn Host) -> Option<Intervention> {
        if self.engine == RuleEngine::Off {
            return None;
        }
        let plan = self.plan.clone();
        let steps = plan.phases.get(phase as usize)?;
        self.current = phase;
        self.memo.clear(&plan);
        if self.is_allowed(phase) {
            return None;
        }
        let (mut at, mut skip) = (0, 0);
        while let Some(step) = steps.get(at) {
            at += 1;
            let Step::Rule { index, quick } = step else {
                continue;
            };
            let index = index as usize;
            if skip > 0 {
                skip -= 1;
                continue;
            }
            if self.removed.contains(index)
                || self.is_no_match(&plan, steps, quick, host)
                || !self.rule(&plan, index, host)
            {
                continue;
            }
            let Some(rule) = plan.rules.get(index) else {
                continue;
            };
            skip = rule.skip;
            at = rule.jump.unwrap_or(at);
            if self.engine == RuleEngine::Off {
                break;
            }
            if let Some(intervention) = self.disrupt(&plan, index, host) {
                return Some(intervention);
            }
            if self.allowed.is_some() {
                break;
            }
        }
        if self.allowed == Some(Allow::Phase) {
            self.allowed = None;
        }
        None
    }

    /// Whether a step knows that its rule does not match.
    fn is_no_match(&mut self, plan: &Plan, steps: &Steps, quick: Quick, host: &dyn Host) -> bool {
        // An explanation names the rules that were tried.
        if self.explain {
            return false;
        }
        match quick {
            Quick::Unknown => false,
            Quick::Groups {
                start,
                end,
                operator,
            } => {
                let mut groups = steps.groups(start, end).iter();
                !groups
                    .any(|group| self.could_match(plan, host, *group as usize, operator as usize))
            }
            Quick::Tx {
                number,
                operator,
                negated,
            } => {
                let Self { tx, found, .. } = self;
                let operator = plan.operators.get(operator as usize);
                let (Some(operator), Some(value)) = (operator, tx.get(number as usize)) else {
                    return true;
                };
                found.wanted = false;
                operator.evaluate(value, &[], found) == negated
            }
        }
    }

    /// Whether an earlier `allow` covers this phase.
    fn is_allowed(&mut self, phase: Phase) -> bool {
        match self.allowed {
            Some(Allow::All) => phase != Phase::Logging,
            Some(Allow::Request) => phase <= Phase::RequestBody,
            Some(Allow::Phase) | None => false,
        }
    }

    /// What a rule that matched does to the exchange.
    fn disrupt(&mut self, plan: &Plan, index: usize, host: &dyn Host) -> Option<Intervention> {
        let rule = plan.rules.get(index)?;
        if let Disruptive::Allow(scope) = rule.disruptive {
            if self.engine == RuleEngine::On {
                self.allowed = Some(scope);
            }
            return None;
        }
        if rule.disruptive == Disruptive::Pass || self.engine != RuleEngine::On {
            return None;
        }
        if self.current == Phase::Logging {
            return None;
        }
        let mut intervention = Intervention {
            rule: rule.id,
            phase: self.current,
            status: rule.status.unwrap_or(403),
            drop: rule.disruptive == Disruptive::Drop,
            redirect: None,
        };
        if let Some(to) = &rule.redirect {
            let location = self.expand_text(plan, to, host);
            // The status of a redirect is one of these, whatever the rule says.
            intervention.status = rule
                .status
                .filter(|status| matches!(status, 301 | 302 | 303 | 307 | 308))
                .unwrap_or(302);
            intervention.redirect = Some(location);
        }
        self.intervention = Some(intervention.clone());
        Some(intervention)
    }
}
