//! Cookies of a request, as ModSecurity reads them with `SecCookieFormat 0`: between semicolons, nothing decoded.

use memchr::memchr;

use crate::pairs::Pairs;

/// Adds the cookies of one `Cookie` header. A cookie without `=` has an empty value, one without a name is left out.
pub fn parse(header: &[u8], cookies: &mut Pairs) {
    for pair in header.trim_ascii_end().split(|byte| *byte == b';') {
        let (name, value) = match memchr(b'=', pair) {
            Some(equals) => (
                pair.get(..equals).unwrap_or_default(),
                pair.get(equals + 1..).unwrap_or_default(),
            ),
            None => (pair, &[][..]),
        };
        let name = trim_start(name);
        if !name.is_empty() {
            cookies.push(name, value);
        }
    }
}

/// Without leading white space of C, which has the vertical tab beyond ASCII's of Rust.
fn trim_start(name: &[u8]) -> &[u8] {
    let begin = name
        .iter()
        .position(|byte| !byte.is_ascii_whitespace() && *byte != 0x0b);
    begin
        .and_then(|begin| name.get(begin..))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::pairs::Pairs;

    fn cookies(header: &str) -> Vec<(String, String)> {
        let mut pairs = Pairs::default();
        parse(header.as_bytes(), &mut pairs);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        pairs
            .iter()
            .map(|(name, value)| (text(name), text(value)))
            .collect()
    }

    #[test]
    fn cookies_are_between_semicolons() {
        let cases: [(&str, &[(&str, &str)]); 10] = [
            ("a=b; c=d", &[("a", "b"), ("c", "d")]),
            ("a=b;c=d;", &[("a", "b"), ("c", "d")]),
            ("a=b=c", &[("a", "b=c")]),
            ("a", &[("a", "")]),
            ("a=; b", &[("a", ""), ("b", "")]),
            (";; =x; a=1", &[("a", "1")]),
            ("a=1; a=2", &[("a", "1"), ("a", "2")]),
            (
                "$Version=1; a=\"b c\"",
                &[("$Version", "1"), ("a", "\"b c\"")],
            ),
            ("a=%41+; b =  c  ", &[("a", "%41+"), ("b ", "  c")]),
            ("", &[]),
        ];
        for (header, expected) in cases {
            let expected: Vec<_> = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect();
            assert_eq!(cookies(header), expected, "{header}");
        }
    }
}
