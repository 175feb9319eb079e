//! What an exchange leaves behind: lines for the log, and counts.

use std::collections::HashSet;

use portcullis_seclang::Engine;
use portcullis_seclang::transaction::Transaction;
use portcullis_seclang::transaction::record::Match;

/// Upper bounds of the classes of anomaly scores. Rules add 2 to 5 each, and thresholds are small: what matters is how
/// far from the threshold good requests are.
pub const SCORES: [u64; 16] = [0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 25, 30, 40, 50, 75, 100];

/// See the module.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Whole lines; a record may have several.
    pub lines: Vec<String>,
    /// Names of counters to add 1 to.
    pub counts: Vec<String>,
}

impl Report {
    pub(crate) fn of_matches(
        transaction: &Transaction,
        matches: &[Match],
        tags: &HashSet<String>,
    ) -> Self {
        let mut report = Self::default();
        for found in matches {
            if found.log {
                report.lines.push(transaction.log_line(found));
            }
            // Rules that do not log are bookkeeping: scores, gates.
            if found.log || found.disruptive {
                let phase = found.phase.number();
                report
                    .counts
                    .push(format!("waf.matches;rule={};phase={phase}", found.id));
                let known = found.tags.iter().filter(|tag| tags.contains(*tag));
                let attacks = known.filter(|tag| tag.starts_with("attack-"));
                report.counts.extend(
                    attacks.map(|tag| format!("waf.attacks;kind={}", &tag["attack-".len()..])),
                );
            }
        }
        report
    }

    /// Adds what is known at the end.
    pub(crate) fn end(&mut self, engine: &Engine, transaction: &Transaction, refused: bool) {
        self.lines.extend(engine.audit(transaction));
        let verdict = if refused {
            "refused"
        } else if transaction.matches().iter().any(|found| found.log) {
            "matched"
        } else {
            "passed"
        };
        self.counts.push(format!("waf.exchanges;verdict={verdict}"));
        for direction in ["inbound", "outbound"] {
            let name = format!("blocking_{direction}_anomaly_score");
            if let Some(score) = transaction.tx(&name).and_then(number) {
                self.counts
                    .push(format!("waf.{direction}.scores;at-most={}", class(score)));
            }
        }
    }
}

fn number(text: &[u8]) -> Option<u64> {
    str::from_utf8(text).ok()?.parse().ok()
}

fn class(score: u64) -> String {
    match SCORES.iter().find(|bound| score <= **bound) {
        Some(bound) => bound.to_string(),
        None => "more".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::class;

    #[test]
    fn scores_have_classes() {
        assert_eq!(class(0), "0");
        assert_eq!(class(6), "7");
        assert_eq!(class(100), "100");
        assert_eq!(class(101), "more");
    }
}
