//! The distinct lists of transformations.

use std::collections::HashMap;

use crate::byte_set::ByteSet;
use crate::transformations::Transformation;

/// Numbers for lists of transformations; 0 is the empty one.
#[derive(Debug)]
pub struct Pipelines {
    lists: Vec<Pipeline>,
    numbers: HashMap<Vec<Transformation>, usize>,
}

/// One list.
#[derive(Clone, Debug)]
pub struct Pipeline {
    pub steps: Vec<Transformation>,
    /// A value without any of these bytes comes out as it went in.
    pub triggers: ByteSet,
    /// Any value may change, the empty one too.
    pub always: bool,
}

impl Default for Pipelines {
    fn default() -> Self {
        let mut pipelines = Self {
            lists: Vec::new(),
            numbers: HashMap::new(),
        };
        pipelines.number(&[]);
        pipelines
    }
}

impl Pipelines {
    /// The number of a list, a new one where it has none.
    pub fn number(&mut self, steps: &[Transformation]) -> usize {
        if let Some(number) = self.numbers.get(steps) {
            return *number;
        }
        let number = self.lists.len();
        let triggers = steps
            .iter()
            .fold(ByteSet::NONE, |all, step| all.union(step.triggers()));
        self.lists.push(Pipeline {
            steps: steps.to_vec(),
            triggers,
            always: steps.iter().any(|step| step.changes_the_empty_value()),
        });
        self.numbers.insert(steps.to_vec(), number);
        number
    }

    /// The list behind a number.
    pub fn get(&self, number: usize) -> Option<&Pipeline> {
        self.lists.get(number)
    }
}
