//! Reads the Prometheus text format.

/// One scrape.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// The page as it was served.
    pub text: String,
}

impl Metrics {
    /// Sum of all samples of this name whose labels include these; 0 where there are none.
    ///
    /// # Panics
    /// When a matching sample is no number.
    #[must_use]
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.samples(name, labels).sum()
    }

    /// Whether there is a sample of this name with these labels.
    #[must_use]
    pub fn has(&self, name: &str, labels: &[(&str, &str)]) -> bool {
        self.samples(name, labels).next().is_some()
    }

    fn samples(&self, name: &str, labels: &[(&str, &str)]) -> impl Iterator<Item = f64> {
        self.text.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            let (found, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            let all = labels
                .iter()
                .all(|(key, value)| has_label(found, key, value));
            all.then(|| value.trim().parse().expect("value of a sample"))
        })
    }
}

/// Whether `name="value"` is one of the comma-separated labels.
fn has_label(labels: &str, name: &str, value: &str) -> bool {
    let wanted = format!("{name}=\"{value}\"");
    labels
        .match_indices(&wanted)
        .any(|(at, _)| at == 0 || labels.as_bytes().get(at - 1) == Some(&b','))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_matching_samples() {
        let text = "# HELP a_total x\na_total{b=\"1\",c=\"2\"} 3\na_total{b=\"1\"} 4\na_total_more 9\na{b=\"1\"} 5\n".to_owned();
        let metrics = Metrics { text };
        assert!((metrics.sum("a_total", &[("b", "1")]) - 7.0).abs() < f64::EPSILON);
        assert!((metrics.sum("a_total", &[("c", "2")]) - 3.0).abs() < f64::EPSILON);
        assert!(!metrics.has("a_total", &[("b", "2")]));
        assert!(metrics.has("a_total_more", &[]));
    }
}
