//! What rules do when they match: change variables, and the engine itself.

use crate::bodies::Processor;
use crate::plan::ctl::Ctl;
use crate::plan::link::{Action, Change, Name};
use crate::plan::macros::Piece;
use crate::plan::{Macro, Plan};
use crate::rules::actions::{Ctl as Setting, Parts};
use crate::transaction::host::Host;
use crate::transaction::persistent;
use crate::transaction::{Transaction, number};
use crate::variables::Variable;

/// The longest value that a macro makes, bytes; a rule that doubles a variable at every match stops here.
const LONGEST: usize = 1 << 20;

impl Transaction {
    pub(super) fn act(&mut self, plan: &Plan, actions: &[Action], host: &dyn Host) {
        for action in actions {
            self.act_once(plan, action, host);
        }
    }

    fn act_once(&mut self, plan: &Plan, action: &Action, host: &dyn Host) {
        match action {
            Action::SetVar {
                collection,
                key,
                change,
            } => match (collection, key) {
                (Variable::Tx, Name::Tx(number)) => self.set_tx(plan, *number, change, host),
                (collection, name) => {
                    let name = match name {
                        Name::Tx(number) => plan.tx_names.name(*number).to_owned(),
                        Name::Text(text) => self.expand_text(plan, text, host),
                    };
                    self.set_named(plan, *collection, &name, change, host);
                }
            },
            Action::ExpireVar {
                collection,
                key,
                seconds,
            } => {
                let name = self.expand_text(plan, key, host);
                let seconds = self.expand_text(plan, seconds, host);
                let seconds = u64::try_from(number(seconds.as_bytes())).unwrap_or(0);
                let change = persistent::Change::Expire(seconds);
                self.persistent
                    .change(*collection, &name, change, host.now());
            }
            Action::DeprecateVar {
                collection,
                key,
                amount,
                seconds,
            } => {
                let name = self.expand_text(plan, key, host);
                let change = persistent::Change::Deprecate {
                    amount: *amount,
                    seconds: *seconds,
                };
                self.persistent
                    .change(*collection, &name, change, host.now());
            }
            Action::InitCol {
                collection, key, ..
            } => {
                let key = self.expand_text(plan, key, host);
                let timeout = plan.settings.collection_timeout;
                self.persistent
                    .open(*collection, key.as_bytes(), timeout, host);
            }
            Action::SetEnv { name, value } => {
                let value = self.expand_text(plan, value, host);
                self.env.retain(|(known, _)| **known != **name);
                self.env.push((name.to_string(), value));
            }
            Action::Ctl(ctl) => self.control(ctl),
        }
    }

    fn set_tx(&mut self, plan: &Plan, index: usize, change: &Change, host: &dyn Host) {
        let mut value = std::mem::take(&mut self.scratch);
        value.clear();
        match change {
            Change::Remove => self.tx.set(index, None),
            Change::Set(text) => {
                self.expand(plan, text, host, &mut value);
                self.tx.set(index, Some(&value));
            }
            Change::Add(text) | Change::Subtract(text) => {
                self.expand(plan, text, host, &mut value);
                let old = self.tx.get(index).map_or(0, number);
                let sum = summed(old, number(&value), change);
                self.tx.set(index, Some(sum.to_string().as_bytes()));
            }
        }
        self.scratch = value;
        if self.explain {
            let value = self.tx.get(index).unwrap_or_default().to_vec();
            self.note_change(plan.tx_names.name(index), &value);
        }
    }

    fn set_named(
        &mut self,
        plan: &Plan,
        collection: Variable,
        name: &str,
        change: &Change,
        host: &dyn Host,
    ) {
        let value = match change {
            Change::Remove => None,
            Change::Set(text) | Change::Add(text) | Change::Subtract(text) => {
                Some(self.expand_bytes(plan, text, host))
            }
        };
        if collection != Variable::Tx {
            let change = match (change, value) {
                (Change::Set(_), Some(value)) => persistent::Change::Set(value),
                (Change::Add(_), Some(value)) => persistent::Change::Add(number(&value)),
                (Change::Subtract(_), Some(value)) => {
                    persistent::Change::Add(number(&value).saturating_neg())
                }
                _ => persistent::Change::Remove,
            };
            return self.persistent.change(collection, name, change, host.now());
        }
        let value = match (change, value) {
            (Change::Add(_) | Change::Subtract(_), Some(value)) => {
                let old = self.tx.find(&plan.tx_names, name).map_or(0, number);
                Some(summed(old, number(&value), change).to_string().into_bytes())
            }
            (_, value) => value,
        };
        self.tx.set_named(&plan.tx_names, name, value.as_deref());
    }

