//! Outcomes of a file. With a column `metric` each row is one outcome; without, every column that is no actor, time or
//! id is a metric, so that a file for `exp results --outcomes` can be kept as it is.

use std::path::Path;

use anyhow::Context as _;
use experiments::results::OutcomesError;
use experiments::rows::{Format, TextRow, TextRows, parse_number, parse_time};
use experiments::suggest::nearest;
use experiments::{ExperimentService, Finite, Outcome, Tracked, outcome_problem};

use crate::context::{Context, Purpose};
use crate::environment;
use crate::exit::Failed;
use crate::input;

/// Outcomes in one transaction.
const BATCH: usize = 10_000;
/// How many bad rows are reported one by one.
const BAD_ROWS_TOLD: u64 = 20;
/// The columns that are no metrics.
const OWN: [&str; 5] = ["actor", "metric", "value", "timestamp", "id"];

/// Records the outcomes of a file, in transactions of some thousand rows.
pub(super) fn track(context: &Context, path: &Path, format: Format) -> anyhow::Result<Tracked> {
    let now_secs = environment::clock()?.now_secs();
    let service = context.service(Purpose::Use)?;
    let name = || path.display().to_string();
    let mut rows = TextRows::new(input::open(path)?, format).with_context(name)?;
    // The columns of JSON Lines are those of each object.
    if !rows.columns().is_empty() && !has_actor(rows.columns()) {
        let known = rows.columns().iter().map(String::as_str);
        let nearest = nearest("actor", known).map(str::to_owned);
        let column = "actor".to_owned();
        return Err(OutcomesError::MissingColumn { column, nearest }).with_context(name);
    }
    let mut batch = Vec::new();
    let mut tracked = Tracked::default();
    let mut bad = 0;
    while let Some(row) = rows.next_row().with_context(name)? {
        match read(&row, now_secs) {
            Ok(outcomes) => batch.extend(outcomes),
            Err(problem) => {
                bad += 1;
                if bad <= BAD_ROWS_TOLD {
                    context.warn(format_args!("line {}: {problem}", row.line));
                }
                if bad == BAD_ROWS_TOLD + 1 {
                    context.warn("further rows that can't be read are only counted");
                }
            }
        }
        if batch.len() >= BATCH {
            keep(&service, &mut batch, &mut tracked)?;
        }
    }
    keep(&service, &mut batch, &mut tracked)?;
    context.say(told(tracked));
    match bad {
        0 => Ok(tracked),
        1 => Err(Failed("1 row can't be read and was left out".to_owned()).into()),
        bad => Err(Failed(format!("{bad} rows can't be read and were left out")).into()),
    }
}

fn keep(
    service: &ExperimentService,
    batch: &mut Vec<Outcome>,
    tracked: &mut Tracked,
) -> anyhow::Result<()> {
    let kept = service.track(batch)?;
    tracked.recorded += kept.recorded;
    tracked.repeated += kept.repeated;
    batch.clear();
    Ok(())
}

fn has_actor(columns: &[String]) -> bool {
    columns.iter().any(|column| column == OWN[0])
}

fn told(tracked: Tracked) -> String {
    let recorded = match tracked.recorded {
        1 => "recorded 1 outcome".to_owned(),
        recorded => format!("recorded {recorded} outcomes"),
    };
    match tracked.repeated {
        0 => recorded,
        repeated => format!("{recorded}; {repeated} were recorded already"),
    }
}

/// The outcomes of a row, or why it has none, in a sentence without a full stop.
fn read(row: &TextRow<'_>, now_secs: u64) -> Result<Vec<Outcome>, String> {
    if let Some(problem) = row.problem {
        return Err(problem.to_owned());
    }
    let place = |name: &str| row.columns.iter().position(|column| column == name);
    let cell = |name: &str| {
        let cell = place(name).and_then(|place| row.cells.get(place));
        cell.map(String::as_str).filter(|cell| !cell.is_empty())
    };
    let timestamp_secs = match cell("timestamp") {
        None => now_secs,
        Some(text) => {
            let time =
                parse_time(text.as_bytes()).map_err(|error| format!("timestamp is {error}"))?;
            u64::try_from(time.secs).map_err(|_| "timestamp is before 1970".to_owned())?
        }
    };
    let outcome = |metric: &str, value: Finite| Outcome {
        actor: cell("actor").unwrap_or_default().to_owned(),
        metric: metric.to_owned(),
        value,
        timestamp_secs,
        id: cell("id").map(str::to_owned),
    };
    let mut outcomes = Vec::new();
    if place("metric").is_some() {
        let value = match cell("value") {
            None => Finite::from(1),
            Some(text) => number("value", text)?.unwrap_or_else(|| Finite::from(1)),
        };
        outcomes.push(outcome(cell("metric").unwrap_or_default(), value));
    } else {
        let cells = row.columns.iter().zip(row.cells);
        for (column, text) in cells.filter(|(column, _)| !OWN.contains(&column.as_str())) {
            if let Some(value) = number(column, text)? {
                outcomes.push(outcome(column, value));
            }
        }
    }
    match outcomes.iter().find_map(outcome_problem) {
        None => Ok(outcomes),
        Some(problem) => Err(problem.to_string()),
    }
}

fn number(column: &str, text: &str) -> Result<Option<Finite>, String> {
    let parsed = parse_number(text.as_bytes()).map_err(|error| format!("{column} is {error}"))?;
    Ok(parsed.and_then(Finite::new))
}
