//! Finding and hiding credentials.

use super::*;

fn request(fields: &[(&str, &str)]) -> Request {
    Request::new(
        fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
    )
}

fn places(header: &str, cookie: &str, query: &str, scheme: Scheme) -> Places {
    let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Places {
        header: name(header),
        cookie: name(cookie),
        query: name(query),
        scheme,
    }
}

fn one(text: &str) -> Presented<'_> {
    Presented::One(Cow::Borrowed(text.as_bytes()))
}

#[test]
fn finds_a_bearer_token() {
    let places = places("authorization", "", "", Scheme::Bearer);
    for (value, expected) in [
        ("Bearer a.b.c", one("a.b.c")),
        ("bearer   a.b.c  ", one("a.b.c")),
        ("BEARER a b", one("a b")),
        ("Bearer", one("")),
        ("Bearer\ta.b.c", Presented::Absent),
        ("Basic YTpi", Presented::Absent),
        ("Bearera.b.c", Presented::Absent),
        ("", Presented::Absent),
    ] {
        assert_eq!(
            places.find(&request(&[("Authorization", value)])),
            expected,
            "{value:?}"
        );
    }
    assert_eq!(
        places.find(&request(&[("x-other", "Bearer a")])),
        Presented::Absent
    );
}

#[test]
fn a_header_twice_is_several_even_if_one_is_not_for_us() {
    let places = places("authorization", "", "", Scheme::Bearer);
    let twice = [
        ("authorization", "Basic YTpi"),
        ("Authorization", "Bearer a.b.c"),
    ];
    assert_eq!(places.find(&request(&twice)), Presented::Several);
    assert_eq!(
        places.find(&request(&[twice[1], twice[1]])),
        Presented::Several
    );
}

#[test]
fn a_header_of_ones_own_needs_no_scheme() {
    let raw = places("x-api-key", "", "", Scheme::None);
    assert_eq!(
        raw.find(&request(&[("X-API-Key", " Bearer k ")])),
        one("Bearer k")
    );
    assert_eq!(raw.find(&request(&[("x-api-key", "")])), one(""));
    let either = places("x-token", "", "", Scheme::BearerOrNone);
    assert_eq!(either.find(&request(&[("x-token", "Bearer t")])), one("t"));
    assert_eq!(either.find(&request(&[("x-token", "t")])), one("t"));
}

#[test]
fn finds_a_cookie() {
    let places = places("", "session", "", Scheme::None);
    for (value, expected) in [
        ("session=a.b.c", one("a.b.c")),
        ("x=1; session=a.b.c; y=2", one("a.b.c")),
        ("x=1;session=\"a\"", one("a")),
        ("session", one("")),
        ("session=a=b", one("a=b")),
        ("xsession=1; Session=2", Presented::Absent),
        ("session=1; session=1", Presented::Several),
    ] {
        assert_eq!(
            places.find(&request(&[("cookie", value)])),
            expected,
            "{value:?}"
        );
    }
    assert_eq!(
        places.find(&request(&[("cookie", "x=1"), ("cookie", "session=s")])),
        one("s")
    );
}

#[test]
fn finds_a_query_parameter() {
    let places = places("", "", "api_key", Scheme::None);
    for (target, expected) in [
        ("/p?api_key=k", one("k")),
        ("/p?a=1&api_key=k%2Fx+y&b", one("k/x y")),
        ("/p?api%5fkey=k", one("k")),
        ("/p?api_key", one("")),
        ("/p?api_key=%zz%4", one("%zz%4")),
        ("/p?x=api_key=k", Presented::Absent),
        ("/p", Presented::Absent),
        ("/api_key=k", Presented::Absent),
        ("/p?api_key=k&api_key=l", Presented::Several),
    ] {
        assert_eq!(
            places.find(&request(&[(":path", target)])),
            expected,
            "{target:?}"
        );
    }
}

#[test]
fn one_credential_in_two_places_is_several() {
    let places = places("x-api-key", "key", "key", Scheme::None);
    let fields = [
        ("x-api-key", "k"),
        ("cookie", "key=k"),
        (":path", "/?key=k"),
    ];
    for (first, second) in [(0, 1), (0, 2), (1, 2)] {
        assert_eq!(
            places.find(&request(&[fields[first], fields[second]])),
            Presented::Several
        );
    }
}

#[test]
fn hides_what_it_would_find_and_nothing_else() {
    let key = places("x-api-key", "", "api_key", Scheme::None);
    let token = places("authorization", "session", "", Scheme::Bearer);
    let set = |name: &str, value: &str| Edit::Set(name.to_owned(), value.to_owned());
    let remove = |name: &str| Edit::Remove(name.to_owned());
    for (fields, expected) in [
        (&[("x-api-key", "k")][..], vec![remove("x-api-key")]),
        (
            &[("authorization", "Bearer t")],
            vec![remove("authorization")],
        ),
        (&[("authorization", "Basic b")], vec![]),
        (
            &[(":path", "/p?a=1&api_key=k&b=%20")],
            vec![set(":path", "/p?a=1&b=%20")],
        ),
        (&[(":path", "/p?api%5Fkey=k")], vec![set(":path", "/p")]),
        (&[(":path", "/p?a=1")], vec![]),
        (
            &[("cookie", "a=1; session=t; b=2")],
            vec![remove("cookie"), set("cookie", "a=1; b=2")],
        ),
        (&[("cookie", "session=t")], vec![remove("cookie")]),
        (
            &[("cookie", "a=1"), ("cookie", "session=t")],
            vec![remove("cookie"), set("cookie", "a=1")],
        ),
        (&[("cookie", "a=1")], vec![]),
    ] {
        assert_eq!(
            hide(&[&key, &token], &request(fields)),
            expected,
            "{fields:?}"
        );
    }
}
