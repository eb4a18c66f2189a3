//! The verdict on a metric in one plain sentence: what is known, how sure it is, what is missing, and when it will
//! be there. Without a full stop.

use crate::metric::{Better, MetricKind, Window};
use crate::stats;

use super::analysis::AnalysedMetric;
use super::comparison::Compared;
use super::forecast::Forecast;
use super::report::{Missing, Report, VariantFigures, VerdictCode};
use super::verdict::{FEWEST_ACTORS, FEWEST_CONVERSIONS};
use super::words;

/// What all sentences of a report have in common.
pub(super) struct Speaker<'a> {
    pub(super) report: &'a Report,
    /// How many actors are left out for having been exposed to two variants, of how many.
    pub(super) mixed: u64,
    pub(super) population: u64,
    pub(super) forecast: &'a Forecast,
    pub(super) analysis: stats::Analysis,
    /// The place of the control.
    pub(super) control: usize,
}

/// What a sentence is about.
pub(super) struct Subject<'a> {
    pub(super) metric: &'a AnalysedMetric,
    pub(super) figures: &'a [VariantFigures],
    pub(super) compared: &'a [Compared],
    /// The place of the comparison that decides.
    pub(super) decisive: Option<usize>,
}

impl Speaker<'_> {
    /// The sentence for this verdict.
    pub(super) fn sentence(
        &self,
        subject: &Subject,
        code: VerdictCode,
        missing: &[Missing],
    ) -> String {
        if code == VerdictCode::Blocked {
            return self.blocked(missing);
        }
        let Some(place) = subject.decisive else {
            return "too early to say: there are no actors to compare with the control".to_owned();
        };
        let spoken = Spoken {
            speaker: self,
            subject,
            compared: &subject.compared[place],
        };
        let sentence = match code {
            VerdictCode::Exploratory => spoken.exploratory(),
            VerdictCode::Blocked => String::new(),
            VerdictCode::TooEarly => spoken.too_early(missing),
            VerdictCode::Harmed => spoken.harmed(),
            VerdictCode::Safe => spoken.safe(),
            VerdictCode::Better => spoken.decided("better"),
            VerdictCode::Worse => spoken.decided("worse"),
            VerdictCode::Undecided => spoken.undecided(missing),
        };
        sentence + &spoken.others(code)
    }

    fn blocked(&self, missing: &[Missing]) -> String {
        if missing.contains(&Missing::SampleRatio) {
            let broken = self.report.sample_ratio.sentence();
            return format!("no verdict: {broken}: find out why before looking at any metric");
        }
        if missing.contains(&Missing::UnmixedActors) {
            let share = words::percent(share(self.mixed, self.population));
            return format!(
                "no verdict: {share} of the actors were exposed to two variants, and 1% is the most: find out why \
                 before looking at any metric"
            );
        }
        "no verdict: actors without an outcome are left out, and a variant may change who has one"
            .to_owned()
    }
}

/// One comparison to speak of.
struct Spoken<'a> {
    speaker: &'a Speaker<'a>,
    subject: &'a Subject<'a>,
    compared: &'a Compared,
}

