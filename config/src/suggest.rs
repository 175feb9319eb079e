//! "Did you mean ...?"

/// The known name closest to `name`, if it is close enough to be a slip.
pub(crate) fn closest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(name);
    let slips_max = 1 + folded.chars().count() / 4;
    known
        .into_iter()
        .map(|known| (strsim::damerau_levenshtein(&folded, &fold(known)), known))
        .filter(|(slips, known)| *slips <= slips_max && *slips < known.chars().count())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

/// A hint for an unknown name: the closest known one, or all of them.
pub(crate) fn hint<'a>(
    name: &str,
    known: impl IntoIterator<Item = &'a str> + Clone,
    what: &str,
) -> String {
    const LISTED_MAX: usize = 20;
    if let Some(closest) = closest(name, known.clone()) {
        return format!("did you mean `{closest}`?");
    }
    let mut known: Vec<&str> = known.into_iter().collect();
    known.sort_unstable();
    let more = known.len().saturating_sub(LISTED_MAX);
    known.truncate(LISTED_MAX);
    match (known.as_slice(), more) {
        ([], _) => format!("there are no {what}"),
        (known, 0) => format!("known {what}: {}", known.join(", ")),
        (known, more) => format!("known {what}: {} and {more} more", known.join(", ")),
    }
}

fn fold(name: &str) -> String {
    name.chars()
        .take(200)
        .map(|c| {
            if c == '-' {
                '_'
            } else {
                c.to_ascii_lowercase()
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_slips_only() {
        let known = ["origin", "authsvc", "a"];
        assert_eq!(closest("origni", known), Some("origin"));
        assert_eq!(closest("Origin", known), Some("origin"));
        assert_eq!(closest("auth-svc", known), Some("authsvc"));
        assert_eq!(closest("b", known), None);
        assert_eq!(closest("completely", known), None);
    }

    #[test]
    fn lists_what_there_is() {
        assert_eq!(
            hint("x", ["beta", "alpha"], "filters"),
            "known filters: alpha, beta"
        );
        assert_eq!(hint("x", [], "filters"), "there are no filters");
        let many: Vec<String> = (0..25).map(|i| format!("name{i}")).collect();
        assert!(hint("x", many.iter().map(String::as_str), "filters").ends_with(" and 5 more"));
    }
}
