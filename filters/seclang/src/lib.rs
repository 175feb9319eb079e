//! SecLang, the rule language of ModSecurity: from the text of rule files to verdicts over exchanges.
//!
//! ```text
//! files --parser--> RuleSet --plan--> Plan --transaction--> interventions, matches, audit record
//! ```
//!
//! Plain Rust without I/O, clock or ABI: files come through [`source::Files`], everything of an exchange is told to its
//! transaction. The four families of the language are four folders ([`variables`], [`operators`], [`transformations`],
//! [`rules::actions`]), one item a file.

pub mod bodies;
pub mod byte_set;
pub mod cookies;
pub mod engine;
pub mod operators;
pub mod pairs;
pub mod parser;
pub mod plan;
pub mod rules;
pub mod source;
pub mod transaction;
pub mod transformations;
pub mod uri;
pub mod variables;

pub use engine::Engine;
pub use transaction::{Intervention, Transaction};
