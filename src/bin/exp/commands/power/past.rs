//! Past outcomes as the baseline of a plan: what each actor of a file did.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context as _;
use experiments::MetricConfig;
use experiments::metric::MetricKind;
use experiments::results::OutcomesError;
use experiments::rows::{Format, TextRows, parse_number};
use experiments::stats::{Moments, Outcome};
use experiments::suggest::nearest;
use experiments::text::escape;

use crate::context::Context;
use crate::exit::UsageError;
use crate::input;

/// The mean of what the actors of a file did, and how it varies among them. An actor who is there without a value did
/// nothing.
pub(super) fn baseline(
    context: &Context,
    path: &Path,
    format: Format,
    metric: &MetricConfig,
) -> anyhow::Result<(f64, Outcome)> {
    if !matches!(metric.kind, MetricKind::Conversion | MetricKind::Mean) || metric.window.is_some()
    {
        let message = "with --outcomes, the metric must be a conversion or a mean without a window";
        return Err(UsageError(message.to_owned()).into());
    }
    let sums = sums(context, path, format, metric.column())?;
    let is_conversion = metric.kind == MetricKind::Conversion;
    // In an order that does not depend on the map's, so that the last digit does not either.
    let mut values: Vec<f64> = sums
        .into_values()
        .map(|sum| {
            if is_conversion {
                f64::from(u8::from(sum.any))
            } else {
                sum.total
            }
        })
        .collect();
    values.sort_unstable_by(f64::total_cmp);
    let moments: Moments = values.into_iter().collect();
    let (mean, variance) = (moments.mean(), moments.variance());
    let (Some(mean), Some(variance)) = (mean, variance.filter(|variance| *variance > 0.0)) else {
        let message = format!(
            "{}: all actors have the same value of {}, so no test can be planned from it",
            path.display(),
            escape(metric.column())
        );
        return Err(UsageError(message).into());
    };
    Ok(if is_conversion {
        (mean, Outcome::Conversion { baseline: mean })
    } else {
        let deviation = variance.sqrt();
        (mean, Outcome::Mean { deviation })
    })
}

#[derive(Default)]
struct Sum {
    total: f64,
    any: bool,
}

fn sums(
    context: &Context,
    path: &Path,
    format: Format,
    column: &str,
) -> anyhow::Result<HashMap<String, Sum>> {
    let mut rows = TextRows::new(input::open(path)?, format)?;
    if let Some(separator) = rows.other_separator() {
        let separated = OutcomesError::OtherSeparator(separator);
        return Err(separated).with_context(|| path.display().to_string());
    }
    let mut sums: HashMap<String, Sum> = HashMap::new();
    let mut broken = 0_u64;
    while let Some(row) = rows.next_row()? {
        let cell = |name: &str| {
            let place = row.columns.iter().position(|known| known == name)?;
            row.cells.get(place)
        };
        let actor = cell("actor").filter(|actor| !actor.is_empty());
        let value = cell(column).map_or(Ok(None), |cell| parse_number(cell.as_bytes()));
        let (Some(actor), Ok(value), None) = (actor, value, row.problem) else {
            broken += 1;
            continue;
        };
        let sum = sums.entry(actor.clone()).or_default();
        let value = value.unwrap_or(0.0);
        sum.total += value;
        sum.any |= value != 0.0;
    }
    for name in ["actor", column] {
        if !rows.columns().iter().any(|known| known == name) {
            let known = rows.columns().iter().map(String::as_str);
            let nearest = nearest(name, known).map(str::to_owned);
            let column = name.to_owned();
            let missing = OutcomesError::MissingColumn { column, nearest };
            return Err(missing).with_context(|| path.display().to_string());
        }
    }
    if broken > 0 {
        let rows = if broken == 1 { "row" } else { "rows" };
        context.warn(format_args!(
            "{broken} {rows} can't be read and were left out"
        ));
    }
    Ok(sums)
}
