//! Tests of the builder.

use super::*;

fn messages(text: &str) -> Vec<String> {
    parse(text)
        .flaws
        .into_iter()
        .map(|f| {
            format!(
                "{}:{} {}: {}",
                f.mark.line, f.mark.column, f.path, f.message
            )
        })
        .collect()
}

#[test]
fn knows_places() {
    let tree = parse("a:\n  - b: x\n    c: \"y\"\n");
    let Some(Node {
        content: Content::Mapping(entries),
        ..
    }) = tree.root
    else {
        panic!("{:?}", tree.flaws)
    };
    let Content::List(items) = &entries[0].node.content else {
        panic!("no list")
    };
    let Content::Mapping(inner) = &items[0].content else {
        panic!("no mapping")
    };
    assert_eq!((inner[1].key_mark.line, inner[1].key_mark.column), (3, 5));
    assert_eq!((inner[1].node.mark.line, inner[1].node.mark.column), (3, 8));
    let Content::Scalar(scalar) = &inner[1].node.content else {
        panic!("no scalar")
    };
    assert_eq!((scalar.span.clone(), scalar.style), (19..22, Style::Quoted));
}

#[test]
fn collects_flaws() {
    assert_eq!(
        messages("a: 1\nb: { c: 1, c: 2 }\na: 2\n? [x]\n: y\n\"${env:X}\": 1\nd: !foo x\n"),
        [
            "2:12 b.c: the key `c` again; it is in line 2 already",
            "3:1 a: the key `a` again; it is in line 1 already",
            "4:3 : a key must be a string, this is a list",
            "6:1 : a key with `${...}`, which is expanded in values only",
            "7:9 d: the tag `!foo` has no meaning here",
        ]
    );
}

#[test]
fn merges_keys() {
    let tree = parse("base: &b { x: 1, y: 2 }\nuse: { y: 3, <<: *b }\n");
    assert!(tree.flaws.is_empty(), "{:?}", tree.flaws);
    let Some(Node {
        content: Content::Mapping(entries),
        ..
    }) = tree.root
    else {
        panic!("no root")
    };
    let Content::Mapping(used) = &entries[1].node.content else {
        panic!("no mapping")
    };
    assert_eq!(used.iter().map(|e| &*e.key).collect::<Vec<_>>(), ["y", "x"]);
    assert_eq!(
        messages("a: { <<: 3 }")[0],
        "1:10 a: `<<` merges mappings, this is a number"
    );
}

#[test]
fn bombs_are_refused() {
    let mut text = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for i in 1..12 {
        text += &format!("a{i}: &a{i} [{}]\n", format!("*a{},", i - 1).repeat(10));
    }
    assert!(
        messages(&text)
            .concat()
            .contains("aliases copied in is too large")
    );
    let long = format!(
        "a: &a \"{}\"\nb: [{}]\n",
        "x".repeat(1 << 20),
        "*a,".repeat(100)
    );
    assert!(
        messages(&long)
            .concat()
            .contains("aliases copied in is too large")
    );
    let keys = format!(
        "a: &a\n  ? \"{}\"\n  : 1\nb: [{}]\n",
        "x".repeat(1 << 20),
        "*a,".repeat(100)
    );
    assert!(
        messages(&keys).concat().contains("too large"),
        "{}",
        messages(&keys).concat()
    );
    let mut deep = String::from("a0: &a0 [x]\n");
    for i in 1..120 {
        deep += &format!("a{i}: &a{i} [*a{}]\n", i - 1);
    }
    assert!(messages(&deep).concat().contains("nested deeper"));
    for text in ["[".repeat(5000), "[".repeat(101) + &"]".repeat(101)] {
        let messages = messages(&text).concat();
        assert!(
            messages.contains("nested deeper") || messages.contains("recursion limit"),
            "{messages}"
        );
    }
    assert!(
        messages("a: &a [*a]")
            .concat()
            .contains("an alias inside of what it names")
    );
}

#[test]
fn one_document_only() {
    assert_eq!(
        messages("a: 1\n---\nb: 2\n"),
        ["2:1 : a second document; the configuration is one document"]
    );
    assert!(parse("").root.is_none());
    assert!(parse("a: [").broken);
}
