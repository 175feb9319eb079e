//! The text as a whole: what a scraper and the linter see.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use portcullis_abi::host::Refusal;
use portcullis_abi::wire::types::MetricType;

use super::*;

/// Metrics of which every name has a sample.
fn busy() -> Metrics {
    let metrics = Metrics::new();
    metrics.route("api").observe(200, Duration::from_millis(3));
    metrics.route("api").observe(0, Duration::from_secs(1));
    metrics
        .route("odd \"name\"\\\n")
        .observe(503, Duration::ZERO);
    let filter = metrics.filter("hello");
    for phase in Phase::ALL {
        filter.observe(*phase, Duration::from_nanos(700));
    }
    for kind in FaultKind::ALL {
        filter.fault(*kind);
    }
    filter.vm_started();
    filter.vm_started();
    filter.vm_ended();
    filter.set_backed_off(true);
    filter.callout(CalloutResult::TimedOut);
    filter.refused(&Refusal::SharedDataEvicted { entries: 4 });
    filter.refused(&Refusal::LogRate { lines: 9 });
    filter.refused(&Refusal::InvalidHeader);
    metrics.upstream("origin").connect_failed();
    metrics.upstream("origin").dns_failed();
    metrics.listener("http").opened();
    metrics.listener("http").refused();
    metrics.request_refused("no_host");
    metrics.reloaded(ReloadResult::Failure);
    metrics.set_generation(7);
    metrics.access_log_dropped().inc();
    metrics.audit_log_dropped().inc_by(2);
    metrics
}

/// A few hundred names of hostile shape, the same in every run.
fn hostile_names() -> Vec<String> {
    const PARTS: [&str; 36] = [
        "_",
        "__",
        "=",
        "==",
        ".",
        ":",
        ";",
        " ",
        "\n",
        "\r",
        "\t",
        "\0",
        "\"",
        "\\",
        "{",
        "}",
        "#",
        "le",
        "quantile",
        "total",
        "Total",
        "count",
        "sum",
        "bucket",
        "counter",
        "ms",
        "kilobytes",
        "fooBar",
        "9",
        "a",
        "x",
        "é",
        "\u{202e}",
        "name",
        "# HELP a b\n",
        "_value=",
    ];
    // xorshift64*: any fixed sequence does.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |bound: usize| {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    };
    let mut names: Vec<String> = PARTS.iter().map(|part| (*part).to_owned()).collect();
    for _ in 0..600 {
        let parts = 1 + next(7);
        names.push((0..parts).map(|_| PARTS[next(PARTS.len())]).collect());
    }
    for _ in 0..200 {
        let chars = 1 + next(24);
        names.push(
            (0..chars)
                .filter_map(|_| char::from_u32(u32::try_from(next(0x3000)).unwrap_or(0)))
                .collect(),
        );
    }
    names
}

fn define_hostile(metrics: &Metrics) {
    let kinds = [
        MetricType::Counter,
        MetricType::Gauge,
        MetricType::Histogram,
    ];
    for (index, name) in hostile_names().iter().enumerate() {
        if let Some(metric) = metrics.guests().define("hostile", kinds[index % 3], name) {
            metric.record(3);
        }
    }
}

/// Reads the text strictly: every line has its form, every family one HELP and one TYPE before its samples, and no
/// series stands twice. Returns the series with their values.
fn read(text: &str) -> Vec<(String, String)> {
    let sample = regex::Regex::new(
        r#"^([a-z][a-z0-9_]*)((?:\{(?:[a-z][a-z0-9_]*="(?:[^"\\\n]|\\[\\n"])*",?)+\})?) (\S+)$"#,
    )
    .expect("pattern");
    let mut families = BTreeSet::new();
    let mut seen = BTreeSet::new();
    let mut family = String::new();
    let mut values = Vec::new();
    for line in text.split('\n').filter(|line| !line.is_empty()) {
        if let Some(help) = line.strip_prefix("# HELP ") {
            family = help.split(' ').next().unwrap_or_default().to_owned();
            assert!(families.insert(family.clone()), "two families: {line}");
            assert!(help.len() > family.len() + 1, "no help: {line}");
            continue;
        }
        if let Some(kind) = line.strip_prefix("# TYPE ") {
            assert!(kind.starts_with(&family), "type without help: {line}");
            continue;
        }
        let parts = sample
            .captures(line)
            .unwrap_or_else(|| panic!("no sample: {line:?}"));
        assert!(parts[1].starts_with(&family), "stray sample: {line}");
        assert!(parts[3].parse::<f64>().is_ok(), "no number: {line}");
        let series = format!("{}{}", &parts[1], &parts[2]);
        assert!(seen.insert(series.clone()), "twice: {line}");
        values.push((series, parts[3].to_owned()));
    }
    values
}

fn value<'a>(values: &'a [(String, String)], series: &str) -> Option<&'a str> {
    let found = values.iter().find(|(name, _)| name == series);
    found.map(|(_, value)| value.as_str())
}

