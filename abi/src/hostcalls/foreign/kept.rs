//! What foreign functions keep in a VM between calls, by root context.

use std::collections::HashMap;
use std::sync::Arc;

use cel::Program;

use crate::limits::{DECLARATIONS_MAX, EXPRESSIONS_MAX};
use crate::stream::Declaration;
use crate::vm::ContextId;

/// Declared properties and compiled expressions. A clone shares the programs, which never change.
#[derive(Clone, Default)]
pub(crate) struct Kept {
    declared: HashMap<(ContextId, Vec<u8>), Declaration>,
    expressions: HashMap<(ContextId, u32), Arc<Program>>,
    last_expression: u32,
}

/// Why something was not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeptError {
    Twice,
    TooMany,
}

impl Kept {
    pub(super) fn declare(
        &mut self,
        root: ContextId,
        name: &[u8],
        declaration: Declaration,
    ) -> Result<(), KeptError> {
        let key = (root, name.to_vec());
        if self.declared.contains_key(&key) {
            return Err(KeptError::Twice);
        }
        if self.declared.len() >= DECLARATIONS_MAX {
            return Err(KeptError::TooMany);
        }
        self.declared.insert(key, declaration);
        Ok(())
    }

    /// What was declared of a property, its path as it is set.
    pub(crate) fn declaration(&self, root: ContextId, path: &[u8]) -> Option<Declaration> {
        if self.declared.is_empty() {
            return None;
        }
        self.declared.get(&(root, path.to_vec())).copied()
    }

    /// Keeps a program under a number that was never used before. `None`: too many are kept.
    pub(super) fn add_expression(&mut self, root: ContextId, program: Program) -> Option<u32> {
        if self.expressions.len() >= EXPRESSIONS_MAX {
            return None;
        }
        self.last_expression = self.last_expression.checked_add(1)?;
        let key = (root, self.last_expression);
        self.expressions.insert(key, Arc::new(program));
        Some(self.last_expression)
    }

    pub(super) fn expression(&self, root: ContextId, token: u32) -> Option<Arc<Program>> {
        self.expressions.get(&(root, token)).map(Arc::clone)
    }

    pub(super) fn delete_expression(&mut self, root: ContextId, token: u32) {
        self.expressions.remove(&(root, token));
    }
}
