//! What an analysis finds: data, and its JSON. Fields appear in the order in which they are written here; what is
//! undefined is `null`. No figure is rounded, and none is infinite or NaN.

use serde::Serialize;

use crate::experiment::ExperimentState;
use crate::metric::{Better, MetricKind, MetricRole, Population};
use crate::stats::{AlwaysValid, ByLook, Difference, Means, OneSided, Relative};

use super::sample_ratio::SampleRatioReport;

/// Who won, and whether the numbers can be trusted.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Report {
    /// The experiment's name.
    pub experiment: String,
    /// Where it is in its life.
    pub state: ExperimentState,
    /// Whose outcomes were analysed.
    pub population: Population,
    /// Everybody who was assigned until the end, including those who were left out.
    pub assigned_actors: u64,
    /// Those of them with an exposure until the end, including those who were left out.
    pub exposed_actors: u64,
    /// The variant that the others are compared with.
    pub control: Option<String>,
    /// The beginning of the analysis, in seconds since the Unix epoch.
    pub from_secs: u64,
    /// Its end, in seconds since the Unix epoch. What happened later is not part of it.
    pub to_secs: u64,
    /// How sure each interval is, between 0 and 1.
    pub confidence: f64,
    /// The number of actors at which the always-valid intervals are narrowest.
    pub tuning_actors: u64,
    /// Who and what was left out.
    pub left_out: LeftOut,
    /// Whether the variants have as many actors as their weights promise.
    pub sample_ratio: SampleRatioReport,
    /// What to know before trusting the figures.
    pub warnings: Vec<Warning>,
    /// In the order in which they were asked for.
    pub metrics: Vec<MetricReport>,
}

/// Who and what was left out of all metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// Actors of the population whose assignment, or one of whose exposures, an override made.
    pub overridden_actors: u64,
    /// The others of the population who were exposed to two variants.
    pub mixed_actors: u64,
    /// Rows of actors in no variant.
    pub unknown_actors: u64,
    /// Rows from before the actor's start.
    pub before_start: u64,
    /// Rows that could not be read.
    pub broken_rows: u64,
}

/// Something to know before trusting the figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Warning {
    /// What it is, as data.
    pub code: WarningCode,
    /// One sentence without a full stop.
    pub message: String,
}

/// The kinds of warnings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum WarningCode {
    /// The variants do not have the share of actors that their weights promise.
    SampleRatioMismatch,
    /// More than a hundredth of the population was exposed to two variants.
    MixedActors,
    /// Assigned and exposed actors differ by more than a tenth.
    PopulationDiffers,
    /// No outcome of an actor in the population counts.
    NoOutcomes,
    /// Only actors with an outcome were analysed.
    OnlySeen,
    /// A quantile was taken over several periods of weights.
    QuantileOverPeriods,
    /// The end of the analysis is before the experiment's start.
    BeforeStart,
    /// Actors of a period of weights could not be compared.
    PeriodLeftOut,
    /// A covariate was asked for but could not be used.
    CovariateUnused,
    /// Outcomes have no times.
    NoTimes,
    /// Times were read as milliseconds.
    Milliseconds,
    /// Outcomes are from the future.
    InFuture,
    /// Rows could not be read.
    BrokenRows,
    /// Ids would be known without the blanks around them.
    BlankIds,
    /// Most rows are of actors in no variant.
    UnknownActors,
}

/// What was found of one metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct MetricReport {
    /// Its name.
    pub metric: String,
    /// What is made of an actor's outcomes.
    pub kind: MetricKind,
    /// Its part in the decision.
    pub role: MetricRole,
    /// Which direction is good.
    pub better: Better,
    /// How long after an actor's start outcomes count, in seconds; without end if there is none.
    pub window_secs: Option<u64>,
    /// Whether it was declared or changed after the start, or never, so that it decides nothing.
    pub exploratory: bool,
    /// Rows of actors in the experiment that came after the window.
    pub after_window: u64,
    /// Each variant by itself, in the experiment's order.
    pub variants: Vec<VariantFigures>,
    /// Each variant that has actors against the control, in the experiment's order.
    pub comparisons: Vec<ComparisonReport>,
    /// What follows.
    pub verdict: Verdict,
}

