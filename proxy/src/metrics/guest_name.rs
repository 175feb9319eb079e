//! From the name a guest gave to a Prometheus name, its labels and its help.
//!
//! The ABI knows no labels, so SDKs write them into the name: `<base>_<key>=<value>_<key>=<value>`. Any of
//! `_ . ; , | / :` or a space stands before a key; a key is a letter followed by letters, digits and `-`, a value goes on
//! up to the next key. Keys therefore hold no `_`, values may. An `=` without a key before it belongs to the value.
//!
//! | name | kind | in Prometheus |
//! |---|---|---|
//! | `hits` | counter | `portcullis_guest_hits_total` |
//! | `hits_value=foo_reporter=sdk` | counter | `portcullis_guest_hits_total{reporter="sdk",value="foo"}` |
//! | `http.codes;host=a_b.example;code=200` | counter | `portcullis_guest_http_codes_total{code="200",host="a_b.example"}` |
//! | `cacheSize` | gauge | `portcullis_guest_cache_size` |
//! | `items_count` | gauge | `portcullis_guest_items_count_value` (the suffix is reserved) |
//! | `request_counter` | counter | `portcullis_guest_request_counters_total` (a type's name) |
//! | `latency_ms` | histogram | `portcullis_guest_latency_millisecond` (an abbreviated unit) |
//!
//! The last two keep `promtool check metrics` clean, which wants no type in a name, no abbreviated unit and no unit
//! beside the base one; the value stays what the guest recorded.

use portcullis_abi::wire::types::MetricType;

/// What every guest metric begins with.
const PREFIX: &str = "portcullis_guest";

/// A name that ends so is taken by the text format or by convention.
const RESERVED_SUFFIXES: [&str; 6] = ["_total", "_count", "_sum", "_bucket", "_info", "_created"];

/// A guest's metric name, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct GuestName {
    /// What is left without the labels, as the guest wrote it.
    pub(super) base: String,
    /// `base` as words that Prometheus and its linter accept, without prefix and suffix.
    words: String,
    /// Sorted by label name, without repeats; no value is empty.
    pub(super) labels: Vec<(String, String)>,
}

impl GuestName {
    pub(super) fn parse(raw: &str) -> Self {
        let (base, labels) = split(raw);
        let mut named: Vec<(String, String)> = Vec::new();
        for (key, value) in labels {
            // To Prometheus an empty label is none: two series would become one.
            let key = label_name(key);
            if !value.is_empty() && !named.iter().any(|(other, _)| *other == key) {
                named.push((key, value));
            }
        }
        named.sort();
        Self {
            base: base.to_owned(),
            words: words(base),
            labels: named,
        }
    }

    /// The family's name. `mark` tells apart two bases that would otherwise share it.
    pub(super) fn family(&self, kind: MetricType, mark: Option<&str>) -> String {
        let mut name = format!("{PREFIX}_{}", self.words);
        if kind == MetricType::Counter
            && let Some(without) = name.strip_suffix("_total")
        {
            name.truncate(without.len());
        }
        if let Some(mark) = mark {
            name.push('_');
            name.push_str(mark);
        }
        match kind {
            MetricType::Counter => name.push_str("_total"),
            MetricType::Gauge | MetricType::Histogram => {
                if RESERVED_SUFFIXES
                    .iter()
                    .any(|suffix| name.ends_with(suffix))
                {
                    name.push_str("_value");
                }
            }
        }
        name
    }
}

/// Base and labels, all as written.
fn split(raw: &str) -> (&str, Vec<(&str, String)>) {
    let Some((head, rest)) = raw.split_once('=') else {
        return (raw, Vec::new());
    };
    let Some((base, key)) = key_at_end(head).filter(|(base, _)| !words_of(base).is_empty()) else {
        return (raw, Vec::new());
    };
    let mut labels = Vec::new();
    let mut key = key;
    let mut value = String::new();
    let mut pieces = rest.split('=').peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            value.push_str(piece);
        } else if let Some((rest, next)) = key_at_end(piece) {
            value.push_str(rest);
            labels.push((key, std::mem::take(&mut value)));
            key = next;
        } else {
            value.push_str(piece);
            value.push('=');
        }
    }
    labels.push((key, value));
    (base, labels)
}

