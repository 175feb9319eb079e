//! Which rules there are.

use portcullis_filter_settings::Section;
use portcullis_seclang::parser::{Parsed, Parser};
use portcullis_seclang::source::{Files, Position, Problem, Severity};

/// What a rule set takes for granted, and the rule set that comes along.
const BASE: &str = include_str!("../../seclang/rules/base.conf");
const OWN: &str = include_str!("../../seclang/rules/portcullis.conf");
/// The name of the rule set that comes along.
pub const OWN_NAME: &str = "portcullis";

/// See the module. Equal shapes make equal engines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// `portcullis`, `none`, the name of an installed rule set (`crs@4.25.0`), or a folder laid out as one.
    pub ruleset: String,
    /// Whether the base rules come first.
    pub base: bool,
    /// Patterns of files, after the rule set.
    pub include: Vec<String>,
    /// SecLang text, after everything else.
    pub directives: String,
}

/// No rule set, only what `include` and `directives` say.
const NONE_NAME: &str = "none";
const RULES: &str = "rules/*.conf";
/// The files of a rule set in its folder, in order; where a name has no file, there is none to read.
const PARTS: [&str; 5] = [
    "crs-setup.conf",
    "plugins/*-config.conf",
    "plugins/*-before.conf",
    RULES,
    "plugins/*-after.conf",
];

impl Shape {
    /// `audit`: directives of the audit log.
    pub(crate) fn read(section: &mut Section<'_>, audit: &str) -> Self {
        let ruleset = section.text("ruleset");
        let base = section.flag("base");
        let include = section.texts("include");
        let directives = section.string("directives");
        let directives = format!("{audit}{}", directives.unwrap_or_default());
        Self {
            ruleset: ruleset.unwrap_or_else(|| OWN_NAME.to_owned()),
            base: base.unwrap_or(true),
            include: include.unwrap_or_default(),
            directives,
        }
    }

    /// Reads all rules.
    ///
    /// # Errors
    /// All that is wrong with them.
    pub fn parse(&self, files: &dyn Files) -> Result<Parsed, Vec<Problem>> {
        let mut parser = Parser::new(files);
        if self.base {
            parser.text("base.conf", BASE);
        }
        match self.ruleset.as_str() {
            NONE_NAME => {}
            OWN_NAME => parser.text("portcullis.conf", OWN),
            folder => {
                // The language takes a pattern without files for a trifle; here it would be a WAF without rules.
                if !is_there(files, &format!("{folder}/{RULES}")) {
                    return Err(vec![self.no_rules()]);
                }
                for part in PARTS {
                    let pattern = format!("{folder}/{part}");
                    if is_there(files, &pattern) {
                        parser.text("ruleset", &format!("Include \"{pattern}\""));
                    }
                }
            }
        }
        for pattern in &self.include {
            parser.text("include", &format!("Include \"{pattern}\""));
        }
        if !self.directives.is_empty() {
            parser.text("directives", &self.directives);
        }
        parser.finish()
    }

    fn no_rules(&self) -> Problem {
        let ruleset = &self.ruleset;
        Problem {
            position: Position {
                file: "ruleset".into(),
                line: 1,
                column: 1,
            },
            severity: Severity::Error,
            message: format!(
                "there are no rules {ruleset}/{RULES}: `portcullis rules install {ruleset}` installs a published rule set, \
                 `{OWN_NAME}` comes along, `{NONE_NAME}` has no rules"
            ),
        }
    }
}

fn is_there(files: &dyn Files, pattern: &str) -> bool {
    let names = files.expand("", pattern).unwrap_or_default();
    names.iter().any(|name| files.read("", name).is_ok())
}
