//! `removeComments`, `removeCommentsChar` and `replaceComments`.

use memchr::memmem;

/// Takes `/*...*/` and `<!--...-->` out, and all that follows `--` or `#`. What is not closed becomes a space. (ModSecurity
/// and Coraza copy the byte behind a comment without a look at it, even that behind the end; here a comment may follow on
/// a comment.)
pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = input;
    while let Some((&byte, after)) = rest.split_first() {
        if rest.starts_with(b"/*") || rest.starts_with(b"<!--") {
            let length = if byte == b'/' { 2 } else { 4 };
            let Some(behind) = behind_comment(rest.get(length..).unwrap_or_default()) else {
                out.push(b' ');
                return true;
            };
            rest = behind;
        } else if byte == b'#' || rest.starts_with(b"--") {
            return true;
        } else {
            out.push(byte);
            rest = after;
        }
    }
    true
}

/// What follows on the end of a comment: either end closes either comment.
fn behind_comment(inside: &[u8]) -> Option<&[u8]> {
    memchr::memchr2_iter(b'*', b'-', inside).find_map(|at| {
        let end = inside.get(at..)?;
        end.strip_prefix(b"*/").or_else(|| end.strip_prefix(b"-->"))
    })
}

/// Takes the signs of comments out and leaves what is in them.
pub(super) fn remove_signs(input: &[u8], out: &mut Vec<u8>) -> bool {
    const SIGNS: [&[u8]; 6] = [b"/*", b"*/", b"<!--", b"-->", b"--", b"#"];
    let mut rest = input;
    while let Some((&byte, after)) = rest.split_first() {
        let sign = SIGNS.iter().find_map(|sign| rest.strip_prefix(*sign));
        if sign.is_none() {
            out.push(byte);
        }
        rest = sign.unwrap_or(after);
    }
    true
}

/// Makes a space of every `/*...*/`, also of one that is not closed.
pub(super) fn replace(input: &[u8], out: &mut Vec<u8>) -> bool {
    let mut rest = input;
    let mut found = false;
    while let Some(at) = memmem::find(rest, b"/*") {
        found = true;
        let (before, comment) = rest.split_at(at);
        out.extend_from_slice(before);
        out.push(b' ');
        let inside = comment.get(2..).unwrap_or_default();
        let end = memmem::find(inside, b"*/").map(|end| end + 2);
        rest = end.and_then(|end| inside.get(end..)).unwrap_or_default();
    }
    if found {
        out.extend_from_slice(rest);
    }
    found
}
