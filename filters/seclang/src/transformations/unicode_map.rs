//! Which byte stands for a character of Unicode in `urlDecodeUni`.

use super::escapes::narrow;

/// `SecUnicodeMapFile`: characters and the bytes that servers of one code page take them for.
#[derive(Clone, Debug, Default)]
pub struct UnicodeMap {
    /// By character.
    bytes: Vec<(u16, u8)>,
}

impl UnicodeMap {
    /// No character has a byte of its own.
    pub const EMPTY: Self = Self { bytes: Vec::new() };

    /// From pairs of character and byte; the last one of a character counts. Characters beyond U+FFFF cannot be written as
    /// `%uHHHH` and are left out.
    pub fn new(pairs: &[(u32, u8)]) -> Self {
        let mut bytes: Vec<(u16, u8)> = Vec::with_capacity(pairs.len());
        for &(character, byte) in pairs.iter().rev() {
            bytes.extend(
                u16::try_from(character)
                    .ok()
                    .map(|character| (character, byte)),
            );
        }
        bytes.sort_by_key(|&(character, _)| character);
        bytes.dedup_by_key(|(character, _)| *character);
        Self { bytes }
    }

    /// The byte for a character: as the map has it, and else the lower half, with the full-width forms as their ASCII.
    pub(super) fn byte(&self, character: u16) -> u8 {
        let index = self
            .bytes
            .binary_search_by_key(&character, |&(known, _)| known);
        let known = index.ok().and_then(|index| self.bytes.get(index));
        known.map_or_else(|| narrow(u32::from(character)), |&(_, byte)| byte)
    }
}
