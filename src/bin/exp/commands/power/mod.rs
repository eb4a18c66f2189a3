//! `exp power`: how many actors a test needs.

mod past;

use std::path::PathBuf;

use clap::{Args, ValueHint};
use experiments::MetricConfig;
use experiments::stats::{Analysis, Detectable, Look, Outcome, Plan, SampleSize};
use schemars::JsonSchema;
use serde::Serialize;

use crate::complete;
use crate::context::Context;
use crate::exit::UsageError;
use crate::input::{self, InputFormat};
use crate::output::View;
use crate::output::figures::{self, change, count, figure};
use crate::output::text::{Text, cell, number, wrapped};
use crate::output::tsv::Tsv;
use crate::whole_number;

/// Compute how many actors a test needs, or which effect a number of actors can detect
///
/// It takes the present rate of a conversion, the present mean and its standard deviation among the actors, or
/// past outcomes. Each answer is given twice: for a test that is looked at once, at its end, and for one that is looked at as often as you
/// like, which is how exp results decides.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp power --baseline 12% --effect 5% --rate 1200\n  \
    exp power --baseline 42 --deviation 80 --effect 2%\n  \
    exp power --baseline 12% --actors 20000\n  \
    exp power --outcomes orders.csv --metric revenue:mean --effect 2%\n\n\
    TSV columns: look (once or always_valid), actors, control, variant (actors of each), days; with --actors: look, \
    actors, relative_increase, relative_decrease, increase, decrease")]
pub(crate) struct Power {
    /// The present value: of a conversion the share of actors, 12% or 0.12; with --deviation, a mean
    #[arg(long, value_name = "NUMBER", value_parser = share, allow_hyphen_values = true,
          required_unless_present = "outcomes")]
    baseline: Option<f64>,

    /// The standard deviation among the actors, for a mean
    #[arg(long, value_name = "NUMBER", requires = "baseline")]
    deviation: Option<f64>,

    /// Take baseline and deviation from the outcomes in this file; - is standard input
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "metric",
          conflicts_with_all = ["baseline", "deviation"])]
    outcomes: Option<PathBuf>,

    /// The metric in the file: NAME:conversion or NAME:mean
    #[arg(long, value_name = "METRIC", requires = "outcomes", add = complete::metric_kinds())]
    metric: Option<MetricConfig>,

    /// The file's format [default: by its extension]
    #[arg(long, value_name = "FORMAT", requires = "outcomes")]
    input_format: Option<InputFormat>,

    /// The relative change to detect: 5% or 0.05, negative for a decrease
    #[arg(long, value_name = "SHARE", value_parser = share, allow_hyphen_values = true,
          required_unless_present = "actors", conflicts_with = "actors")]
    effect: Option<f64>,

    /// Print the effect that this number of actors can detect, control and variant together
    #[arg(long, value_name = "N", value_parser = whole_number::positive)]
    actors: Option<u64>,

    /// New actors per day, control and variant together: also print how many days it takes
    #[arg(long, value_name = "N", conflicts_with = "actors", value_parser = whole_number::positive)]
    rate: Option<u64>,

    /// The weights of control and variant
    #[arg(long, value_name = "W,W", default_value = "50,50", value_parser = weights)]
    weights: (f64, f64),

    /// The probability of detecting the effect if it is there
    #[arg(long = "power", value_name = "SHARE", default_value = "0.8", value_parser = share)]
    probability: f64,

    /// The confidence of the intervals
    #[arg(long, value_name = "SHARE", default_value = "0.95", value_parser = share)]
    confidence: f64,

    /// The number of actors for which the always-valid intervals are tuned to be narrowest
    #[arg(long, value_name = "N", default_value_t = Analysis::default().tuning_actors,
          value_parser = whole_number::positive)]
    tuning_actors: u64,
}

/// `5%` or `0.05`.
fn share(text: &str) -> Result<f64, String> {
    let (digits, unit) = match text.strip_suffix('%') {
        Some(percent) => (percent, 100.0),
        None => (text, 1.0),
    };
    let share = digits.parse::<f64>().ok().filter(|share| share.is_finite());
    let share = share.ok_or("write a share such as 5% or 0.05")?;
    Ok(share / unit)
}

fn weights(text: &str) -> Result<(f64, f64), String> {
    let parsed = text.split_once(',').and_then(|(control, variant)| {
        let weight = |text: &str| text.trim().parse::<u32>().ok().filter(|weight| *weight > 0);
        Some((weight(control)?.into(), weight(variant)?.into()))
    });
    parsed.ok_or_else(|| "write two weights above 0 such as 50,50".to_owned())
}

