//! The transformations of the language: what a value goes through before an operator sees it. One item a file, tiny
//! relatives together.

mod base64;
mod case;
mod cmd_line;
mod comments;
mod css_decode;
mod digests;
mod escape_seq_decode;
mod escapes;
mod hex;
mod html_entity_decode;
mod js_decode;
mod normalize_path;
mod nulls;
mod parity;
mod unicode_map;
mod url;
mod utf8_to_unicode;
mod whitespace;

pub use unicode_map::UnicodeMap;

use crate::byte_set::ByteSet;

/// Declares [`Transformation`] with the spelling of each.
macro_rules! transformations {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A transformation, by ModSecurity's name.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Transformation { $($(#[$doc])* $variant,)* }

        impl Transformation {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// As rules and logs spell it.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }
    };
}

transformations! {
    Base64Decode = "base64Decode",
    /// Goes on after what is not base64.
    Base64DecodeExt = "base64DecodeExt",
    Base64Encode = "base64Encode",
    CmdLine = "cmdLine",
    CompressWhitespace = "compressWhitespace",
    CssDecode = "cssDecode",
    EscapeSeqDecode = "escapeSeqDecode",
    HexDecode = "hexDecode",
    HexEncode = "hexEncode",
    HtmlEntityDecode = "htmlEntityDecode",
    JsDecode = "jsDecode",
    Length = "length",
    Lowercase = "lowercase",
    Md5 = "md5",
    NormalizePath = "normalizePath",
    NormalizePathWin = "normalizePathWin",
    ParityEven7Bit = "parityEven7bit",
    ParityOdd7Bit = "parityOdd7bit",
    ParityZero7Bit = "parityZero7bit",
    RemoveComments = "removeComments",
    RemoveCommentsChar = "removeCommentsChar",
    RemoveNulls = "removeNulls",
    RemoveWhitespace = "removeWhitespace",
    ReplaceComments = "replaceComments",
    ReplaceNulls = "replaceNulls",
    Sha1 = "sha1",
    SqlHexDecode = "sqlHexDecode",
    Trim = "trim",
    TrimLeft = "trimLeft",
    TrimRight = "trimRight",
    Uppercase = "uppercase",
    UrlDecode = "urlDecode",
    UrlDecodeUni = "urlDecodeUni",
    UrlEncode = "urlEncode",
    Utf8ToUnicode = "utf8toUnicode",
}

impl Transformation {
    /// By its name, in any case; `normalisePath` and `normalisePathWin` are the older spellings of two.
    pub fn parse(name: &str) -> Option<Self> {
        let name = match name.to_ascii_lowercase().as_str() {
            "normalisepath" => "normalizePath",
            "normalisepathwin" => "normalizePathWin",
            _ => name,
        };
        Self::ALL
            .iter()
            .copied()
            .find(|transformation| transformation.name().eq_ignore_ascii_case(name))
    }
}

/// White space as C's `isspace` has it.
const SPACE: ByteSet = ByteSet::listed(b" \t\n\x0b\x0c\r");

impl Transformation {
    /// Appends to `out` what becomes of `input`, and answers true; or leaves `out` as it is and answers false, if the value
    /// stays the same.
    pub fn apply(self, input: &[u8], out: &mut Vec<u8>) -> bool {
        self.apply_with(input, out, &UnicodeMap::EMPTY)
    }

