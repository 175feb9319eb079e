//! `cmdLine`: against the ways to write a command of a shell differently.

/// Quotes, backslashes and carets go; a run of blanks, commas and semicolons becomes one space, and none before `/` and
/// `(`; ASCII becomes lower case.
pub(super) fn normalize(input: &[u8], out: &mut Vec<u8>) -> bool {
    out.reserve(input.len());
    let mut space = false;
    for &byte in input {
        match byte {
            b'"' | b'\'' | b'\\' | b'^' => {}
            b' ' | b',' | b';' | b'\t' | b'\r' | b'\n' => space = true,
            byte => {
                if std::mem::take(&mut space) && !matches!(byte, b'/' | b'(') {
                    out.push(b' ');
                }
                out.push(byte.to_ascii_lowercase());
            }
        }
    }
    if space {
        out.push(b' ');
    }
    true
}