/// Splits `base_key` at the last separator, where what follows can be a key.
fn key_at_end(text: &str) -> Option<(&str, &str)> {
    let (rest, key) = text.rsplit_once(['_', '.', ';', ',', '|', '/', ':', ' '])?;
    let word = key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    word.then_some((rest, key))
}

/// A label name: `le` and `quantile` have a meaning of their own in the text format.
fn label_name(key: &str) -> String {
    match snake_case(key).join("_") {
        reserved if reserved == "le" || reserved == "quantile" => format!("guest_{reserved}"),
        name => name,
    }
}

/// The base as words joined by `_`, never empty.
fn words(base: &str) -> String {
    let words = words_of(base);
    if words.is_empty() {
        return "unnamed".to_owned();
    }
    words.join("_")
}

fn words_of(base: &str) -> Vec<String> {
    snake_case(base)
        .into_iter()
        .map(|word| accepted(&word).unwrap_or(word))
        .collect()
}

/// Lower case ASCII words; whatever is neither letter nor digit separates, and so does `aB`.
fn snake_case(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut previous = ' ';
    for c in text.chars() {
        if c.is_ascii_alphanumeric() {
            let camel = previous.is_ascii_lowercase() && c.is_ascii_uppercase();
            match words.last_mut() {
                Some(word) if previous.is_ascii_alphanumeric() && !camel => {
                    word.push(c.to_ascii_lowercase());
                }
                _ => words.push(c.to_ascii_lowercase().to_string()),
            }
        }
        previous = c;
    }
    words
}

/// What stands in for a word that Prometheus' linter objects to: the plural of a type, the unit's full name in the
/// singular, a single letter that reads as a unit twice.
fn accepted(word: &str) -> Option<String> {
    let fixed = match word {
        "counter" => "counters",
        "gauge" => "gauges",
        "histogram" => "histograms",
        "summary" => "summaries",
        "s" | "b" | "m" | "h" | "d" => return Some(word.repeat(2)),
        "sec" => "second",
        "ms" => "millisecond",
        "us" => "microsecond",
        "ns" => "nanosecond",
        "kb" => "kilobyte",
        "mb" => "megabyte",
        "gb" => "gigabyte",
        "tb" => "terabyte",
        "pb" => "petabyte",
        _ => return singular_unit(word),
    };
    Some(fixed.to_owned())
}

/// `milliseconds` to `millisecond`: in the plural only base units without a prefix are accepted.
fn singular_unit(word: &str) -> Option<String> {
    if !is_foreign_unit(word) {
        return None;
    }
    // Kelvin is listed with and without its `s`, hence the last of these.
    let singular = word.strip_suffix('s').unwrap_or(word).to_owned();
    [singular, format!("{word}s"), format!("{word}ss")]
        .into_iter()
        .find(|candidate| !is_foreign_unit(candidate))
}

