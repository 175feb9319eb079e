//! `@rx` and `@rxGlobal`: what PCRE means, and what is refused.

use super::*;

fn expression(pattern: &str) -> Operator {
    compiled("rx", pattern)
}

#[test]
fn patterns_mean_what_they_mean_to_pcre() {
    let rows: &[(&str, &[u8], bool)] = &[
        ("", b"", true),
        ("", b"x", true),
        // Bytes, not characters.
        (r"\x{e9}", b"\xe9", true),
        (r"\x{e9}", b"\xc3\xa9", false),
        (r"^\x{c2}\x{b4}$", b"\xc2\xb4", true),
        (r"[\x{80}-\x{ff}]", b"\xc3", true),
        (r"^\xe9$", b"\xe9", true),
        (r"^\x9$", b"\t", true),
        (r"^\x$", b"\0", true),
        ("^.$", b"\xff", true),
        ("^é$", b"\xc3\xa9", true),
        ("^é+$", b"\xc3\xa9\xa9", true),
        ("^[é]$", b"\xc3", true),
        (r"^\w$", b"\xe9", false),
        ("(?i)É", b"\xc3\xa9", false),
        ("(?i)^SELECT$", b"sElEcT", true),
        // Lines.
        ("a.b", b"a\nb", true),
        ("^b$", b"a\nb\nc", true),
        (r"\Ab", b"a\nb", false),
        (r"a\z", b"a\n", false),
        ("a$", b"a\n", true),
        (r"^\N+$", b"a\nb", true),
        (r"\A\N+\z", b"a\nb", false),
        // Classes.
        ("^[[a]$", b"[", true),
        ("^[a&&b]$", b"&", true),
        ("^[a&&b]+$", b"ab", true),
        ("^[+--b]+$", b"+,-b", true),
        ("^[~~a]$", b"~", true),
        ("^[]a]$", b"]", true),
        ("^[^]a]$", b"]", false),
        ("^[^]a]$", b"b", true),
        (r"^[\w-.]+$", b"a-.", true),
        (r"^[a-\d]+$", b"a-9", true),
        ("^[a-]+$", b"a-", true),
        ("^[a-c-e]+$", b"b-e", true),
        ("^[a-c-e]+$", b"d", false),
        (r"^[\]\\\-]+$", b"]\\-", true),
        (r"^[\b]$", b"\x08", true),
        (r"^[[:alpha:][:digit:]_]+$", b"a9_", true),
        (r"^[[:^alpha:]]$", b"a", false),
        (r"^[[:alpha:]-z]+$", b"a-z", true),
        ("^[[:]+$", b"[:", true),
        ("^[[.]+$", b"[.", true),
        ("^[a b#]+$", b"a b#", true),
        (r"^[\x00-\x1f\x7f]+$", b"\x01\x7f", true),
        (r"^[\Qa-z\E]+$", b"a-z", true),
        (r"^[\Qa-z\E]+$", b"m", false),
        (r"^[\101\x{42}\cC]+$", b"AB\x03", true),
        // Escapes.
        (r"^\h\H\v\V$", b"\ta\x0ba", true),
        (r"^[\h\v]+$", b"\xa0\x85", true),
        (r"^[^\h]$", b" ", false),
        (r"^\s+$", b" \t\n\x0b\x0c\r", true),
        (r"^\e\a\f$", b"\x1b\x07\x0c", true),
        (r"^a\Rb$", b"a\r\nb", true),
        (r"^\0\012\o{101}\123$", b"\0\nAS", true),
        (r"^\/\-\_\ \#\<\>\%\:$", b"/-_ #<>%:", true),
        (r"^\Qa.b*\E+$", b"a.b**", true),
        (r"^\Q[(\E$", b"[(", true),
        (r"a\<b", b"a<b", true),
        (r"\bfoo\b", b"a foo b", true),
        (r"\Bfoo", b"afoo", true),
        ("^[a-z]+\\.\"$", b"ab.\"", true),
        // Braces.
        ("^a{2}$", b"aa", true),
        ("^a{2,}$", b"aaa", true),
        ("^a{,2}$", b"a{,2}", true),
        ("^a{b}$", b"a{b}", true),
        ("^{a}$", b"{a}", true),
        (r"^a{2,3}?$", b"aa", true),
        ("^a}]$", b"a}]", true),
        // Groups.
        ("^(?<n>a)(?P<m>b)(?'k'c)$", b"abc", true),
        ("^a(?#comment (?!)b$", b"ab", true),
        ("^(?:a(?i)b|c)$", b"C", true),
        ("^a(?-i:b)(?s-m:c)$", b"abc", true),
        ("(?x) ^ a  b # comment\n $", b"ab", true),
        ("(?x)^[a b]$", b" ", true),
        (r"(?x)^a\ b$", b"a b", true),
        ("^(?)a$", b"a", true),
        ("^(a|b)*?c$", b"abac", true),
        (r"^(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)\60$", b"abcdefghij0", true),
    ];
    table("rx", rows);
}