/// The question as it was asked, and the answers.
#[derive(Serialize, JsonSchema)]
pub(super) struct Answer {
    /// The present value: the share of actors who convert, or the mean.
    baseline: f64,
    /// The standard deviation among the actors, of a mean.
    deviation: Option<f64>,
    /// The weights of control and variant.
    weights: [f64; 2],
    /// The probability of detecting the effect if it is there.
    power: f64,
    /// The confidence of the intervals.
    confidence: f64,
    /// The number of actors for which the always-valid intervals are narrowest.
    tuning_actors: u64,
    #[serde(flatten)]
    asked: Asked,
}

#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum Asked {
    Size {
        /// The relative change to detect, as 0.05.
        effect: f64,
        /// The same as a difference from the baseline.
        difference: f64,
        /// For a test that is looked at once, at its end.
        fixed: Size,
        /// For a test that is looked at as often as one likes.
        always_valid: Size,
    },
    Effect {
        /// How many there are, control and variant together.
        actors: u64,
        /// For a test that is looked at once, at its end.
        fixed: Effects,
        /// For a test that is looked at as often as one likes.
        always_valid: Effects,
    },
}

#[derive(Serialize, JsonSchema)]
struct Size {
    #[serde(flatten)]
    size: SampleSize,
    /// With --rate, how many days it takes until as many actors have come.
    days: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct Effects {
    #[serde(flatten)]
    absolute: Detectable,
    /// The increase as a share of the baseline.
    relative_increase: Option<f64>,
    /// The decrease as a share of the baseline.
    relative_decrease: Option<f64>,
}

impl Power {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let (baseline, outcome) = self.baseline(context)?;
        let plan = |look| Plan {
            outcome,
            weights: self.weights,
            analysis: Analysis {
                confidence: self.confidence,
                tuning_actors: self.tuning_actors,
            },
            power: self.probability,
            look,
        };
        let asked = match (self.effect, self.actors) {
            (_, Some(actors)) => Asked::Effect {
                actors,
                fixed: effects(&plan(Look::Once), actors, baseline),
                always_valid: effects(&plan(Look::AlwaysValid), actors, baseline),
            },
            (effect, None) => {
                let effect = effect.unwrap_or_default();
                let difference = effect * baseline.abs();
                Asked::Size {
                    effect,
                    difference,
                    fixed: self.size(&plan(Look::Once), difference)?,
                    always_valid: self.size(&plan(Look::AlwaysValid), difference)?,
                }
            }
        };
        context.show(&Answer {
            baseline,
            deviation: match outcome {
                Outcome::Conversion { .. } => None,
                Outcome::Mean { deviation } => Some(deviation),
            },
            weights: [self.weights.0, self.weights.1],
            power: self.probability,
            confidence: self.confidence,
            tuning_actors: self.tuning_actors,
            asked,
        })
    }

    fn baseline(&self, context: &Context) -> anyhow::Result<(f64, Outcome)> {
        let between = |name: &str, share: f64| {
            if share > 0.0 && share < 1.0 {
                return Ok(());
            }
            Err(UsageError(format!("--{name} must be between 0 and 1")))
        };
        between("power", self.probability)?;
        between("confidence", self.confidence)?;
        if let (Some(path), Some(metric)) = (&self.outcomes, &self.metric) {
            let format = input::format_of(path, self.input_format)?;
            return past::baseline(context, path, format, metric);
        }
        let baseline = self.baseline.unwrap_or_default();
        let Some(deviation) = self.deviation else {
            if !(baseline > 0.0 && baseline < 1.0) {
                let message = "--baseline must be between 0 and 1; for a mean, add --deviation";
                return Err(UsageError(message.to_owned()).into());
            }
            return Ok((baseline, Outcome::Conversion { baseline }));
        };
        if baseline == 0.0 {
            let message = "--baseline must not be 0, as the effect is relative to it";
            return Err(UsageError(message.to_owned()).into());
        }
        if !deviation.is_finite() || deviation <= 0.0 {
            return Err(UsageError("--deviation must be a number above 0".to_owned()).into());
        }
        Ok((baseline, Outcome::Mean { deviation }))
    }

    /// Why no number of actors would do.
    fn undetectable(&self) -> String {
        let effect = self.effect.unwrap_or_default();
        let rate = self.baseline.filter(|_| self.deviation.is_none());
        match rate.map(|rate| rate + effect * rate) {
            Some(rate) if !(0.0..=1.0).contains(&rate) => {
                format!(
                    "with that effect the rate would be {}",
                    figures::share(rate)
                )
            }
            _ => "that effect is too small: more actors than there are would be needed".to_owned(),
        }
    }