/// `promtool check metrics` over the text; `None` where promtool is not installed.
fn promtool(text: &str) -> Option<(bool, String)> {
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => {
            eprintln!("skipped: promtool (Debian package prometheus) does not run: {error}");
            return None;
        }
    };
    child
        .stdin
        .take()
        .expect("piped")
        .write_all(text.as_bytes())
        .expect("promtool reads");
    let output = child.wait_with_output().expect("promtool ends");
    let said = [output.stdout, output.stderr].concat();
    Some((
        output.status.success(),
        String::from_utf8_lossy(&said).into_owned(),
    ))
}

#[test]
fn counts_appear_under_their_names() {
    let values = read(&busy().render());
    for (series, expected) in [
        (r#"portcullis_requests_total{route="api",code="200"}"#, "1"),
        (r#"portcullis_requests_total{route="api",code="0"}"#, "1"),
        (
            r#"portcullis_request_duration_seconds_count{route="api"}"#,
            "2",
        ),
        (
            r#"portcullis_filter_duration_seconds_bucket{filter="hello",phase="queue",le="0.000001"}"#,
            "1",
        ),
        (
            r#"portcullis_filter_faults_total{filter="hello",kind="stack"}"#,
            "1",
        ),
        (r#"portcullis_vms{filter="hello"}"#, "1"),
        (r#"portcullis_filter_backed_off{filter="hello"}"#, "1"),
        (
            r#"portcullis_filter_callouts_total{filter="hello",result="timed_out"}"#,
            "1",
        ),
        (
            r#"portcullis_filter_refused_calls_total{filter="hello",kind="invalid_header"}"#,
            "1",
        ),
        (
            r#"portcullis_filter_refused_calls_total{filter="hello",kind="grant"}"#,
            "0",
        ),
        (
            r#"portcullis_filter_shared_data_evictions_total{filter="hello"}"#,
            "4",
        ),
        (
            r#"portcullis_filter_log_lines_dropped_total{filter="hello"}"#,
            "9",
        ),
        (
            r#"portcullis_upstream_connect_failures_total{upstream="origin"}"#,
            "1",
        ),
        (r#"portcullis_dns_failures_total{upstream="origin"}"#, "1"),
        (r#"portcullis_connections{listener="http"}"#, "1"),
        (
            r#"portcullis_connections_refused_total{listener="http"}"#,
            "1",
        ),
        (
            r#"portcullis_requests_refused_total{reason="no_host"}"#,
            "1",
        ),
        (r#"portcullis_reloads_total{result="failure"}"#, "1"),
        (r#"portcullis_reloads_total{result="success"}"#, "0"),
        ("portcullis_generation", "7"),
        ("portcullis_access_log_lines_dropped_total", "1"),
        ("portcullis_audit_log_lines_dropped_total", "2"),
        ("portcullis_metric_definitions_refused_total", "0"),
    ] {
        assert_eq!(value(&values, series), Some(expected), "{series}");
    }
    assert!(value(&values, "process_cpu_seconds_total").is_some());
}

#[test]
fn names_that_stay_keep_their_counts_and_others_go() {
    let metrics = busy();
    let route = metrics.route("api");
    let names = Names {
        routes: BTreeSet::from(["api", "new"]),
        ..Names::default()
    };
    metrics.retain(&names);
    route.observe(200, Duration::ZERO);
    metrics.route("api").observe(200, Duration::ZERO);
    let text = metrics.render();
    let values = read(&text);
    let series = r#"portcullis_requests_total{route="api",code="200"}"#;
    assert_eq!(value(&values, series), Some("3"));
    assert!(!text.contains("hello") && !text.contains("origin") && !text.contains("odd"));
}

#[test]
fn hostile_guest_names_keep_the_text_valid() {
    let metrics = busy();
    define_hostile(&metrics);
    let guests = read(&metrics.render())
        .iter()
        .filter(|(series, _)| series.starts_with("portcullis_guest_"))
        .count();
    assert!(guests > 400, "{guests}");
}

#[test]
fn promtool_finds_nothing() {
    let metrics = busy();
    define_hostile(&metrics);
    // Every word of the linter's vocabulary, in every kind of metric.
    for (index, word) in [
        "hours",
        "kibibytes",
        "sec",
        "gauge",
        "summary",
        "fahrenheit",
        "m",
        "millikelvin",
    ]
    .iter()
    .enumerate()
    {
        for (kind, family) in [
            (MetricType::Counter, "c"),
            (MetricType::Gauge, "g"),
            (MetricType::Histogram, "h"),
        ] {
            let name = format!("{family}{index}_{word}");
            assert!(metrics.guests().define("f", kind, &name).is_some());
        }
    }
    let Some((clean, said)) = promtool(&metrics.render()) else {
        return;
    };
    assert!(clean && said.is_empty(), "{said}");
    let (clean, _) = promtool("# TYPE x counter\nx 1\n").expect("it ran before");
    assert!(!clean, "a linter that accepts everything proves nothing");
}

#[test]
fn the_guide_lists_every_metric() {
    let guide = include_str!("../../../docs/guide/metrics.md");
    let text = busy().render();
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("# HELP "))
        .filter_map(|line| line.split(' ').next());
    let missing: Vec<&str> = names
        .filter(|name| !guide.contains(&format!("`{name}`")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
