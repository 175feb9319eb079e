//! `normalizePath` and `normalizePathWin`.

/// Takes `//`, `/./` and `/../` out, without leaving the root. A relative path keeps the `..` at its beginning that lead
/// out of it; a slash at the end stays. (ModSecurity takes `name..` for a `..`; here only that is one which is nothing
/// else.)
pub(super) fn unix(input: &[u8], out: &mut Vec<u8>) -> bool {
    if memchr::memchr2(b'/', b'.', input).is_none() {
        return false;
    }
    write(input, |&byte| byte == b'/', out);
    true
}

/// The same after all backslashes have become slashes.
pub(super) fn windows(input: &[u8], out: &mut Vec<u8>) -> bool {
    if memchr::memchr3(b'/', b'.', b'\\', input).is_none() {
        return false;
    }
    write(input, |&byte| byte == b'/' || byte == b'\\', out);
    true
}

fn write(input: &[u8], separator: fn(&u8) -> bool, out: &mut Vec<u8>) {
    let absolute = input.first().is_some_and(separator);
    let trailing = input.last().is_some_and(separator);
    out.reserve(input.len());
    let root = out.len();
    if absolute {
        out.push(b'/');
    }
    // What cannot be taken back: the root, or the `..` at the beginning of a relative path.
    let mut kept = out.len();
    for part in input.split(separator) {
        match part {
            b"" | b"." => {}
            b".." if out.len() > kept => {
                let written = out.get(kept..).unwrap_or_default();
                let before = memchr::memrchr(b'/', written).unwrap_or(0);
                out.truncate(kept + before);
            }
            b".." if absolute => {}
            part => {
                if out.len() > root && out.last() != Some(&b'/') {
                    out.push(b'/');
                }
                out.extend_from_slice(part);
                if part == b".." {
                    kept = out.len();
                }
            }
        }
    }
    if trailing && out.len() > root && out.last() != Some(&b'/') {
        out.push(b'/');
    }
}
