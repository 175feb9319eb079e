//! Escapes of URLs, HTML, CSS, JavaScript and C.

use super::*;

#[test]
fn urls_are_decoded() {
    let both: &[(&[u8], &[u8])] = &[
        (b"a+b%20c", b"a b c"),
        (b"%41%4a%4A%00%ff", b"AJJ\0\xff"),
        (b"100%", b"100%"),
        (b"%4", b"%4"),
        (b"%4g%zz", b"%4g%zz"),
        (b"%%41", b"%A"),
        (b"%2541", b"%41"),
        (b"abc", b"abc"),
        (b"", b""),
    ];
    table("urlDecode", both);
    table("urlDecodeUni", both);
    table("urlDecode", &[(b"%u0041", b"%u0041")]);
    table(
        "urlDecodeUni",
        &[
            (b"%u0041%U0042", b"AB"),
            (b"%uff1c%uFF5e%uff5f%uff00", b"<~\x5f\0"),
            (b"%u1234", b"\x34"),
            (b"%u004", b"%u004"),
            (b"%u00zz", b"%u00zz"),
            (b"%u%41", b"%uA"),
            (b"%u", b"%u"),
        ],
    );
}

#[test]
fn urls_are_encoded() {
    table(
        "urlEncode",
        &[
            (b"a b*Z9", b"a+b*Z9"),
            (b"<\xff\0->", b"%3c%ff%00%2d%3e"),
            (b"", b""),
        ],
    );
}

#[test]
fn a_map_of_unicode_says_which_byte_a_character_is() {
    let map = UnicodeMap::new(&[
        (0x2039, b'>'),
        (0x2039, b'<'),
        (0x100, b'A'),
        (0x1_0041, b'x'),
    ]);
    let decoded = applied_with(
        Transformation::UrlDecodeUni,
        b"%u2039%u0100%u0041%uff1e",
        &map,
    );
    assert_eq!(decoded, b"<AA>");
}

#[test]
fn entities_are_decoded() {
    table(
        "htmlEntityDecode",
        &[
            (b"&lt;a&gt;", b"<a>"),
            (b"&LT&gt &amp;&quot;", b"<> &\""),
            (b"&nbsp;", b"\xa0"),
            (b"&#60;&#60&#060;&#0000000060;", b"<<<<"),
            (b"&#x3c;&#X3C&#x000003c;", b"<<<"),
            (b"&#x2028;&#300;", b"(,"),
            (b"&#99999999999999999999999;", b"\xff"),
            (b"&ltx;&times;&;&", b"&ltx;&times;&;&"),
            (b"&#;&#x;&#xg", b"&#;&#x;&#xg"),
            (b"&amp;lt;", b"&lt;"),
            (b"&&lt;", b"&<"),
            (b"&colon;", b"&colon;"),
            (b"a", b"a"),
        ],
    );
}

#[test]
fn css_is_decoded() {
    table(
        "cssDecode",
        &[
            (br"\61\62 c", b"abc"),
            (br"\000061b", b"ab"),
            (br"\0000611", b"a1"),
            (br"\61  b", b"a b"),
            (b"\\61\nb", b"ab"),
            (br"\ff1c\0ff1c\00ff1c\1ff1c", b"<<<\x1c"),
            (br"\abc", b"\xbc"),
            (b"a\\\nb", b"ab"),
            (br"\x\-", b"x-"),
            (br"a\", b"a"),
            (br"\0", b"\0"),
            (b"a", b"a"),
        ],
    );
}

#[test]
fn javascript_is_decoded() {
    table(
        "jsDecode",
        &[
            (br"\u0061\x62\143", b"abc"),
            (br"\uff1c\u12f0", b"<\xf0"),
            (br"\u{3c}\u{00003c}\u{ff1c}\u{1F600}", b"<<<\0"),
            (br"\u{}\u{0000003c}\u{3c", b"u{}u{0000003c}u{3c"),
            (br"\u00g\x4g\x", b"u00gx4gx"),
            (br"\0\08\377\400\777\1012", b"\0\x008\xff\x200\x3f7A2"),
            (br"\a\b\f\n\r\t\v\?\'\\", b"\x07\x08\x0c\n\r\t\x0b?'\\"),
            (br"a\", br"a\"),
            (br"\\", br"\"),
            (b"a", b"a"),
        ],
    );
}

#[test]
fn the_escapes_of_c_are_decoded() {
    table(
        "escapeSeqDecode",
        &[
            (br"\a\b\f\n\r\t\v\?\'\\", b"\x07\x08\x0c\n\r\t\x0b?'\\"),
            (br"\x41\X42\x4", b"ABx4"),
            (br"\101\1\18\777\400", b"A\x01\x018\xff\0"),
            (br"\u0041\z\9", b"u0041z9"),
            (br"a\", br"a\"),
            (b"a", b"a"),
        ],
    );
}
