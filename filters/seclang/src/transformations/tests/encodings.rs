//! Base64, hexadecimal, digests, UTF-8.

use super::*;

#[test]
fn base64_is_decoded_up_to_what_is_none() {
    table(
        "base64Decode",
        &[
            (b"SGVsbG8=", b"Hello"),
            (b"SGVsbG8", b"Hello"),
            (b"SGVs\r\nbG8=", b"Hello"),
            (b"SGVs bG8=", b"Hel"),
            (b"SGVs!bG8=", b"Hel"),
            (b"SGVsbG8=SGVs", b"Hello"),
            (b"S", b""),
            (b"SG", b"H"),
            (b"!", b""),
            (b"_-", b""),
            (b"+/+/", b"\xfb\xff\xbf"),
        ],
    );
    table(
        "base64DecodeExt",
        &[
            (b"S-G.V=s\0bG8=", b"Hello"),
            (b"SGVs SGVs", b"HelHel"),
            (b"===", b""),
            (b"\xffSGVs", b"Hel"),
        ],
    );
    table(
        "base64Encode",
        &[
            (b"Hello", b"SGVsbG8="),
            (b"H", b"SA=="),
            (b"Hel", b"SGVs"),
            (b"\xff\xfe", b"//4="),
            (b"", b""),
        ],
    );
}

#[test]
fn hexadecimal_is_decoded_and_encoded() {
    table(
        "hexDecode",
        &[
            (b"48656C6c6f", b"Hello"),
            (b"486", b"H"),
            (b"4", b""),
            (b"", b""),
            (b"zz", b"\x53"),
        ],
    );
    table("hexEncode", &[(b"\0\xffA", b"00ff41"), (b"", b"")]);
    table(
        "sqlHexDecode",
        &[
            (b"0x414243", b"ABC"),
            (b"select 0X41 and 0x4", b"select A and 0x4"),
            (b"0x41424", b"AB4"),
            (b"00x41", b"0A"),
            (b"0x", b"0x"),
            (b"0", b"0"),
            (b"0x0x41", b"0xA"),
        ],
    );
}

#[test]
fn digests_are_bytes() {
    table("length", &[(b"", b"0"), (b"abc", b"3"), (b"1", b"1")]);
    assert_eq!(
        applied(
            Transformation::HexEncode,
            &applied(Transformation::Md5, b"abc")
        ),
        b"900150983cd24fb0d6963f7d28e17f72"
    );
    assert_eq!(
        applied(
            Transformation::HexEncode,
            &applied(Transformation::Sha1, b"abc")
        ),
        b"a9993e364706816aba3e25717850c26c9cd0d89d"
    );
    assert_eq!(applied(Transformation::Sha1, b"").len(), 20);
}

#[test]
fn characters_become_percent_u() {
    table(
        "utf8toUnicode",
        &[
            ("aé€😀".as_bytes(), b"a%u00e9%u20ac%u1f600"),
            (b"plain", b"plain"),
            (b"\0\xc3\xa9", b"\0%u00e9"),
            // Overlong: what a careless decoder takes it for, and the sign that something was wrong.
            (b"\xc0\xaf", b"%u002f\xc0"),
            (b"\xe0\x80\xaf", b"%u002f\xe0"),
            (b"\xed\xa0\x80", b"%ud800\xed"),
            (b"\xf0\x80\x80\xaf", b"%u002f\xf0"),
            (b"\xf4\x90\x80\x80", b"%u110000"),
            (b"\xf5\x80\x80\x80", b"\xf5%u140000"),
            (b"a\xc3", b"a"),
            (b"a\xe2\x82", b"a\x82"),
            (b"\xc3(", b"("),
            (b"\x80\xff", b"\x80\xff"),
            (b"\xf8\x80", b"\xf8\x80"),
        ],
    );
}