impl Spoken<'_> {
    fn variant(&self) -> std::borrow::Cow<'_, str> {
        words::name(&self.compared.report.variant)
    }

    fn control(&self) -> std::borrow::Cow<'_, str> {
        words::name(&self.compared.report.control)
    }

    fn decided(&self, how: &str) -> String {
        let config = &self.subject.metric.config;
        let verb = match (config.kind, config.better()) {
            (MetricKind::Conversion, Better::Up) => "converts",
            _ => "is",
        };
        let lower = match config.better() {
            Better::Up => "",
            Better::Down => " (lower is better)",
        };
        format!(
            "{} {verb} {how} than {}{lower}: {}{}",
            self.variant(),
            self.control(),
            self.estimate(),
            self.p_value()
        )
    }

    fn exploratory(&self) -> String {
        let reason = "exploratory, as it was not declared before the start, so it names no winner";
        let (estimate, p) = (self.estimate(), self.p_value());
        if estimate.is_empty() {
            return reason.to_owned();
        }
        format!(
            "{reason}: {} is {estimate} against {}{p}",
            self.variant(),
            self.control()
        )
    }

    /// Such as `+4.1% (between +1.2% and +7.1%)`; empty where nothing is defined.
    fn estimate(&self) -> String {
        let report = &self.compared.report;
        let always = &report.always_valid;
        let relative = (
            report.relative.estimate,
            always.relative_low,
            always.relative_high,
        );
        let absolute = (report.difference.estimate, always.low, always.high);
        match (relative, absolute) {
            // Near the edge the two intervals may differ about 0. The absolute one decides.
            (
                (Some(estimate), Some(low), Some(high)),
                (_, Some(absolute_low), Some(absolute_high)),
            ) if (low < 0.0 && high > 0.0) == (absolute_low < 0.0 && absolute_high > 0.0) => {
                let [estimate, low, high] = [estimate, low, high].map(words::signed_percent);
                format!("{estimate} (between {low} and {high})")
            }
            (_, (Some(estimate), Some(low), Some(high))) => {
                let [estimate, low, high] = [estimate, low, high].map(words::signed_figure);
                format!("{estimate} (between {low} and {high})")
            }
            _ => String::new(),
        }
    }

    fn p_value(&self) -> String {
        let report = &self.compared.report;
        let p = report.adjusted_p_value.or(report.always_valid.p_value);
        p.map_or_else(String::new, |p| format!(", {}", words::p_value(p)))
    }

    fn too_early(&self, missing: &[Missing]) -> String {
        if missing.contains(&Missing::Conversions) {
            return format!(
                "too early to say: {:.0} of {FEWEST_CONVERSIONS} conversions in {} and {} together",
                self.compared.total,
                self.variant(),
                self.control()
            );
        }
        let kind = match self.subject.metric.config.kind {
            MetricKind::Quantile => "actors with an outcome",
            _ => "actors",
        };
        let arms = [self.compared.variant, self.speaker.control];
        let short = arms.iter().zip(self.compared.actors);
        let short: Vec<(usize, u64)> = short
            .filter(|(_, actors)| *actors < FEWEST_ACTORS)
            .map(|(variant, actors)| (*variant, actors))
            .collect();
        let counts = short.iter().map(|(variant, actors)| {
            let name = words::name(&self.subject.figures[*variant].variant);
            format!("{actors} of {FEWEST_ACTORS} {kind} in {name}")
        });
        let counts: Vec<String> = counts.collect();
        let days = short
            .iter()
            .map(|(variant, actors)| self.day(&[*variant], FEWEST_ACTORS - actors));
        // It is there when the last arm has enough.
        let last = days
            .collect::<Option<Vec<_>>>()
            .and_then(|days| days.into_iter().max());
        let when = last.map_or_else(String::new, |day| format!(", enough {}", at_the_rate(&day)));
        format!("too early to say: {}{when}", counts.join(" and "))
    }

    fn harmed(&self) -> String {
        let bounds = self.compared.report.one_sided;
        let harm = bounds
            .and_then(|bounds| bounds.relative_high)
            .unwrap_or_default();
        format!(
            "guardrail is broken: {} is at least {} worse than {}, and {} is allowed",
            self.variant(),
            words::percent(-harm),
            self.control(),
            self.allowed()
        )
    }

    fn safe(&self) -> String {
        let variant = self.variant();
        let (at_worst, allowed) = (self.at_worst(), self.allowed());
        format!("guardrail is safe: {variant} is {at_worst}, and {allowed} worse is allowed")
    }

    /// Such as `at worst 0.4% worse than control`.
    fn at_worst(&self) -> String {
        let bounds = self.compared.report.one_sided;
        let low = bounds
            .and_then(|bounds| bounds.relative_low)
            .unwrap_or_default();
        let (size, control) = (words::percent(low.abs()), self.control());
        if low < 0.0 {
            format!("at worst {size} worse than {control}")
        } else {
            format!("at least {size} better than {control}")
        }
    }

    fn allowed(&self) -> String {
        let allowed = self.subject.metric.config.minimum_effect;
        words::percent(allowed.map_or(0.0, crate::number::Finite::get))
    }

    fn undecided(&self, missing: &[Missing]) -> String {
        match missing.first() {
            Some(Missing::OnePeriod) => {
                "no verdict: the weights have changed, and a quantile cannot be compared across a change of weights"
                    .to_owned()
            }
            Some(Missing::MinimumEffect) => {
                "no verdict: the guardrail has no minimum_effect, the largest harm that it allows".to_owned()
            }
            Some(Missing::Variance) => self.incomparable(),
            Some(Missing::Window) => {
                "no verdict yet: without a window late comers have had less time: give the metric a window, or pass \
                 --final once every outcome is in"
                    .to_owned()
            }
            _ if self.compared.report.one_sided.is_some() => format!(
                "guardrail is undecided: {} is {}, and {} worse is allowed",
                self.variant(),
                self.at_worst(),
                self.allowed()
            ),
            _ => self.more_actors(),
        }
    }

    fn incomparable(&self) -> String {
        let report = &self.compared.report;
        let is_relative = report.one_sided.is_some() && report.always_valid.p_value.is_some();
        if is_relative {
            let control = self.control();
            return format!(
                "no verdict: there is no relative difference to {control}, whose mean is 0"
            );
        }
        match report.difference.estimate {
            Some(_) => {
                "no verdict: the actors' values do not vary, so that no chance can be reckoned with"
            }
            None => "no verdict: the figure is undefined or too large to be compared",
        }
        .to_owned()
    }

    /// What the present actors say, and how many it takes.
    fn more_actors(&self) -> String {
        let estimate = self.estimate();
        let known = format!(
            "no decision yet: {} is {estimate} against {}",
            self.variant(),
            self.control()
        );
        let report = &self.compared.report;
        let control = report
            .means
            .control
            .map(f64::abs)
            .filter(|mean| *mean > 0.0);
        let Some(control) = control else {
            return known;
        };
        let Some(wanted) = self.subject.metric.config.minimum_effect else {
            let detectable = report.minimum_detectable_effect.always_valid;
            let detectable = detectable.map(|effect| words::percent(effect / control));
            return detectable.map_or(known.clone(), |effect| {
                let actors = words::actors(report.actors);
                format!("{known}; with these {actors} a difference of about {effect} would show")
            });
        };
        let effect = words::percent(wanted.get());
        let needed = self
            .compared
            .comparison
            .actors_to_detect(wanted.get() * control, &self.speaker.analysis);
        let Some(needed) = needed.always_valid else {
            return known;
        };
        let Some(more) = needed.checked_sub(report.actors).filter(|more| *more > 0) else {
            let actors = words::actors(report.actors);
            return format!(
                "{known}; a difference of {effect} would probably show with these {actors}"
            );
        };
        let variants = [self.compared.variant, self.speaker.control];
        let when = self
            .day(&variants, more)
            .map_or_else(String::new, |day| format!(", {}", at_the_rate(&day)));
        let (needed, so_far) = (words::about(needed), words::count(report.actors));
        format!(
            "{known}; a difference of {effect} would show with about {needed} actors ({so_far} so far){when}"
        )
    }

    /// The day on which so many more actors of these variants are complete.
    fn day(&self, variants: &[usize], more: u64) -> Option<String> {
        let figures = variants
            .iter()
            .map(|variant| self.subject.figures[*variant].in_progress);
        let window = self.subject.metric.config.window.map_or(0, Window::secs);
        let when = self
            .speaker
            .forecast
            .when(variants, more, figures.sum(), window)?;
        Some(words::day(when))
    }

    /// What is known of the other variants, in a word each.
    fn others(&self, code: VerdictCode) -> String {
        if code == VerdictCode::Exploratory {
            return String::new();
        }
        let others = self
            .subject
            .compared
            .iter()
            .filter(|other| other.variant != self.compared.variant);
        let others = others.map(|other| {
            let word = match other.report.verdict {
                VerdictCode::TooEarly => "too early to say",
                VerdictCode::Harmed => "worse than allowed",
                VerdictCode::Safe => "safe",
                VerdictCode::Better => "better",
                VerdictCode::Worse => "worse",
                VerdictCode::Undecided | VerdictCode::Blocked | VerdictCode::Exploratory => {
                    "undecided"
                }
            };
            format!("; {}: {word}", words::name(&other.report.variant))
        });
        others.collect()
    }
}

fn at_the_rate(day: &str) -> String {
    format!("at the present rate on {day}")
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^53 actors")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