    /// The same with a map for `urlDecodeUni`.
    pub fn apply_with(self, input: &[u8], out: &mut Vec<u8>, map: &UnicodeMap) -> bool {
        let start = out.len();
        let written = match self {
            Self::Base64Decode => base64::decode(input, out),
            Self::Base64DecodeExt => base64::decode_ext(input, out),
            Self::Base64Encode => base64::encode(input, out),
            Self::CmdLine => cmd_line::normalize(input, out),
            Self::CompressWhitespace => whitespace::compress(input, out),
            Self::CssDecode => css_decode::decode(input, out),
            Self::EscapeSeqDecode => escape_seq_decode::decode(input, out),
            Self::HexDecode => hex::decode(input, out),
            Self::HexEncode => hex::encode(input, out),
            Self::HtmlEntityDecode => html_entity_decode::decode(input, out),
            Self::JsDecode => js_decode::decode(input, out),
            Self::Length => digests::length(input, out),
            Self::Lowercase => case::lower(input, out),
            Self::Md5 => digests::md5(input, out),
            Self::NormalizePath => normalize_path::unix(input, out),
            Self::NormalizePathWin => normalize_path::windows(input, out),
            Self::ParityEven7Bit => parity::even(input, out),
            Self::ParityOdd7Bit => parity::odd(input, out),
            Self::ParityZero7Bit => parity::zero(input, out),
            Self::RemoveComments => comments::remove(input, out),
            Self::RemoveCommentsChar => comments::remove_signs(input, out),
            Self::RemoveNulls => nulls::remove(input, out),
            Self::RemoveWhitespace => whitespace::remove(input, out),
            Self::ReplaceComments => comments::replace(input, out),
            Self::ReplaceNulls => nulls::to_spaces(input, out),
            Self::Sha1 => digests::sha1(input, out),
            Self::SqlHexDecode => hex::decode_sql(input, out),
            Self::Trim => whitespace::trim(input, out),
            Self::TrimLeft => whitespace::trim_left(input, out),
            Self::TrimRight => whitespace::trim_right(input, out),
            Self::Uppercase => case::upper(input, out),
            Self::UrlDecode => url::decode(input, out),
            Self::UrlDecodeUni => url::decode_unicode(input, out, map),
            Self::UrlEncode => url::encode(input, out),
            Self::Utf8ToUnicode => utf8_to_unicode::encode(input, out),
        };
        // Something to look at is not yet a change: `100%`.
        let changes = written && out.get(start..) != Some(input);
        if !changes {
            out.truncate(start);
        }
        changes
    }

    /// Bytes of which a value has at least one if the transformation changes it. The empty value has none of them, and is
    /// changed all the same by those of [`Transformation::changes_the_empty_value`].
    pub const fn triggers(self) -> ByteSet {
        match self {
            Self::Base64Decode
            | Self::Base64DecodeExt
            | Self::Base64Encode
            | Self::HexDecode
            | Self::HexEncode
            | Self::Length
            | Self::Md5
            | Self::ParityEven7Bit
            | Self::ParityOdd7Bit
            | Self::Sha1 => ByteSet::ALL,
            Self::CmdLine => ByteSet::listed(b" ,;\t\r\n\"'\\^").union(ByteSet::range(b'A', b'Z')),
            Self::CompressWhitespace | Self::Trim | Self::TrimLeft | Self::TrimRight => SPACE,
            Self::CssDecode | Self::EscapeSeqDecode | Self::JsDecode => ByteSet::listed(b"\\"),
            Self::HtmlEntityDecode => ByteSet::listed(b"&"),
            Self::Lowercase => ByteSet::range(b'A', b'Z'),
            Self::NormalizePath => ByteSet::listed(b"/."),
            Self::NormalizePathWin => ByteSet::listed(b"/.\\"),
            Self::ParityZero7Bit | Self::Utf8ToUnicode => ByteSet::range(0x80, 0xff),
            Self::RemoveComments => ByteSet::listed(b"/<-#"),
            Self::RemoveCommentsChar => ByteSet::listed(b"/*<-#"),
            Self::RemoveNulls | Self::ReplaceNulls => ByteSet::listed(b"\0"),
            Self::RemoveWhitespace => SPACE.with(0xa0).with(0xc2),
            Self::ReplaceComments => ByteSet::listed(b"/"),
            Self::SqlHexDecode => ByteSet::listed(b"xX"),
            Self::Uppercase => ByteSet::range(b'a', b'z'),
            Self::UrlDecode | Self::UrlDecodeUni => ByteSet::listed(b"%+"),
            Self::UrlEncode => ByteSet::listed(b"*")
                .union(ByteSet::range(b'0', b'9'))
                .union(ByteSet::range(b'A', b'Z'))
                .union(ByteSet::range(b'a', b'z'))
                .complement(),
        }
    }

    /// Whether the empty value becomes something: `length`, `md5`, `sha1`.
    pub const fn changes_the_empty_value(self) -> bool {
        matches!(self, Self::Length | Self::Md5 | Self::Sha1)
    }
}

#[cfg(test)]
mod tests;