    fn size(&self, plan: &Plan, difference: f64) -> anyhow::Result<Size> {
        let size = plan.sample_size(difference).ok_or_else(|| {
            UsageError(if difference == 0.0 {
                "an effect of 0 can't be detected".to_owned()
            } else {
                self.undetectable()
            })
        })?;
        let days = self.rate.map(|rate| size.actors.div_ceil(rate));
        Ok(Size { size, days })
    }
}

fn effects(plan: &Plan, actors: u64, baseline: f64) -> Effects {
    let absolute = plan.detectable(actors);
    let relative = |effect: Option<f64>| effect.map(|effect| effect / baseline.abs());
    Effects {
        relative_increase: relative(absolute.increase),
        relative_decrease: relative(absolute.decrease),
        absolute,
    }
}

const LOOKS: [(&str, &str); 2] = [("once", "looked at once"), ("always_valid", "always valid")];

impl View for Answer {
    fn columns(&self) -> &'static [&'static str] {
        match &self.asked {
            Asked::Size { .. } => &["look", "actors", "control", "variant", "days"],
            Asked::Effect { .. } => &[
                "look",
                "actors",
                "relative_increase",
                "relative_decrease",
                "increase",
                "decrease",
            ],
        }
    }

    fn tsv(&self, tsv: &mut Tsv) {
        let optional = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
        match &self.asked {
            Asked::Size {
                fixed,
                always_valid,
                ..
            } => {
                for ((look, _), Size { size, days }) in LOOKS.iter().zip([fixed, always_valid]) {
                    tsv.line(&[
                        look,
                        &size.actors.to_string(),
                        &size.control.to_string(),
                        &size.variant.to_string(),
                        &days.map_or_else(String::new, |days| days.to_string()),
                    ]);
                }
            }
            Asked::Effect {
                actors,
                fixed,
                always_valid,
            } => {
                for ((look, _), effects) in LOOKS.iter().zip([fixed, always_valid]) {
                    tsv.line(&[
                        look,
                        &actors.to_string(),
                        &optional(effects.relative_increase),
                        &optional(effects.relative_decrease),
                        &optional(effects.absolute.increase),
                        &optional(effects.absolute.decrease),
                    ]);
                }
            }
        }
    }

    fn text(&self, text: &mut Text) {
        wrapped(text, "", &self.sentence());
        text.line("");
        match &self.asked {
            Asked::Size {
                fixed,
                always_valid,
                ..
            } => {
                let has_days = fixed.days.is_some();
                let mut header = vec!["", "ACTORS", "CONTROL", "VARIANT"];
                if has_days {
                    header.push("DAYS");
                }
                let rows = LOOKS.iter().zip([fixed, always_valid]);
                let rows = rows.map(|((_, look), Size { size, days })| {
                    let mut row = vec![
                        cell(look),
                        number(count(size.actors)),
                        number(count(size.control)),
                        number(count(size.variant)),
                    ];
                    row.extend(days.map(|days| number(count(days))));
                    row
                });
                text.table(&header, rows.collect());
            }
            Asked::Effect {
                fixed,
                always_valid,
                ..
            } => {
                let shown = |effect: Option<f64>, sign: f64| {
                    effect.map_or_else(|| "–".to_owned(), |effect| change(sign * effect))
                };
                let rows = LOOKS.iter().zip([fixed, always_valid]);
                let rows = rows.map(|((_, look), effects)| {
                    vec![
                        cell(look),
                        number(shown(effects.relative_increase, 1.0)),
                        number(shown(effects.relative_decrease, -1.0)),
                    ]
                });
                text.table(&["", "INCREASE", "DECREASE"], rows.collect());
            }
        }
    }
}

impl Answer {
    fn sentence(&self) -> String {
        let of = match self.deviation {
            None => format!("a conversion rate of {}", figures::share(self.baseline)),
            Some(deviation) => format!(
                "a mean of {} (deviation {})",
                figure(self.baseline),
                figure(deviation)
            ),
        };
        let [control, variant] = self.weights;
        let weights = if (control - variant).abs() < f64::EPSILON {
            String::new()
        } else {
            format!(", weights {control} and {variant}")
        };
        let (power, confidence) = (figures::share(self.power), figures::share(self.confidence));
        match &self.asked {
            Asked::Size { effect, .. } => format!(
                "To detect a change of {}{} in {of} with a power of {power} at a confidence of {confidence}{weights}:",
                if *effect < 0.0 { "" } else { "+" },
                figures::share(*effect)
            ),
            Asked::Effect { actors, .. } => format!(
                "What {} actors can detect in {of} with a power of {power} at a confidence of {confidence}{weights}:",
                count(*actors)
            ),
        }
    }
}
