//! What a test expects of its requests.

use regex::bytes::Regex;

use crate::suite::Output;

/// What came of one request.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The line of each rule that logged, with its id.
    pub(crate) lines: Vec<(u64, String)>,
    pub(crate) status: u16,
    /// What every rule that matched saw, where that was asked for.
    pub(crate) details: Vec<String>,
}

/// Whether the answer to a test's request is the HTTP parser's and nobody else's: without a parser there is nothing
/// to judge.
pub(crate) fn is_about_parsing(output: &Output) -> bool {
    output.expect_error || output.status == Some(400)
}

/// Everything that is not as expected.
pub(crate) fn judge(output: &Output, outcome: &Outcome) -> Vec<String> {
    let mut wrong = Vec::new();
    if let Some(status) = output.status.filter(|status| *status != outcome.status) {
        wrong.push(format!("status {} instead of {status}", outcome.status));
    }
    let logged = |id: &u64| outcome.lines.iter().any(|(other, _)| other == id);
    for id in output.log.expect_ids.iter().filter(|id| !logged(id)) {
        wrong.push(format!("{id} did not match"));
    }
    for id in output.log.no_expect_ids.iter().filter(|id| logged(id)) {
        wrong.push(format!("{id} matched"));
    }
    let found = |pattern: &str| {
        let regex = Regex::new(pattern).map_err(|error| error.to_string())?;
        Ok::<bool, String>(
            outcome
                .lines
                .iter()
                .any(|(_, line)| regex.is_match(line.as_bytes())),
        )
    };
    for (pattern, expected) in [
        (&output.log.match_regex, true),
        (&output.log.no_match_regex, false),
    ] {
        match pattern.as_deref().map(found) {
            None => {}
            Some(Ok(is)) if is == expected => {}
            Some(Ok(_)) if expected => wrong.push(format!("no line matches {pattern:?}")),
            Some(Ok(_)) => wrong.push(format!("a line matches {pattern:?}")),
            Some(Err(error)) => wrong.push(error),
        }
    }
    wrong
}
