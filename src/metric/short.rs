//! A metric in one word, as the command line has it: `NAME:KIND` or `NAME:KIND:WINDOW`.

use std::str::FromStr;

use super::config::MetricConfig;
use super::window::{NotAWindow, Window};
use super::words::MetricKind;

/// What is no `NAME:KIND` and no `NAME:KIND:WINDOW`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAMetric {
    /// It has no kind, or no name.
    #[error("expected NAME:KIND or NAME:KIND:WINDOW, for example purchase:conversion:7d")]
    Shape,
    /// No kind is called so.
    #[error("unknown kind of metric '{}'; the kinds are {}", crate::text::escape(.0), kinds())]
    Kind(String),
    /// What stands for the window is none.
    #[error(transparent)]
    Window(#[from] NotAWindow),
}

fn kinds() -> String {
    let words: Vec<&str> = MetricKind::ALL.iter().map(|kind| kind.as_str()).collect();
    words.join(", ")
}

/// From `revenue:mean` or `purchase:conversion:7d`. The last colons separate, so a name may hold others.
impl FromStr for MetricConfig {
    type Err = NotAMetric;

    fn from_str(text: &str) -> Result<Self, NotAMetric> {
        let metric = |name: &str, kind| {
            let is_blank = name.chars().all(crate::text::is_blank);
            (!is_blank)
                .then(|| Self::new(name, kind))
                .ok_or(NotAMetric::Shape)
        };
        let (before, last) = text.rsplit_once(':').ok_or(NotAMetric::Shape)?;
        if let Some(kind) = MetricKind::named(last) {
            return metric(before, kind);
        }
        let unknown = |kind: &str| Err(NotAMetric::Kind(kind.to_owned()));
        let Some((name, kind)) = before.rsplit_once(':') else {
            return unknown(last);
        };
        let window = last.parse::<Window>();
        match (MetricKind::named(kind), window) {
            (Some(kind), window) => Ok(Self {
                window: Some(window?),
                ..metric(name, kind)?
            }),
            (None, Ok(_)) => unknown(kind),
            (None, Err(_)) => unknown(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_in_a_word() {
        let metric = |text: &str| text.parse::<MetricConfig>();
        let mean = MetricConfig::new("revenue", MetricKind::Mean);
        assert_eq!(metric("revenue:mean"), Ok(mean.clone()));
        let week = MetricConfig {
            window: Window::of_secs(604_800),
            ..mean
        };
        assert_eq!(metric("revenue:mean:7d"), Ok(week));
        assert_eq!(metric("a:b:mean:1h").unwrap().name, "a:b");
        assert_eq!(metric("a:mean:mean").unwrap().name, "a:mean");
    }

    #[test]
    fn what_is_no_metric_says_what_is_missing() {
        let told = |text: &str| text.parse::<MetricConfig>().unwrap_err().to_string();
        for text in ["", "revenue", ":mean", " :mean:7d"] {
            assert_eq!(
                text.parse::<MetricConfig>(),
                Err(NotAMetric::Shape),
                "{text}"
            );
        }
        let kinds = "the kinds are conversion, mean, ratio, quantile";
        for (text, kind) in [
            ("a:men", "men"),
            ("a:men:7d", "men"),
            ("a:b:c", "c"),
            ("a:", ""),
        ] {
            let expected = format!("unknown kind of metric '{kind}'; {kinds}");
            assert_eq!(told(text), expected);
        }
        assert_eq!(told("a:mean:7"), NotAWindow.to_string());
    }
}