    fn control(&mut self, ctl: &Ctl) {
        match ctl {
            Ctl::Remove(rules) => self.removed.union(rules),
            Ctl::RemoveTarget(target) => {
                if self.removed_targets.len() < super::MOST_MATCHES {
                    self.removed_targets.push(target.clone());
                }
            }
            Ctl::Setting(setting) => self.set(setting),
        }
    }

    fn set(&mut self, setting: &Setting) {
        match setting {
            Setting::RuleEngine(engine) => {
                // Detection for this exchange is not lifted by a rule of the set: it was asked for from outside.
                if !self.detect_only || *engine == crate::rules::actions::RuleEngine::Off {
                    self.engine = *engine;
                }
            }
            Setting::AuditEngine(engine) => self.audit_engine = *engine,
            Setting::AuditLogParts(parts) => match parts {
                Parts::Set(parts) => self.audit_parts.clone_from(parts),
                Parts::Add(parts) => self.audit_parts.push_str(parts),
                Parts::Remove(parts) => self.audit_parts.retain(|part| !parts.contains(part)),
            },
            Setting::RequestBodyProcessor(name) => {
                self.data.request.processor = Processor::parse(name);
            }
            Setting::ResponseBodyProcessor(name) => {
                self.data.response.processor = Processor::parse(name);
            }
            Setting::RequestBodyAccess(on) => self.limits.request_access = *on,
            Setting::RequestBodyLimit(limit) => self.limits.request = *limit,
            Setting::ResponseBodyAccess(on) => self.limits.response_access = *on,
            Setting::ResponseBodyLimit(limit) => self.limits.response = *limit,
            Setting::ForceRequestBodyVariable(on) => self.force_request_body = *on,
            Setting::ForceResponseBodyVariable(on) => self.force_response_body = *on,
            // Those with rules are `Ctl::Remove` and `Ctl::RemoveTarget`.
            Setting::RuleRemoveById(_)
            | Setting::RuleRemoveByTag(_)
            | Setting::RuleRemoveByMsg(_)
            | Setting::RuleRemoveTargetById { .. }
            | Setting::RuleRemoveTargetByTag { .. }
            | Setting::RuleRemoveTargetByMsg { .. } => {}
        }
    }

    /// A text with its macros replaced.
    pub(super) fn expand(&mut self, plan: &Plan, text: &Macro, host: &dyn Host, out: &mut Vec<u8>) {
        for piece in &text.pieces {
            match piece {
                Piece::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
                Piece::Tx(number) => {
                    out.extend_from_slice(self.tx.get(*number).unwrap_or_default());
                }
                Piece::Selector(number) => {
                    let Some(selector) = plan.selectors.get(*number) else {
                        continue;
                    };
                    let mut members = Vec::new();
                    self.read(selector, host, &mut members);
                    if let Some(first) = members.first() {
                        out.extend_from_slice(self.texts.get(first.value));
                    }
                }
            }
            out.truncate(LONGEST);
        }
    }

    fn expand_bytes(&mut self, plan: &Plan, text: &Macro, host: &dyn Host) -> Vec<u8> {
        let mut out = Vec::new();
        self.expand(plan, text, host, &mut out);
        out
    }

    /// As text, for names and messages.
    pub(super) fn expand_text(&mut self, plan: &Plan, text: &Macro, host: &dyn Host) -> String {
        match text.literal() {
            Some(literal) => literal.to_owned(),
            None => String::from_utf8_lossy(&self.expand_bytes(plan, text, host)).into_owned(),
        }
    }
}

fn summed(old: i64, by: i64, change: &Change) -> i64 {
    match change {
        Change::Subtract(_) => old.saturating_sub(by),
        _ => old.saturating_add(by),
    }
}
