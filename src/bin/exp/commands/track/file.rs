//! Outcomes of a file. With a column `metric` each row is one outcome; without, every column that is no actor, time or
//! id is a metric, so that a file for `exp results --outcomes` can be kept as it is.

use std::path::Path;

use anyhow::Context as _;
use experiments::results::OutcomesError;
use experiments::rows::{Format, TextRow, TextRows, TimeUnit, parse_number, parse_time};
use experiments::text::escape;
use experiments::{ExperimentService, Finite, Outcome, Tracked, outcome_problem};

use super::header::Columns;
use crate::commands::actor_list;
use crate::context::{Context, Purpose};
use crate::environment;
use crate::exit::{Failed, Hint};
use crate::input;

/// Outcomes in one transaction.
const BATCH: usize = 10_000;
/// How many bad rows are reported one by one.
const BAD_ROWS_TOLD: u64 = 20;

/// Records the outcomes of a file, in transactions of some thousand rows.
pub(super) fn track(
    context: &Context,
    path: &Path,
    format: Format,
    raw: bool,
) -> anyhow::Result<Tracked> {
    let name = || path.display().to_string();
    let mut rows = TextRows::new(input::open(path)?, format).with_context(name)?;
    let mut columns = Columns::default();
    if let Some(separator) = rows.other_separator() {
        return Err(OutcomesError::OtherSeparator(separator)).with_context(name);
    }
    if format != Format::JsonLines {
        columns = Columns::find(rows.columns()).with_context(name)?;
        columns.require().map_err(|error| hinted(error, name()))?;
    }
    let service = context.service(Purpose::Use)?;
    let mut reader = Reader {
        now_secs: environment::clock()?.now_secs(),
        unit: None,
        raw,
        found_blank_edges: false,
    };
    let mut batch = Vec::new();
    let mut tracked = Tracked::default();
    let mut bad = 0;
    while let Some(row) = rows.next_row().with_context(name)? {
        // The columns of JSON Lines are those of the objects so far.
        if row.columns.len() != columns.known {
            columns = Columns::find(row.columns).with_context(name)?;
        }
        match reader.read(&row, &columns) {
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
    if !columns.ignored.is_empty() {
        let ignored = columns.ignored.iter();
        let ignored: Vec<String> = ignored.map(|name| format!("'{}'", escape(name))).collect();
        context.warn(format_args!(
            "columns that are ignored: {}",
            ignored.join(", ")
        ));
    }
    if reader.unit == Some(TimeUnit::Milliseconds) {
        context.warn("times were read as milliseconds");
    }
    context.say(told(tracked));
    let message = match bad {
        0 => return Ok(tracked),
        1 => "1 row can't be read and was left out".to_owned(),
        bad => format!("{bad} rows can't be read and were left out"),
    };
    let error = anyhow::Error::new(Failed(message));
    if !reader.found_blank_edges {
        return Err(error);
    }
    let hint = "remove the blanks, or keep them with --raw";
    Err(error.context(Hint(hint.to_owned())))
}

/// The error with where it is from, and for a name that looks like a slip what to do about it.
fn hinted(error: OutcomesError, from: String) -> anyhow::Error {
    let hint = match &error {
        OutcomesError::MisnamedColumn { meant, .. } => {
            Some(format!("did you mean {meant}? if not, give it another name"))
        }
        OutcomesError::MissingColumn { column, .. } if column == "metric" => Some(
            "a column metric names what is counted in the column value; without the two, each column is a metric"
                .to_owned(),
        ),
        _ => None,
    };
    let error = anyhow::Error::new(error).context(from);
    match hint {
        Some(hint) => error.context(Hint(hint)),
        None => error,
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

fn told(tracked: Tracked) -> String {
    let recorded = match tracked.recorded {
        1 => "recorded 1 outcome".to_owned(),
        recorded => format!("recorded {recorded} outcomes"),
    };
    match tracked.repeated {
        0 => recorded,
        1 => format!("{recorded}; 1 was recorded already"),
        repeated => format!("{recorded}; {repeated} were recorded already"),
    }
}

/// What is known while rows are read.
struct Reader {
    now_secs: u64,
    /// What the times that are numbers count.
    unit: Option<TimeUnit>,
    /// Whether blanks at the edges of a name are part of it.
    raw: bool,
    found_blank_edges: bool,
}

impl Reader {
    /// The outcomes of a row, or why it has none, in a sentence without a full stop.
    fn read(&mut self, row: &TextRow<'_>, columns: &Columns) -> Result<Vec<Outcome>, String> {
        if let Some(problem) = row.problem {
            return Err(problem.to_owned());
        }
        let cell = |place: Option<usize>| {
            let cell = place.and_then(|place| row.cells.get(place));
            cell.map(String::as_str).filter(|cell| !cell.is_empty())
        };
        if let Some(slip) = columns.slip(|place| cell(place).is_some()) {
            return Err(slip.to_string());
        }
        if cell(columns.value).is_some() && cell(columns.metric).is_none() {
            return Err("there is a value, but no metric".to_owned());
        }
        let timestamp_secs =
            cell(columns.time).map_or(Ok(self.now_secs), |text| self.time(text))?;
        let (actor, id) = (cell(columns.actor).unwrap_or_default(), cell(columns.id));
        let outcome = |metric: &str, value: Finite| Outcome {
            actor: actor.to_owned(),
            metric: metric.to_owned(),
            value,
            timestamp_secs,
            id: id.map(str::to_owned),
        };
        let mut outcomes = Vec::new();
        if columns.metric.is_some() {
            let value = match cell(columns.value) {
                None => Finite::from(1),
                Some(text) => number("value", text)?.unwrap_or_else(|| Finite::from(1)),
            };
            outcomes.push(outcome(cell(columns.metric).unwrap_or_default(), value));
        }
        for &place in &columns.metrics {
            let column = &row.columns[place];
            if let Some(value) = number(column, cell(Some(place)).unwrap_or_default())? {
                outcomes.push(outcome(column, value));
            }
        }
        if let Some(problem) = outcomes.iter().find_map(outcome_problem) {
            return Err(problem.to_string());
        }
        if !self.raw
            && let Some(name) = outcomes.iter().find_map(with_blank_edges)
        {
            self.found_blank_edges = true;
            return Err(format!("the {name} has a blank at its edge"));
        }
        Ok(outcomes)
    }

    fn time(&mut self, text: &str) -> Result<u64, String> {
        let time = parse_time(text.as_bytes()).map_err(|error| format!("timestamp is {error}"))?;
        if let Some(unit) = time.unit
            && *self.unit.get_or_insert(unit) != unit
        {
            return Err("some times are in seconds and others in milliseconds".to_owned());
        }
        u64::try_from(time.secs).map_err(|_| "timestamp is before 1970".to_owned())
    }
}

/// What of an outcome has a blank at its edge.
fn with_blank_edges(outcome: &Outcome) -> Option<&'static str> {
    let id = outcome.id.as_deref().unwrap_or_default();
    let names = [
        ("actor", &*outcome.actor),
        ("metric", &outcome.metric),
        ("id", id),
    ];
    let found = names
        .into_iter()
        .find(|(_, name)| actor_list::has_blank_at_edge(name.as_bytes()));
    found.map(|(what, _)| what)
}

fn number(column: &str, text: &str) -> Result<Option<Finite>, String> {
    let parsed = parse_number(text.as_bytes()).map_err(|error| format!("{column} is {error}"))?;
    Ok(parsed.and_then(Finite::new))
}
