//! `lowercase` and `uppercase`, for ASCII.

pub(super) fn lower(input: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let found = input.iter().any(u8::is_ascii_uppercase);
    if found {
        out.extend_from_slice(input);
        out.get_mut(start..)
            .unwrap_or_default()
            .make_ascii_lowercase();
    }
    found
}

pub(super) fn upper(input: &[u8], out: &mut Vec<u8>) -> bool {
    let start = out.len();
    let found = input.iter().any(u8::is_ascii_lowercase);
    if found {
        out.extend_from_slice(input);
        out.get_mut(start..)
            .unwrap_or_default()
            .make_ascii_uppercase();
    }
    found
}