/// A unit, but not a base unit.
fn is_foreign_unit(word: &str) -> bool {
    const PREFIXES: [&str; 18] = [
        "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega",
        "mibi", "giga", "gibi", "tera", "tebi", "peta", "pebi",
    ];
    const BASE: [&str; 10] = [
        "amperes", "bytes", "celsius", "grams", "joules", "kelvin", "meters", "metres", "seconds",
        "volts",
    ];
    const OTHER: [&str; 14] = [
        "bits",
        "calories",
        "days",
        "fahrenheit",
        "hours",
        "inches",
        "kelvins",
        "miles",
        "minutes",
        "ounces",
        "pounds",
        "rankine",
        "weeks",
        "yards",
    ];
    let prefixed = PREFIXES.iter().find_map(|prefix| word.strip_prefix(prefix));
    OTHER.contains(&word)
        || prefixed.is_some_and(|unit| BASE.contains(&unit) || OTHER.contains(&unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(raw: &str, kind: MetricType) -> String {
        let name = GuestName::parse(raw);
        let labels: Vec<String> = name
            .labels
            .iter()
            .map(|(key, value)| format!("{key}={value:?}"))
            .collect();
        let family = name.family(kind, None);
        let short = family.strip_prefix("portcullis_guest_").expect("prefix");
        format!("{short}{{{}}}", labels.join(","))
    }

    #[test]
    fn labels_are_taken_out_of_the_name() {
        let rows = [
            ("hits", "hits_total{}"),
            (
                "custom_header_value_counts_value=foo_reporter=wasmgosdk",
                r#"custom_header_value_counts_total{reporter="wasmgosdk",value="foo"}"#,
            ),
            (
                "a_x=some_long_value_code=200",
                r#"a_total{code="200",x="some_long_value"}"#,
            ),
            (
                "a;host=b.example;code=200",
                r#"a_total{code="200",host="b.example"}"#,
            ),
            ("a_my-key=1", r#"a_total{my_key="1"}"#),
            ("a_myKey=1", r#"a_total{my_key="1"}"#),
            // An `=` without a key before it.
            ("a_q=x=y", r#"a_total{q="x=y"}"#),
            ("a_q=x==", r#"a_total{q="x=="}"#),
            ("a=c", "a_c_total{}"),
            ("_k=v", "k_v_total{}"),
            ("a_1=2", "a_1_2_total{}"),
            ("=", "unnamed_total{}"),
            ("", "unnamed_total{}"),
            // Empty is none, the first of two counts, reserved names are kept apart.
            ("a_k=", "a_total{}"),
            ("a_k=1_k=2", r#"a_total{k="1"}"#),
            ("a_le=1", r#"a_total{guest_le="1"}"#),
        ];
        for (raw, expected) in rows {
            assert_eq!(shown(raw, MetricType::Counter), expected, "{raw}");
        }
    }

    #[test]
    fn names_follow_the_conventions() {
        use MetricType::{Counter, Gauge, Histogram};
        let rows = [
            ("requests_total", Counter, "requests_total{}"),
            ("requests_total", Gauge, "requests_total_value{}"),
            ("items_count", Gauge, "items_count_value{}"),
            ("items_count", Counter, "items_count_total{}"),
            ("items_sum", Histogram, "items_sum_value{}"),
            ("size", Gauge, "size{}"),
            ("size", Histogram, "size{}"),
            ("cacheSize", Gauge, "cache_size{}"),
            ("HTTPCodes", Gauge, "httpcodes{}"),
            (
                "proxy_wasm_go.request_counter",
                Counter,
                "proxy_wasm_go_request_counters_total{}",
            ),
            ("latency_ms", Histogram, "latency_millisecond{}"),
            ("latency_milliseconds", Histogram, "latency_millisecond{}"),
            ("latency_seconds", Histogram, "latency_seconds{}"),
            ("group_b", Gauge, "group_bb{}"),
            ("uptime_hours", Gauge, "uptime_hour{}"),
            ("cold_millikelvins", Gauge, "cold_millikelvinss{}"),
            ("total", Counter, "total{}"),
            ("größe", Gauge, "gr_e{}"),
            ("a:b\n# TYPE c", Gauge, "a_bb_type_c{}"),
        ];
        for (raw, kind, expected) in rows {
            assert_eq!(shown(raw, kind), expected, "{raw}");
        }
    }

    #[test]
    fn a_mark_stands_before_the_suffix() {
        let name = GuestName::parse("hits_total");
        assert_eq!(
            name.family(MetricType::Counter, Some("c0ffee00")),
            "portcullis_guest_hits_c0ffee00_total"
        );
    }
}