/// One variant by itself: plain figures of its complete actors, without regard to periods of weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct VariantFigures {
    /// Its name.
    pub variant: String,
    /// Its complete actors; of a quantile, those who have an outcome.
    pub actors: u64,
    /// Its actors whose window has not ended yet. They are in no figure.
    pub in_progress: u64,
    /// The sum of the actors' values; of a ratio, of the numerator.
    pub total: Option<f64>,
    /// Their mean; of a ratio, the total of the numerator divided by that of the denominator.
    pub mean: Option<f64>,
    /// Their variance, with the denominator n − 1; of a ratio, that of its linearisation.
    pub variance: Option<f64>,
}

/// One variant against the control, over all periods of weights in which both have at least 2 complete actors.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct ComparisonReport {
    /// The variant.
    pub variant: String,
    /// What it is compared with.
    pub control: String,
    /// The complete actors of both in those periods.
    pub actors: u64,
    /// The complete actors of both in the other periods.
    pub left_out_actors: u64,
    /// How many periods they are compared in.
    #[serde(skip)]
    pub periods: usize,
    /// What is compared. Where the weights have changed these are averages over the periods of weights, in which both
    /// variants weigh a period alike, and with a covariate they are adjusted by it; the plain means are in `variants`.
    pub means: Means,
    /// As if looked at once.
    pub difference: Difference,
    /// The same, relative to the control, as a fraction of it.
    pub relative: Relative,
    /// However often it is looked at.
    pub always_valid: AlwaysValid,
    /// Of a guardrail: the one-sided bounds, however often it is looked at.
    pub one_sided: Option<OneSided>,
    /// The always-valid p-value, adjusted for the other comparisons of the same role; `None` of a guardrail and of
    /// what is exploratory.
    pub adjusted_p_value: Option<f64>,
    /// How probable it is that the variant is better, if nothing was known before.
    pub chance_to_win: Option<f64>,
    /// What choosing the variant costs on average if it is the worse one, in the metric's unit.
    pub expected_loss: Option<f64>,
    /// What a covariate changed; `None` if none was used.
    pub cuped: Option<CupedReport>,
    /// The smallest difference, in the metric's unit, that these actors would show with a power of 0.8.
    pub minimum_detectable_effect: ByLook<f64>,
    /// What follows from this comparison.
    pub verdict: VerdictCode,
}

/// What a covariate changed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct CupedReport {
    /// By how much the metric grows with the covariate.
    pub theta: f64,
    /// The share of the variance that it explains.
    pub variance_reduction: Option<f64>,
    /// The difference without it.
    pub unadjusted: Difference,
}

/// What follows from a metric.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct Verdict {
    /// As data.
    pub code: VerdictCode,
    /// The variant that it is about; `None` where no variant may be named.
    pub variant: Option<String>,
    /// In one sentence without a full stop.
    pub sentence: String,
    /// What stands between this verdict and a decision.
    pub missing: Vec<Missing>,
}

/// The verdicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum VerdictCode {
    /// The metric was not declared before the start: its figures decide nothing.
    Exploratory,
    /// Something is wrong with the experiment as a whole.
    Blocked,
    /// There are too few actors or conversions.
    TooEarly,
    /// A guardrail is worse than it may be.
    Harmed,
    /// A guardrail is not worse than it may be.
    Safe,
    /// The variant is better than the control.
    Better,
    /// The variant is worse than the control.
    Worse,
    /// It is not known yet.
    Undecided,
}

/// What can stand between a verdict and a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Missing {
    /// A sample ratio as the weights promise it.
    SampleRatio,
    /// Actors who were exposed to one variant only.
    UnmixedActors,
    /// The actors without an outcome.
    UnseenActors,
    /// More complete actors.
    Actors,
    /// More conversions.
    Conversions,
    /// A window, or the assertion that all outcomes are in.
    Window,
    /// The largest harm that the guardrail allows.
    MinimumEffect,
    /// One period of weights instead of several.
    OnePeriod,
    /// A variance, or a mean of the control, that is not 0.
    Variance,
}
