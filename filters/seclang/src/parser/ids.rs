//! `942100`, `942100-942199`, and lists of them.

use super::suggest::shown;

/// Ids from, to, both included, of a list with spaces or commas between.
///
/// # Errors
/// What is not a number or range, or that there is none.
pub(super) fn ranges(text: &str) -> Result<Vec<(u64, u64)>, String> {
    let ranges: Vec<_> = text
        .split([' ', '\t', ','])
        .filter(|part| !part.is_empty())
        .map(range)
        .collect::<Result<_, _>>()?;
    if ranges.is_empty() {
        return Err("the id of a rule is missing".to_owned());
    }
    Ok(ranges)
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (id(first), id(last)) {
        (Some(first), Some(last)) if first <= last => Ok((first, last)),
        (Some(_), Some(_)) => Err(format!("{:?} runs backwards", shown(text))),
        _ => Err(format!(
            "{:?} is neither the id of a rule nor a range FIRST-LAST",
            shown(text)
        )),
    }
}

/// A number without sign.
pub(super) fn id(text: &str) -> Option<u64> {
    let text = text.trim_ascii();
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}
