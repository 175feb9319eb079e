//! Texts that no operator writes: each is read in time that grows with its length, and nothing panics.

use std::time::{Duration, Instant};

use super::{problems, problems_of};

/// Far more than a linear pass over the text needs, far less than a quadratic one.
const TIME_MAX: Duration = Duration::from_secs(20);

fn told_in_time(text: &str) -> String {
    let start = Instant::now();
    let told = problems(text);
    assert!(start.elapsed() < TIME_MAX, "{:?}", start.elapsed());
    told
}

#[test]
fn quotes_without_end() {
    for unit in [
        "\"", "'", "\\\"", "'\"", "\\", "\"a\" ", "|", ",", ":", "=", "='", "%{", "/", "`", "\\\n",
    ] {
        let many = unit.repeat(100_000);
        for text in [
            many.clone(),
            format!("SecRule {many} a"),
            format!("SecRule ARGS {many} id:1"),
            format!("SecRule ARGS \"{many}"),
            format!("SecRule ARGS:/{many}/ a id:1"),
            format!("SecRule ARGS:'{many}' a id:1"),
            format!("SecAction \"id:1,{many}"),
            format!("SecAction \"id:1,msg:{many}\""),
            format!("SecAction id:1,msg:'{many}'"),
            format!("SecAction id:1,setvar:tx.a={many}"),
            format!("SecAction id:1,ctl:ruleRemoveTargetById=1;ARGS:{many}"),
            format!("SecRuleRemoveById {many}"),
            format!("SecDataset a `{many}"),
        ] {
            told_in_time(&text);
        }
    }
}

#[test]
fn a_line_of_ten_megabytes() {
    let text = format!("SecRule ARGS \"@rx {}\" \"id:1\"", "a".repeat(10 << 20));
    assert_eq!(
        told_in_time(&text),
        "t:1:1: error: a directive of more than 1048576 bytes\n"
    );
    let text = format!("SecRule ARGS \"@rx {}\" \"id:1\"", "a\\\n".repeat(3 << 20));
    assert_eq!(
        told_in_time(&text),
        "t:1:1: error: a directive of more than 1048576 bytes\n"
    );
}

#[test]
fn long_chains_and_many_rules() {
    let chain = "SecRule ARGS a chain\n".repeat(100_000);
    assert_eq!(
        told_in_time(&format!("SecRule ARGS a id:1,chain\n{chain}SecAction pass"))
            .lines()
            .count(),
        1
    );
    let rules: String = (1..50_000)
        .map(|id| format!("SecAction id:{id},skipAfter:x\nSecMarker x\nSecRuleRemoveById {id}\n"))
        .collect();
    assert_eq!(told_in_time(&rules), "");
}

#[test]
fn files_that_include_each_other() {
    let told = problems_of(&[("a", "Include b"), ("b", "Include ./a\nInclude b")]);
    let expected = "b:1:9: error: a includes itself\nb:2:9: error: b includes itself\n";
    assert_eq!(told, expected);
    let deep: Vec<_> = (0..100)
        .map(|level| (format!("{level}"), format!("Include {}", level + 1)))
        .collect();
    let deep: Vec<_> = deep.iter().map(|(name, text)| (&**name, &**text)).collect();
    assert_eq!(
        problems_of(&deep),
        "63:1:9: error: files are included 64 levels deep\n"
    );
    // Each level twice: without a bound, 2^40 files.
    let wide: Vec<_> = (0..40)
        .map(|level| {
            let next = level + 1;
            let text = format!("Include {next}\nInclude {next}");
            (format!("{level}"), text)
        })
        .chain([("40".to_owned(), String::new())])
        .collect();
    let wide: Vec<_> = wide.iter().map(|(name, text)| (&**name, &**text)).collect();
    let told = problems_of(&wide);
    assert!(told.contains("more than 10000 files"), "{told}");
}