#[test]
fn what_is_not_linear_or_unclear_is_refused_with_a_way_out() {
    for (pattern, reason) in [
        (
            "(?=a)",
            "a look-ahead (?=...) is not supported: no engine matches it in linear time",
        ),
        ("(?!a)", "a look-ahead (?!...)"),
        ("(?<=a)b", "a look-behind (?<=...)"),
        ("(?<!a)b", "a look-behind (?<!...)"),
        ("(?>a)", "an atomic group"),
        (r"(a)\1", "a back-reference is not supported"),
        (r"(?<n>a)\k<n>", "a back-reference"),
        (r"(a)\g{1}", "a back-reference"),
        ("(?P=n)", "(?P=...) is not supported"),
        ("(?R)", "(?R)...) is not supported"),
        ("(?1)", "(?1)...) is not supported"),
        ("(?|a)", "(?|a...) is not supported"),
        ("a++", "a possessive quantifier"),
        ("a{1,2}+", "a possessive quantifier"),
        ("(*UTF)a", "(*VERB) is not supported"),
        (r"a\Z", r"\Z is not supported; write \z"),
        (r"\Ka", r"\K is not supported"),
        (r"\p{L}", "patterns match bytes, not characters"),
        (r"\x{100}", "the number 0x100 is no byte"),
        (r"\x{zz}", "a number in braces is not closed"),
        (r"\y", r"\y means nothing"),
        ("a\\", r"ends with a \"),
        ("[a", "a class [...] is not closed"),
        ("[z-a]", "the range z-a ends before it begins"),
        ("(a", "unclosed group"),
        ("a)", "unopened group"),
        ("*a", "missing expression"),
        ("(?<>a)", "the name of a group is missing"),
        ("a{1000}{1000}", "needs more than"),
    ] {
        let error = compile("rx", pattern).expect_err(pattern);
        assert!(
            error.starts_with("@rx: ") && error.contains(reason),
            "{pattern}: {error}"
        );
    }
    let long = "a".repeat(100_000);
    assert!(compile("rx", &long).is_err());
    let deep = format!("{}{}", "(".repeat(10_000), ")".repeat(10_000));
    assert!(compile("rx", &deep).is_err());
}

#[test]
fn groups_are_captured() {
    let texts = |pattern: &str, value: &[u8]| captures(&expression(pattern), value);
    let pairs = |pairs: &[(u8, &str)]| -> Vec<(u8, String)> {
        pairs
            .iter()
            .map(|(number, text)| (*number, (*text).to_owned()))
            .collect()
    };
    assert_eq!(
        texts("b(c)(x)?(d)", b"abcde"),
        pairs(&[(0, "bcd"), (1, "c"), (3, "d")])
    );
    assert_eq!(texts("a|(b)", b"a"), pairs(&[(0, "a")]));
    assert_eq!(texts("^$", b""), pairs(&[(0, "")]));
    assert_eq!(texts("x", b"a"), pairs(&[]));
    let eleven = texts("(a)(b)(c)(d)(e)(f)(g)(h)(i)(j)(k)", b"abcdefghijk");
    assert_eq!(eleven.last(), Some(&(9, "i".to_owned())));
}

#[test]
fn groups_of_all_matches_are_captured() {
    let texts = |pattern: &str, value: &[u8]| -> Vec<String> {
        let captures = captures(&compiled("rxGlobal", pattern), value);
        let numbers: Vec<_> = captures.iter().map(|(number, _)| *number).collect();
        assert!(numbers.is_sorted());
        captures.into_iter().map(|(_, text)| text).collect()
    };
    assert_eq!(
        texts("a(.)", b"ab ac ad"),
        ["ab", "b", "ac", "c", "ad", "d"]
    );
    assert_eq!(
        texts(r"\d", b"0123456789ABC0"),
        ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]
    );
    assert_eq!(texts("x*", b"axb"), ["", "x", "", ""]);
    assert_eq!(texts("y", b"axb"), Vec::<String>::new());
    assert_eq!(texts("", b""), [""]);
}

#[test]
fn what_is_necessary_comes_from_all_parts() {
    let literals = |pattern: &str| -> Vec<String> {
        let literals = expression(pattern).necessary().literals.unwrap_or_default();
        literals
            .iter()
            .map(|literal| literal.escape_ascii().to_string())
            .collect()
    };
    assert_eq!(literals("(?i)union.*select"), ["select"]);
    assert_eq!(literals("^(?:GET|HEAD)$"), ["get", "head"]);
    assert_eq!(literals(r"\b(?:foo|bar)\s*\("), ["bar", "foo"]);
    assert_eq!(literals("ab+c"), ["bc"]);
    assert_eq!(literals("[a-z]+xq[^0]"), ["xq"]);
    assert_eq!(literals("a(?:xy)?b"), ["ab", "axyb"]);
    assert_eq!(literals("(?:abc|abcd|xabcy)"), ["abc"]);
    assert_eq!(literals("<script"), ["<script"]);
    assert_eq!(literals("a long text to look for"), ["o look f"]);
    assert!(literals("a|").is_empty() && literals(".*").is_empty() && literals("x*").is_empty());
    assert!(literals("[a-z]").is_empty());
    let necessary = |pattern: &str| expression(pattern).necessary();
    assert_eq!(necessary(r"\A[a-f]{2,4}\z").max_length, Some(4));
    assert_eq!(necessary("^[a-f]{2,4}$").max_length, None);
    assert_eq!(necessary("^[a-f]{2,4}$").min_length, 2);
    assert_eq!(
        necessary("[a-f]+[0-9]").bytes,
        [ByteSet::range(b'0', b'9'), ByteSet::range(b'a', b'f')]
    );
    assert_eq!(necessary("[ab]x|[cd]").bytes, [ByteSet::listed(b"cdx")]);
}
