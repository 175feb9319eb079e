//! `compressWhitespace`, `removeWhitespace`, `trim`, `trimLeft` and `trimRight`.

use super::escapes::is_space;

/// A run of white space becomes one space.
pub(super) fn compress(input: &[u8], out: &mut Vec<u8>) -> bool {
    if !input.iter().any(|&byte| is_space(byte)) {
        return false;
    }
    out.reserve(input.len());
    let mut before = false;
    for &byte in input {
        let space = is_space(byte);
        match (space, before) {
            (true, false) => out.push(b' '),
            (true, true) => {}
            (false, _) => out.push(byte),
        }
        before = space;
    }
    true
}

/// White space goes, and both bytes of the no-break space in UTF-8, wherever they are.
pub(super) fn remove(input: &[u8], out: &mut Vec<u8>) -> bool {
    let goes = |&byte: &u8| is_space(byte) || byte == 0xa0 || byte == 0xc2;
    let found = input.iter().any(goes);
    if found {
        out.extend(input.iter().filter(|&byte| !goes(byte)));
    }
    found
}

pub(super) fn trim(input: &[u8], out: &mut Vec<u8>) -> bool {
    keep(input, without_end(without_start(input)), out)
}

pub(super) fn trim_left(input: &[u8], out: &mut Vec<u8>) -> bool {
    keep(input, without_start(input), out)
}

pub(super) fn trim_right(input: &[u8], out: &mut Vec<u8>) -> bool {
    keep(input, without_end(input), out)
}

fn keep(input: &[u8], part: &[u8], out: &mut Vec<u8>) -> bool {
    let changes = part.len() < input.len();
    if changes {
        out.extend_from_slice(part);
    }
    changes
}

fn without_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|&byte| !is_space(byte));
    start
        .and_then(|start| text.get(start..))
        .unwrap_or_default()
}

fn without_end(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|&byte| !is_space(byte));
    end.and_then(|end| text.get(..=end)).unwrap_or_default()
}
