//! What the page of results shows beside the report, and the file that it goes to.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::Context as _;
use experiments::results::{Members, MetricReport, Report};
use experiments::text::escape;
use experiments::{ChangeRecord, ExperimentConfig, ExperimentService, ExposureScan, MetricConfig};

use crate::commands::{assignments, exposures};
use crate::exit::{Hint, Invalid, UsageError};
use crate::hash::Hash;
use crate::output::interval::Interval;
use crate::output::metric;
use crate::output::rows::Rows;
use crate::page::{self, Beside, Day, Days, Moment, Page, Series};
use crate::secrets;

const DAY: u64 = 86_400;

/// What a page is made of.
pub(super) struct Made<'a> {
    pub(super) config: &'a ExperimentConfig,
    /// The log, newest first.
    pub(super) history: &'a [ChangeRecord],
    /// In the order of the report's.
    pub(super) metrics: &'a [MetricConfig],
    /// Whether the latest outcome was to be the end.
    pub(super) until_latest: bool,
    pub(super) now_secs: u64,
    pub(super) service: &'a ExperimentService,
    pub(super) members: &'a Members,
    pub(super) report: &'a Report,
    /// The report as it would have been at some earlier moments.
    pub(super) over_time: Vec<Report>,
    /// What the outcomes were read from, and its SHA-256.
    pub(super) outcomes: (String, String),
}

/// Refuses a place for a page where something else is, such as the store or the outcomes that are read.
pub(super) fn refuse_to_overwrite(file: &Path) -> anyhow::Result<()> {
    /// What is known of a page stands at its beginning.
    const BEGINNING: u64 = 1 << 10;
    if file == Path::new("-") {
        let message = "--html takes the name of a file";
        return Err(UsageError(message.to_owned()).into());
    }
    // What is no regular file, such as a pipe, holds nothing to lose.
    if !file.is_file() {
        return Ok(());
    }
    let mut found = Vec::new();
    let opened = File::open(file).with_context(|| format!("cannot read {}", file.display()))?;
    opened.take(BEGINNING).read_to_end(&mut found)?;
    // An empty file is what mktemp makes, and a shell for what is redirected to it.
    if found.is_empty() || page::is_page(&String::from_utf8_lossy(&found)) {
        return Ok(());
    }
    let shown = secrets::mask(&file.to_string_lossy());
    let message = format!(
        "{} exists already and is not a page of exp results",
        escape(&shown)
    );
    let hint = "name another file, or remove this one first".to_owned();
    Err(anyhow::Error::new(Invalid(message)).context(Hint(hint)))
}

pub(super) fn document(made: &Made<'_>) -> anyhow::Result<String> {
    let config = made.config;
    let name = shlex::try_quote(&config.name)?;
    let assigned = Rows::tsv(Hash::default(), assignments::COLUMNS);
    let assigned = assignments::write(made.service, &config.name, 0, assigned)?;
    let exposed = Rows::tsv(Hash::default(), exposures::COLUMNS);
    let all = ExposureScan::default();
    let exposed = exposures::write(made.service, &config.name, &all, exposed)?;
    let inputs = vec![
        (format!("exp assignments {name}"), assigned.to_string()),
        (format!("exp exposures {name}"), exposed.to_string()),
        made.outcomes.clone(),
    ];
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = words.map(|w| w.to_string_lossy().into_owned()).collect();
    let words = std::iter::once("exp").chain(words.iter().map(String::as_str));
    let asked = made.metrics.iter().zip(&made.report.metrics);
    let metrics = asked.enumerate().map(|(index, (asked, metric))| Beside {
        definition: definition(asked),
        over_time: over_time(made, metric, index),
    });
    Ok(page::render(&Page {
        report: made.report,
        description: config.description.as_deref(),
        metrics: metrics.collect(),
        days: days(made),
        history: made.history,
        command: secrets::mask(&shlex::try_join(words)?),
        ends_by_itself: made.until_latest,
        inputs,
        made_at_secs: made.now_secs,
    }))
}

/// What a metric is, without what its report says: its part in the decision, and the good direction.
fn definition(metric: &MetricConfig) -> String {
    let mut metric = metric.clone();
    (metric.role, metric.better) = (None, None);
    metric::summary(&metric)
}

/// The comparison of the verdict, or else the first, as it was at each moment. There is none of a metric without a
/// window: what is known now says nothing of what was known then.
fn over_time(made: &Made<'_>, metric: &MetricReport, index: usize) -> Option<Series> {
    metric.window_secs?;
    let decisive = metric.verdict.variant.as_deref();
    let mut comparisons = metric.comparisons.iter();
    let shown = comparisons.find(|c| decisive.is_none_or(|variant| c.variant == variant))?;
    let reports = made.over_time.iter().chain([made.report]);
    let moments = reports.filter_map(|report| {
        let mut comparisons = report.metrics[index].comparisons.iter();
        let comparison = comparisons.find(|c| c.variant == shown.variant)?;
        Some(Moment {
            at_secs: report.to_secs,
            interval: Interval::of(comparison)?,
        })
    });
    let moments: Vec<Moment> = moments.collect();
    (moments.len() > 1).then(|| Series {
        variant: shown.variant.clone(),
        control: shown.control.clone(),
        moments,
    })
}

/// How many actors of each variant were assigned on each day of UTC; on several, where days would be too many to see.
fn days(made: &Made<'_>) -> Days {
    const MOST: u64 = 100;
    let until = made.report.to_secs;
    let members = made.members.members.iter();
    let within = members.filter(|member| member.assigned_at_secs <= until);
    let Some(first) = within.clone().map(|member| member.assigned_at_secs).min() else {
        return Days::default();
    };
    let first = first / DAY;
    let all = until / DAY - first + 1;
    let step = [1, 7, 28]
        .into_iter()
        .find(|step| all.div_ceil(*step) <= MOST);
    let step = step.unwrap_or(all.div_ceil(MOST));
    let variants = made.config.variants.iter();
    let variants: Vec<String> = variants.map(|variant| variant.name.clone()).collect();
    let mut bars: Vec<Day> = (0..all.div_ceil(step))
        .map(|place| Day {
            begins_at_secs: (first + place * step) * DAY,
            actors: vec![0; variants.len()],
        })
        .collect();
    for member in within {
        let place = (member.assigned_at_secs / DAY - first) / step;
        if let Some(bar) = usize::try_from(place)
            .ok()
            .and_then(|place| bars.get_mut(place))
        {
            bar.actors[usize::from(member.variant)] += 1;
        }
    }
    Days {
        variants,
        step,
        bars,
    }
}
