//! The members of `TX` that the rules name, numbered.

use std::collections::HashMap;

/// Numbers for names; case is ignored.
#[derive(Debug)]
pub struct TxNames {
    numbers: HashMap<String, usize>,
    names: Vec<String>,
}

impl Default for TxNames {
    /// With `0` to `9`, where operators put what they captured, as the first ten.
    fn default() -> Self {
        let mut names = Self {
            numbers: HashMap::new(),
            names: Vec::new(),
        };
        for digit in 0..10 {
            names.number(&digit.to_string());
        }
        names
    }
}

impl TxNames {
    /// The number of a name, a new one where it has none.
    pub fn number(&mut self, name: &str) -> usize {
        let name = name.to_ascii_lowercase();
        if let Some(number) = self.numbers.get(&name) {
            return *number;
        }
        let number = self.names.len();
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }

    /// The number of a name in lower case.
    pub fn find(&self, lowercase: &str) -> Option<usize> {
        self.numbers.get(lowercase).copied()
    }

    /// In lower case.
    pub fn name(&self, number: usize) -> &str {
        self.names.get(number).map_or("", String::as_str)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Never true: ten are there from the start.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}
