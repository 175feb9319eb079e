//! The configuration of the WAF: JSON text becomes a checked [`Policy`].
//!
//! It is in two halves. The [`Shape`] says which rules there are; whoever has the same shape can share one compiled
//! engine. The [`Spoken`] tuning is all the rest that concerns rules (mode, paranoia, thresholds, exclusions, limits) and
//! costs an exchange nothing but its application, so that every route may have its own.
//!
//! Rules are files, and a guest has none: the host reads them ([`files::Recorder`]) and hands them over as the VM
//! configuration ([`files::Bundle`]).

mod audit;
mod block;
mod exclude;
pub mod files;
mod setup;
mod shape;
mod tuning;

use portcullis_filter_settings::{Problems, Section};
use portcullis_seclang::transaction::tuning::Spoken;

use audit::Audit;
pub use block::{Block, Denial};
pub use shape::{OWN_NAME, Shape};

/// Bytes of a body that may be asked for: what a filter's memory has room for.
const BODY_MAX: u64 = 64 << 20;

/// Whether verdicts are carried out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// No rule runs.
    Off,
    /// Rules run and are logged; nothing is refused.
    Detect,
    #[default]
    Block,
}

/// What a WAF does on the routes of one configuration.
#[derive(Clone, Debug)]
pub struct Policy {
    pub mode: Mode,
    pub shape: Shape,
    pub tuning: Spoken,
    /// What a client is told.
    pub block: Block,
    /// Whether origins may compress responses whose bodies are inspected. They are asked not to: rules cannot see
    /// through compression.
    pub backend_compression: bool,
    /// Answer a pause to request headers, for hosts other than Portcullis that hold them then.
    pub pause_headers: bool,
}

impl Policy {
    /// Reads a configuration; none at all means the defaults.
    ///
    /// # Errors
    /// Every problem found, one text each.
    pub fn parse(configuration: &[u8]) -> Result<Self, Vec<String>> {
        let problems = Problems::default();
        let configuration = if configuration.is_empty() {
            b"{}"
        } else {
            configuration
        };
        let policy = Section::parse(configuration, &problems).map(Self::read);
        problems.into_result(policy)
    }

    fn read(mut section: Section<'_>) -> Self {
        let modes = [
            ("off", Mode::Off),
            ("detect", Mode::Detect),
            ("block", Mode::Block),
        ];
        let mode = section.choice("mode", &modes).unwrap_or_default();
        let audit = section.section("audit").map(Audit::read);
        let audit = audit.unwrap_or_default();
        let shape = Shape::read(&mut section, &audit.directives);
        let tuning = tuning::read(&mut section, mode, audit.engine);
        let block = section.section("block").map(Block::read);
        let backend_compression = section.flag("backend_compression");
        let pause_headers = section.flag("pause_headers");
        section.finish();
        Self {
            mode,
            shape,
            tuning,
            block: block.unwrap_or_default(),
            backend_compression: backend_compression.unwrap_or(false),
            pause_headers: pause_headers.unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests;
