//! Metrics as a scrape shows them.

/// One scrape.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Vec<Series>);

/// One line of a scrape.
#[derive(Debug, Clone, PartialEq)]
pub struct Series {
    /// The name, with `_bucket`, `_sum` or `_count` for histograms.
    pub name: String,
    /// Its labels, in the order of the scrape.
    pub labels: Vec<(String, String)>,
    /// Its value.
    pub value: f64,
}

impl Metrics {
    /// Reads the Prometheus text format; panics on a line that isn't.
    pub fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        Self(lines.map(|line| series(line).unwrap_or_else(|| panic!("not a metric: {line}"))).collect())
    }

    /// The sum of all series of `name` that have these labels, whatever else they have; 0 when there is none.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        // An empty `sum()` is -0.0.
        self.matching(name, labels).fold(0.0, |sum, series| sum + series.value)
    }

    /// All series of `name`.
    pub fn series<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Series> {
        self.matching(name, &[])
    }

    /// All series, in the order of the scrape.
    pub fn iter(&self) -> impl Iterator<Item = &Series> {
        self.0.iter()
    }

    /// How many series there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn matching<'a>(&'a self, name: &'a str, labels: &'a [(&str, &str)]) -> impl Iterator<Item = &'a Series> {
        self.0.iter().filter(move |series| {
            series.name == name && labels.iter().all(|(label, value)| series.label(label) == Some(value))
        })
    }
}

impl Series {
    /// The value of a label.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.labels.iter().find(|(label, _)| label == name).map(|(_, value)| value.as_str())
    }
}

fn series(line: &str) -> Option<Series> {
    let (series, value) = line.rsplit_once(' ')?;
    let value = value.parse().ok()?;
    let Some((name, labels)) = series.split_once('{') else {
        return Some(Series { name: series.to_owned(), labels: Vec::new(), value });
    };
    Some(Series { name: name.to_owned(), labels: labels_of(labels.strip_suffix('}')?)?, value })
}

fn labels_of(mut text: &str) -> Option<Vec<(String, String)>> {
    let mut labels = Vec::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut chars = rest.char_indices();
        let end = loop {
            match chars.next()? {
                (end, '"') => break end,
                (_, '\\') => value.push(match chars.next()?.1 {
                    'n' => '\n',
                    other => other,
                }),
                (_, other) => value.push(other),
            }
        };
        labels.push((name.to_owned(), value));
        text = rest[end + 1..].trim_start_matches(',');
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_found_by_some_of_their_labels() {
        let text = "# HELP a_total x\n# TYPE a_total counter\na_total{m=\"GET\",r=\"x\"} 2\na_total{m=\"PUT\",r=\"x\"} 3\n\
                    up 1\nb_bucket{le=\"+Inf\",v=\"a\\\"},b\\n\"} 1e3\n";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.sum("a_total", &[("r", "x")]), 5.0);
        assert_eq!(metrics.sum("a_total", &[("m", "PUT"), ("r", "x")]), 3.0);
        assert_eq!((metrics.sum("a_total", &[("m", "X")]), metrics.sum("up", &[])), (0.0, 1.0));
        let bucket = metrics.series("b_bucket").next().expect("the bucket");
        assert_eq!((bucket.label("v"), bucket.label("le"), bucket.value), (Some("a\"},b\n"), Some("+Inf"), 1000.0));
    }
}
