//! Case, white space, NUL, comments, command lines, paths, parity.

use super::*;

#[test]
fn case_is_that_of_ascii() {
    table(
        "lowercase",
        &[(b"", b""), (b"aBc\0\xc9", b"abc\0\xc9"), (b"abc", b"abc")],
    );
    table(
        "uppercase",
        &[(b"aBc\0\xe9", b"ABC\0\xe9"), (b"ABC1", b"ABC1")],
    );
}

#[test]
fn white_space_is_compressed_removed_and_trimmed() {
    table(
        "compressWhitespace",
        &[
            (b"  a \t\n b\x0b\x0c\r", b" a b "),
            (b"a b", b"a b"),
            (b"a\tb", b"a b"),
            (b"a\xa0\xa0b", b"a\xa0\xa0b"),
            (b"\0 \0", b"\0 \0"),
        ],
    );
    table(
        "removeWhitespace",
        &[
            (b" a\t\xc2\xa0b\xa0 ", b"ab"),
            (b"ab", b"ab"),
            (b" ", b""),
            (b"\xc2\xa3", b"\xa3"),
        ],
    );
    table(
        "trim",
        &[
            (b" \t a b \n", b"a b"),
            (b"   ", b""),
            (b"a", b"a"),
            (b"\xa0a", b"\xa0a"),
        ],
    );
    table("trimLeft", &[(b" a ", b"a "), (b" ", b""), (b"a ", b"a ")]);
    table(
        "trimRight",
        &[(b" a ", b" a"), (b"\x0b", b""), (b" a\0", b" a\0")],
    );
}

#[test]
fn nulls_go_or_become_spaces() {
    table(
        "removeNulls",
        &[(b"\0a\0\0b\0", b"ab"), (b"ab", b"ab"), (b"\0", b"")],
    );
    table("replaceNulls", &[(b"\0a\0\0b", b" a  b"), (b"0", b"0")]);
}

#[test]
fn comments_are_removed() {
    table(
        "removeComments",
        &[
            (b"a/* b */c", b"ac"),
            (b"a/*b*//*c*/d", b"ad"),
            (b"/* all */", b""),
            (b"a/* open", b"a "),
            (b"a<!-- b -->c", b"ac"),
            (b"a<!-- b */c", b"ac"),
            (b"a/* b -->c", b"ac"),
            (b"a/*b--*/c", b"ac"),
            (b"a -- b", b"a "),
            (b"a # b", b"a "),
            (b"a*/b-->c", b"a*/b"),
            (b"a/b<!-c-d", b"a/b<!-c-d"),
            (b"/*/a*/b", b"b"),
        ],
    );
}

#[test]
fn the_signs_of_comments_are_removed() {
    table(
        "removeCommentsChar",
        &[
            (b"a/*b*/c", b"abc"),
            (b"<!--a-->", b"a"),
            (b"a--b#c", b"abc"),
            (b"a---b", b"a-b"),
            (b"/", b"/"),
            (b"a-b", b"a-b"),
            (b"//**", b"/*"),
        ],
    );
}

#[test]
fn comments_are_replaced() {
    table(
        "replaceComments",
        &[
            (b"a/*b*/c", b"a c"),
            (b"a/**//**/c", b"a  c"),
            (b"a/*open", b"a "),
            (b"a*/b", b"a*/b"),
            (b"/*/b", b" "),
            (b"a/b", b"a/b"),
        ],
    );
}

#[test]
fn command_lines_are_written_one_way() {
    table(
        "cmdLine",
        &[
            (br#"C:\"Pro^gram"  ,;Fi'les"#, b"c:program files"),
            (b"cmd  /c\t(DIR", b"cmd/c(dir"),
            (b"a \n", b"a "),
            (b" a", b" a"),
            (b";'a", b" a"),
            (b"a '/b", b"a/b"),
            (b"a/b", b"a/b"),
            (b"^", b""),
        ],
    );
}

#[test]
fn paths_are_normalized() {
    table(
        "normalizePath",
        &[
            (b"", b""),
            (b"/a/b", b"/a/b"),
            (b"/a//b/./c", b"/a/b/c"),
            (b"/a/../b", b"/b"),
            (b"/../../a", b"/a"),
            (b"../../a", b"../../a"),
            (b"a/../../b", b"../b"),
            (b"a/..", b""),
            (b"a/../", b""),
            (b"a/./", b"a/"),
            (b"a/.", b"a"),
            (b"a/b/..", b"a"),
            (b"a/b/../", b"a/"),
            (b".", b""),
            (b"./", b""),
            (b"/.", b"/"),
            (b"/..", b"/"),
            (b"/../", b"/"),
            (b"..", b".."),
            (b"../", b"../"),
            (b"../.", b".."),
            (b"//", b"/"),
            (b"name../b", b"name../b"),
            (b"a/.../b", b"a/.../b"),
            (b".a/..b", b".a/..b"),
            (b"/a\0/../b", b"/b"),
            (b"a\\..\\b", b"a\\..\\b"),
        ],
    );
    table(
        "normalisePathWin",
        &[
            (b"a\\..\\b\\", b"b/"),
            (b"\\a/.\\b", b"/a/b"),
            (b"c:\\a\\\\b", b"c:/a/b"),
            (b"a", b"a"),
        ],
    );
}

#[test]
fn the_highest_bit_is_set_by_parity() {
    table(
        "parityEven7bit",
        &[(b"\x01\x03\x81\x83\0", b"\x81\x03\x01\x83\0")],
    );
    table(
        "parityOdd7bit",
        &[(b"\x01\x03\x81\x83\0", b"\x01\x83\x81\x03\x80")],
    );
    table(
        "parityZero7bit",
        &[(b"\x81a\xff", b"\x01a\x7f"), (b"a", b"a")],
    );
}
