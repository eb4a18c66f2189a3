//! `exp results --html`: one page that needs nothing else. Words and figures are those of the report; its parts are in
//! `sections` and `metric`, the shapes in `charts`, the colours in `style.css`. `content` is what has to be given.

mod charts;
mod content;
mod metric;
mod parts;
mod sections;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(crate) use self::content::{Beside, Day, Days, Moment, Page, Series};

use crate::output::interval::{Interval, Scale};
use crate::output::text::safe;

const STYLE: &str = include_str!("style.css");

/// What a browser may load for the page: nothing. The icon is one that it need not ask for.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

/// What a page is known by.
const GENERATOR: &str = "exp results";

/// Whether a file that begins like this is a page.
pub(crate) fn is_page(beginning: &str) -> bool {
    let mark = format!(r#"<meta name="generator" content="{GENERATOR}">"#);
    beginning.starts_with("<!DOCTYPE html>") && beginning.contains(&mark)
}

/// The page as a document.
pub(crate) fn render(page: &Page<'_>) -> String {
    let report = page.report;
    let compared = report.metrics.iter().flat_map(|m| &m.comparisons);
    let compared: Vec<Interval> = compared.filter_map(Interval::of).collect();
    let scale = Scale::of(&compared);
    let document: Markup = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="generator" content=(GENERATOR);
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                link rel="icon" href="data:,";
                title { (safe(&report.experiment)) ": results" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (sections::head(page))
                    (sections::verdicts(report))
                    @for (index, (metric, beside)) in report.metrics.iter().zip(&page.metrics).enumerate() {
                        (metric::section(metric, beside, index, scale))
                    }
                    (sections::sample_ratio(report))
                    (sections::assigned(&page.days))
                    (sections::left_out(report))
                    (sections::history(page.history, &report.experiment))
                }
                (sections::footer(page))
            }
        }
    };
    document.into_string()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::STYLE;

    /// The colours of each block of the style that has some: light, dark, print.
    fn schemes() -> Vec<BTreeMap<&'static str, [f64; 3]>> {
        let blocks = STYLE.split(":root {").skip(1);
        let blocks = blocks.map(|block| block.split('}').next().unwrap());
        let colours = blocks.map(|block| {
            let declared = block.split(';').filter_map(|line| line.split_once(": "));
            let declared = declared.filter_map(|(name, value)| {
                let digits = value.trim().strip_prefix('#')?;
                let channel = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
                Some((name.trim(), [0, 2, 4].map(|at| f64::from(channel(at)))))
            });
            declared.collect()
        });
        colours.collect()
    }

    /// WCAG 2.2, "relative luminance".
    fn luminance(colour: [f64; 3]) -> f64 {
        let linear = colour.map(|channel| match channel / 255.0 {
            share if share <= 0.04045 => share / 12.92,
            share => ((share + 0.055) / 1.055).powf(2.4),
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }

    /// WCAG 2.2, "contrast ratio".
    fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
        let (one, other) = (luminance(one), luminance(other));
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    #[test]
    fn contrast_is_high_in_both_schemes_and_in_print() {
        assert!((contrast([0.0; 3], [255.0; 3]) - 21.0).abs() < 1e-9);
        let schemes = schemes();
        assert_eq!(schemes.len(), 3);
        for colours in schemes {
            for paper in ["--paper", "--band"] {
                // WCAG asks for 4.5 of words and for 3 of shapes.
                let words = ["--ink", "--faint"].map(|name| (name, 4.5));
                let shapes = ["--accent", "--good", "--bad", "--warn", "--axis"];
                for (name, least) in words.into_iter().chain(shapes.map(|name| (name, 3.0))) {
                    let found = contrast(colours[name], colours[paper]);
                    assert!(found >= least, "{name} on {paper}: {found}");
                }
            }
        }
    }
}
