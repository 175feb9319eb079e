//! All that is wrong is told at once, where it is.

use super::{listed, only, parsed, problems, problems_of, rules};
use portcullis_seclang::parser::Parser;
use portcullis_seclang::rules::Disruptive;
use portcullis_seclang::source::MemoryFiles;

#[test]
fn all_problems_of_all_files_at_once() {
    let told = problems_of(&[
        (
            "main.conf",
            "SecRuleEngine Perhaps\n\
             Include rules/*.conf\n\
             SecTmpDir /tmp\n\
             SecRule ARGZ \"@rxx a\" \"phase:9,denny\"\n",
        ),
        ("rules/b.conf", "\n  SecAction \"id:1,pass\"\n"),
        (
            "rules/a.conf",
            "# fine\nSecAction id:1\nInclude ../extra.conf\nInclude a.conf\n",
        ),
        (
            "extra.conf",
            "SecAction \"pass\"\r\nSecRule ARGS a \"id:2,chain\"\r\n",
        ),
    ]);
    let expected = "\
main.conf:1:15: error: SecRuleEngine: \"Perhaps\" is none of On, Off, DetectionOnly
extra.conf:1:1: error: the rule has no id: add id:NUMBER
extra.conf:2:1: error: the rule says chain, and no rule follows
rules/a.conf:4:9: error: rules/a.conf includes itself
rules/b.conf:2:14: error: id 1 is taken by the rule at rules/a.conf:2:1
main.conf:3:1: warning: SecTmpDir has no effect: uploads are inspected and not stored
main.conf:4:9: error: unknown variable \"ARGZ\", did you mean ARGS?
main.conf:4:16: error: unknown operator @rxx, did you mean rx?
main.conf:4:30: error: phase: 1 to 5, request (2), response (4) or logging (5)
main.conf:4:32: error: unknown action \"denny\", did you mean deny?
main.conf:4:1: error: the rule has no id: add id:NUMBER
";
    assert_eq!(told, expected);
}

#[test]
fn places_across_continued_lines() {
    let text = "\n\
        SecRule ARGS|\\\n\
        \t  ARGZ \\\n\
        # a comment in between\n\
        \"@rx a\\\n\
        b\" \\\n\
        \"id:1,\\\n\
        \x20  phase:7,\\\n\
        \x20  msg:'a \\\n\
        \x20  b',denny\"\n";
    let expected = "t:3:4: error: unknown variable \"ARGZ\", did you mean ARGS?\n\
                    t:8:10: error: phase: 1 to 5, request (2), response (4) or logging (5)\n\
                    t:10:7: error: unknown action \"denny\", did you mean deny?\n";
    assert_eq!(problems(text), expected);
    let rule = only(
        &text
            .replace("ARGZ", "TX")
            .replace("phase:7", "phase:1")
            .replace("denny", "deny"),
    );
    assert_eq!(rule.position.to_string(), "t:2:1");
    assert_eq!(rule.operator.as_ref().unwrap().argument, "ab");
    assert_eq!(rule.operator.unwrap().position.to_string(), "t:5:2");
    assert_eq!(rule.metadata.message.unwrap().to_string(), "a b");
}

#[test]
fn endings_of_lines_and_files() {
    for text in [
        "SecRule ARGS a \\\r\n  \"id:1,\\\r\n deny\"\r\n",
        "\u{feff}SecRule ARGS a \\\n\"id:1,deny\"",
        "SecRule ARGS a \"id:1,deny\"\\",
        "SecRule ARGS a \"id:1,deny\" \\\n\nSecRuleEngine On",
        "\tSecRule\tARGS\ta\t\"id:1,deny\"\t",
        "SecRule ARGS a \"id:1,\\\n\n",
    ] {
        let closed = !text.ends_with("\\\n\n");
        assert_eq!(problems(text).is_empty(), closed, "{text}");
    }
}

#[test]
fn comments_go_on_but_not_over_directives() {
    let text = "#SecRule ARGS a \\\n    \"id:1,\\\n    deny\"\n\
                # careless \\\nSecAction \"id:2\"\n\
                # more \\\n# and more \\\nInclude x";
    assert_eq!(problems(text), "t:8:9: error: there is no file x\n");
    let parsed = parsed("  # a\n#\\\n\n SecAction id:3");
    assert_eq!(rules(&parsed)[0].id, 3);
}

#[test]
fn bytes_that_are_not_utf8_are_fine_in_comments_only() {
    let mut files = MemoryFiles::default();
    let text = b"# caf\xe9\nSecRule ARGS \"@rx caf\xe9\" \"id:1\"\nSecRule ARGS \"@rx caf\xc3\xa9\" \"id:2\"\n";
    files.files.insert("a".to_owned(), text.to_vec());
    let told = listed(&portcullis_seclang::parser::parse(&files, "a").unwrap_err());
    assert_eq!(
        told,
        "a:2:22: error: bytes that are not UTF-8: write them as \\xHH\n"
    );
}

#[test]
fn sources_one_after_another() {
    let files = super::files(&[
        ("rules/a.conf", "Include b/*.conf"),
        ("rules/b/c.conf", "SecAction id:1"),
    ]);
    let mut parser = Parser::new(&files);
    parser.text("inline", "SecAction id:2\nInclude rules/?.conf");
    parser.text("more", "SecAction id:2,chain");
    parser.text("last", "SecRule ARGS a");
    parser.file("none");
    let told = listed(&parser.finish().unwrap_err());
    let expected = "\
more:1:11: error: id 2 is taken by the rule at inline:1:1
more:1:1: error: the rule says chain, and no rule follows
last:1:1: error: the rule has no id: add id:NUMBER
none:1:1: error: there is no file none
";
    assert_eq!(told, expected);
}

#[test]
fn a_problem_is_one_line() {
    let told = problems("SecDataset\ta `\nb\n`\nInclude a\u{1b}[31m\nSecRule ARGS a `\nid:1`");
    let expected = "t:4:9: error: there is no file a\\u{1b}[31m\n\
                    t:5:16: error: this ` is never closed\n\
                    t:6:1: error: unknown directive \"id:1`\"\n";
    assert_eq!(told, expected);
}

#[test]
fn the_list_of_problems_ends() {
    let text = "SecTmpDir x\n".repeat(3_000);
    let told = problems(&text);
    assert_eq!(told.lines().count(), 1_000);
    assert_eq!(
        told.lines().last(),
        Some("t:1000:1: error: more problems are not listed")
    );
}

#[test]
fn defaults_of_a_later_source_replace_those_of_an_earlier_one() {
    let files = super::files(&[("setup", "SecDefaultAction phase:1,deny")]);
    let mut parser = Parser::new(&files);
    parser.text(
        "base",
        "SecDefaultAction phase:1,pass\nSecAction id:1,phase:1",
    );
    parser.text("rules", "Include setup");
    let parsed = parser.finish().unwrap();
    assert_eq!(rules(&parsed)[0].disruptive, Disruptive::Deny);

    let mut parser = Parser::new(&files);
    parser.text("rules", "SecDefaultAction phase:1,pass\nInclude setup");
    let told = listed(&parser.finish().unwrap_err());
    assert_eq!(
        told,
        "setup:1:1: error: phase 1 has its default at rules:1:1\n"
    );
}
