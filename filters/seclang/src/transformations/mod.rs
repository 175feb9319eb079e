//! The transformations of the language: what a value goes through before an operator sees it. One item a file.

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
