use clap::Args;
use experiments::text::escape;
use experiments::{Coverage, ExperimentConfig, NotACoverage};

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;
use crate::output::figures;

/// Change the share of newcomers who enter
///
/// Whoever is in stays in. A greater share only adds: whoever would have entered still does. A
/// smaller one keeps newcomers out, and moves nobody.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp set-coverage checkout_v2 25%")]
pub(crate) struct SetCoverage {
    /// The experiment's name
    #[arg(add = complete::unfinished_experiments())]
    name: String,

    /// The share, as 25% or 0.25
    #[arg(allow_hyphen_values = true, value_parser = parse_share)]
    share: Coverage,
}

impl SetCoverage {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let opened = context.open(Purpose::Change)?;
        let service = opened.service();
        let change = service.set_coverage(&self.name, self.share)?;
        context.show(&Done::new(change.clone()))?;
        let (name, after) = (escape(&self.name), self.share);
        let Some(change) = change else {
            let share = figures::share(after.share());
            context.say(format_args!(
                "{name} has coverage {share} already: nothing changed"
            ));
            return Ok(());
        };
        let before = change.detail.and_then(|detail| detail.before.coverage);
        let before = before.unwrap_or_default();
        context.say(format_args!(
            "set the coverage of {name}: {} → {}; {}",
            figures::share(before.share()),
            figures::share(after.share()),
            who_enters(before, after)
        ));
        let config = service.status(&self.name)?;
        if !config.enrolling {
            context.say(format_args!(
                "{name} is closed: no newcomer enters until it is opened"
            ));
        }
        let before = ExperimentConfig {
            coverage: before,
            ..config.clone()
        };
        context.warn_of_application(&opened, std::iter::once((Some(&before), &config)))
    }
}

/// How many more newcomers enter, or fewer.
fn who_enters(before: Coverage, after: Coverage) -> String {
    let parts = after.per_10000().abs_diff(before.per_10000());
    let of_100 = f64::from(u32::try_from(parts).unwrap_or(u32::MAX)) / 100.0;
    if after > before {
        format!(
            "{of_100} more of 100 newcomers enter; whoever would have entered before still does"
        )
    } else {
        format!("{of_100} fewer of 100 newcomers enter; whoever is in stays in")
    }
}

/// Parses a share. What was probably meant is said of a percentage without its sign, and of nobody.
pub(super) fn parse_share(text: &str) -> Result<Coverage, String> {
    text.parse()
        .map_err(|error: NotACoverage| match text.parse::<f64>() {
            Ok(0.0) => format!("{error}; exp close keeps newcomers out"),
            Ok(number) if number > 1.0 && number <= 100.0 => {
                format!("{error}; {number} percent is written {number}%")
            }
            _ => error.to_string(),
        })
}
