//! What follows from the figures of a metric: the first rule that applies.

use crate::metric::{Better, MetricKind, MetricRole};

use super::comparison::Compared;
use super::report::{Missing, VerdictCode};
use super::request::AnalysedMetric;

/// Below so many complete actors in an arm nothing is said: its mean is not normal yet.
pub(super) const FEWEST_ACTORS: u64 = 50;
/// Below so many conversions in both arms together nothing is said.
pub(super) const FEWEST_CONVERSIONS: f64 = 5.0;

/// What follows from one comparison, and what stands between it and a decision.
pub(super) type Finding = (VerdictCode, Vec<Missing>);

/// What the verdicts of a metric depend on beyond its figures.
#[derive(Clone, Copy)]
pub(super) struct Judge<'a> {
    pub(super) metric: &'a AnalysedMetric,
    /// What is wrong with the experiment as a whole.
    pub(super) blocks: &'a [Missing],
    /// Whether every outcome is in.
    pub(super) is_final: bool,
    /// How probable a false winner may be.
    pub(super) alpha: f64,
}

impl Judge<'_> {
    /// What follows from one comparison.
    pub(super) fn judge(&self, compared: &Compared) -> Finding {
        self.before_figures()
            .or_else(|| self.too_early(compared))
            .or_else(|| self.quantile_over_periods(compared))
            .unwrap_or_else(|| match self.metric.role {
                MetricRole::Guardrail => self.guardrail(compared),
                _ => self.winner(compared),
            })
    }

    /// What holds whatever the figures are.
    fn before_figures(&self) -> Option<Finding> {
        if self.metric.is_exploratory {
            return Some((VerdictCode::Exploratory, Vec::new()));
        }
        let is_blocked = !self.blocks.is_empty();
        is_blocked.then(|| (VerdictCode::Blocked, self.blocks.to_vec()))
    }

    fn too_early(&self, compared: &Compared) -> Option<Finding> {
        let is_conversion = self.metric.config.kind == MetricKind::Conversion;
        let missing = if compared.actors.iter().any(|actors| *actors < FEWEST_ACTORS) {
            Missing::Actors
        } else if is_conversion && compared.total < FEWEST_CONVERSIONS {
            Missing::Conversions
        } else {
            return None;
        };
        Some((VerdictCode::TooEarly, vec![missing]))
    }

    fn quantile_over_periods(&self, compared: &Compared) -> Option<Finding> {
        let is_quantile = self.metric.config.kind == MetricKind::Quantile;
        (is_quantile && compared.report.periods > 1).then(|| undecided(Missing::OnePeriod))
    }

    fn guardrail(&self, compared: &Compared) -> Finding {
        let Some(allowed) = self.metric.config.minimum_effect else {
            return undecided(Missing::MinimumEffect);
        };
        let bounds = compared.report.one_sided;
        let bounds = bounds.and_then(|bounds| bounds.relative_low.zip(bounds.relative_high));
        let Some((low, high)) = bounds else {
            return undecided(Missing::Variance);
        };
        if high < -allowed.get() {
            (VerdictCode::Harmed, Vec::new())
        } else if low > -allowed.get() {
            (VerdictCode::Safe, Vec::new())
        } else {
            undecided(Missing::Actors)
        }
    }

    fn winner(&self, compared: &Compared) -> Finding {
        if self.metric.config.window.is_none() && !self.is_final {
            return undecided(Missing::Window);
        }
        let report = &compared.report;
        let (Some(difference), Some(_)) = (report.difference.estimate, report.always_valid.p_value)
        else {
            return undecided(Missing::Variance);
        };
        if report.adjusted_p_value.is_none_or(|p| p >= self.alpha) {
            return undecided(Missing::Actors);
        }
        let is_better = match self.metric.config.better() {
            Better::Up => difference > 0.0,
            Better::Down => difference < 0.0,
        };
        let code = if is_better {
            VerdictCode::Better
        } else {
            VerdictCode::Worse
        };
        (code, Vec::new())
    }

    /// The comparison whose verdict is that of the metric, by its place.
    pub(super) fn decisive(&self, compared: &[Compared]) -> Option<usize> {
        let places = 0..compared.len();
        if self.metric.role == MetricRole::Guardrail {
            return places.min_by_key(|place| severity(compared[*place].report.verdict));
        }
        // Where the adjustment makes two alike, the smaller one before it decides.
        let p_values = |place: &usize| {
            let report = &compared[*place].report;
            [report.adjusted_p_value, report.always_valid.p_value].map(|p| p.unwrap_or(1.0))
        };
        places.min_by(|one, other| {
            p_values(one)
                .partial_cmp(&p_values(other))
                .unwrap_or(std::cmp::Ordering::Equal)
        })
    }

    /// What follows where nothing can be compared.
    pub(super) fn of_nothing(&self) -> Finding {
        self.before_figures()
            .unwrap_or_else(|| (VerdictCode::TooEarly, vec![Missing::Actors]))
    }
}

fn undecided(missing: Missing) -> Finding {
    (VerdictCode::Undecided, vec![missing])
}

/// In which order the verdicts of several comparisons make that of a guardrail.
fn severity(code: VerdictCode) -> u8 {
    match code {
        VerdictCode::Exploratory | VerdictCode::Blocked => 0,
        VerdictCode::Harmed => 1,
        VerdictCode::Undecided => 2,
        VerdictCode::Safe => 3,
        VerdictCode::TooEarly | VerdictCode::Better | VerdictCode::Worse => 4,
    }
}
