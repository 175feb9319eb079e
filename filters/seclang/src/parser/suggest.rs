//! "Did you mean": the nearest of the names that there are.

/// Longer names are not compared: nothing is called so.
const NAME_BYTES_MAX: usize = 64;

/// `, did you mean NAME?`, or nothing where no name is near.
pub(crate) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> String {
    if name.len() > NAME_BYTES_MAX {
        return String::new();
    }
    let wanted = name.to_ascii_lowercase();
    names
        .into_iter()
        .map(|candidate| (distance(&wanted, candidate), candidate))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, candidate)| *distance <= candidate.len().div_ceil(3))
        .map(|(_, candidate)| format!(", did you mean {candidate}?"))
        .unwrap_or_default()
}

fn distance(wanted: &str, candidate: &str) -> usize {
    strsim::osa_distance(wanted, &candidate.to_ascii_lowercase())
}

/// A name of unknown length for a message, cut.
pub(crate) fn shown(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}
