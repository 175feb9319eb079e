//! A rule set at work: the plan, and the memory that exchanges leave to their successors.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use regex_automata::meta::Regex;

use crate::operators::regex;
use crate::plan::{self, Plan};
use crate::rules::RuleSet;
use crate::rules::settings::AuditLogFormat;
use crate::source::{Files, Position, Problem, Severity};
use crate::transaction::Transaction;
use crate::transaction::tuning::Tuning;

/// So many transactions' memory is kept; more are at work at once only where many requests wait for their bodies.
const KEPT: usize = 8;

/// See the module. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Engine {
    plan: Arc<Plan>,
    untuned: Arc<Tuning>,
    relevant: Option<Rc<Regex>>,
    used: Rc<RefCell<Vec<Transaction>>>,
}

impl Engine {
    /// Compiles a rule set. `files` are for operators that read one (`@pmFromFile`).
    ///
    /// # Errors
    /// Every rule that cannot be compiled, with its place.
    pub fn new(set: RuleSet, files: &dyn Files) -> Result<Self, Vec<Problem>> {
        let pattern = set.settings.audit_log_relevant_status.clone();
        let plan = plan::build(set, files)?;
        let relevant = match pattern.map(|pattern| regex(&pattern)) {
            Some(Err(message)) => {
                return Err(vec![Problem {
                    position: Position {
                        file: "SecAuditLogRelevantStatus".into(),
                        line: 1,
                        column: 1,
                    },
                    severity: Severity::Error,
                    message,
                }]);
            }
            Some(Ok(pattern)) => Some(Rc::new(pattern)),
            None => None,
        };
        Ok(Self {
            plan: Arc::new(plan),
            untuned: Arc::default(),
            relevant,
            used: Rc::default(),
        })
    }

    /// The compiled rules.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// An exchange under the rules as they are.
    pub fn transaction(&self) -> Transaction {
        self.tuned_transaction(&self.untuned)
    }

    /// An exchange under tuned rules.
    pub fn tuned_transaction(&self, tuning: &Arc<Tuning>) -> Transaction {
        let used = self.used.borrow_mut().pop();
        let mut transaction = used.unwrap_or_else(|| Transaction::new(self.plan.clone()));
        transaction.begin(tuning);
        transaction
    }

    /// Takes the memory of an exchange that has ended.
    pub fn recycle(&self, transaction: Transaction) {
        let mut used = self.used.borrow_mut();
        if used.len() < KEPT {
            used.push(transaction);
        }
    }

    /// The exchange's record for the audit log, in the format the rules ask for; `None` where they want none.
    pub fn audit(&self, transaction: &Transaction) -> Option<String> {
        let wanted = transaction.is_audited(self.relevant.as_deref());
        wanted.then(|| match self.plan.settings.audit_log_format {
            AuditLogFormat::Json => transaction.audit_json(),
            AuditLogFormat::Native => transaction.audit_native(),
        })
    }
}
