//! The verdict on a metric in one plain sentence: what is known, how sure it is, what is missing, and when it will
//! be there. Without a full stop.

use crate::metric::{Better, MetricKind, Window};
use crate::number::Finite;
use crate::stats;

use super::comparison::Compared;
use super::forecast::{Forecast, When};
use super::population::ONE_MIXED_IN;
use super::report::{Missing, Report, VariantFigures, VerdictCode};
use super::request::AnalysedMetric;
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
            return format!("no verdict: {broken}; find out why before looking at any metric");
        }
        if missing.contains(&Missing::UnmixedActors) {
            let (mixed, most) = (
                words::share(self.mixed, self.population),
                words::share(1, ONE_MIXED_IN),
            );
            let [mixed, most] = words::percent_apart(mixed, most);
            return format!(
                "no verdict: {mixed} of the actors were exposed to two variants (at most {most} is accepted); find \
                 out why before looking at any metric"
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
        let reason = "exploratory (not declared before the start), so no winner";
        let (estimate, p) = (self.estimate(), self.p_value());
        if estimate.is_empty() {
            return reason.to_owned();
        }
        format!(
            "{reason}: {} differs by {estimate} from {}{p}",
            self.variant(),
            self.control()
        )
    }

    /// Such as `+4.1% (between +1.2% and +7.1%)`; empty where nothing is defined.
    fn estimate(&self) -> String {
        let report = &self.compared.report;
        let always = &report.always_valid;
        let relative = ends(
            report.relative.estimate,
            always.relative_low,
            always.relative_high,
        );
        let absolute = ends(report.difference.estimate, always.low, always.high);
        // At the edge of a decision the interval of the relative difference may still have 0 in it. The absolute
        // one is what decides.
        let is_decided = matches!(report.verdict, VerdictCode::Better | VerdictCode::Worse);
        let relative = relative.filter(|[_, low, high]| !is_decided || low * high > 0.0);
        let is_conversion = self.subject.metric.config.kind == MetricKind::Conversion;
        let (unit, [estimate, low, high]) = match (relative, absolute) {
            (Some(relative), _) => ("", relative.map(words::signed_percent)),
            (None, Some(absolute)) if is_conversion => (
                " percentage points",
                absolute.map(|share| words::signed_figure(100.0 * share)),
            ),
            (None, Some(absolute)) => ("", absolute.map(words::signed_figure)),
            (None, None) => return String::new(),
        };
        format!("{estimate}{unit} (between {low} and {high})")
    }

    /// Such as `, p = 0.003`. Where it is the adjustment that makes it too large, that is said.
    fn p_value(&self) -> String {
        let report = &self.compared.report;
        let plain = report.always_valid.p_value;
        let Some(p) = report.adjusted_p_value.or(plain) else {
            return String::new();
        };
        let alpha = 1.0 - self.speaker.analysis.confidence;
        let is_adjusted = p >= alpha && plain.is_some_and(|plain| plain < alpha);
        let why = if is_adjusted {
            " adjusted for the other comparisons"
        } else {
            ""
        };
        format!(", {}{why}", words::p_value(p))
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
        let times = short
            .iter()
            .map(|(variant, actors)| self.when(&[*variant], FEWEST_ACTORS - actors));
        // It is there when the last arm has enough.
        let last = times.collect::<Option<Vec<_>>>();
        let last = last.and_then(|times| times.into_iter().max());
        let when = last.map_or_else(String::new, |when| {
            format!("; there will be enough {}", at_the_rate(when))
        });
        format!("too early to say: {}{when}", counts.join(" and "))
    }

    fn harmed(&self) -> String {
        let bounds = self.compared.report.one_sided;
        let high = bounds.and_then(|bounds| bounds.relative_high);
        let [harm, allowed] = self.harm_and_allowed(-high.unwrap_or_default());
        format!(
            "the guardrail is broken: {} is at least {harm} worse than {}, but at most {allowed} is allowed",
            self.variant(),
            self.control()
        )
    }

    fn safe(&self) -> String {
        let low = self.one_sided_low();
        let [size, allowed] = self.harm_and_allowed(low.abs());
        let how = if low < 0.0 {
            format!("at most {size} worse")
        } else {
            format!("at least {size} better")
        };
        format!(
            "the guardrail is safe: {} is {how} than {}, and up to {allowed} worse is allowed",
            self.variant(),
            self.control()
        )
    }

    fn undecided_guardrail(&self) -> String {
        let [harm, allowed] = self.harm_and_allowed(-self.one_sided_low());
        format!(
            "the guardrail is undecided: {} may be up to {harm} worse than {}, but only {allowed} is allowed; more actors are \
             needed",
            self.variant(),
            self.control()
        )
    }

    fn one_sided_low(&self) -> f64 {
        let bounds = self.compared.report.one_sided;
        let low = bounds.and_then(|bounds| bounds.relative_low);
        low.unwrap_or_default()
    }

    fn harm_and_allowed(&self, harm: f64) -> [String; 2] {
        let allowed = self.subject.metric.config.minimum_effect;
        words::percent_apart(harm, allowed.map_or(0.0, Finite::get))
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
                "no verdict yet: without a window, actors who came late have had less time; give the metric a window, or pass \
                 --final once every outcome is in"
                    .to_owned()
            }
            _ if self.compared.report.one_sided.is_some() => self.undecided_guardrail(),
            _ => self.more_actors(),
        }
    }

    fn incomparable(&self) -> String {
        let report = &self.compared.report;
        let is_relative = report.one_sided.is_some() && report.always_valid.p_value.is_some();
        if is_relative {
            let control = self.control();
            return format!(
                "no verdict: the mean of {control} is 0, so no relative difference is defined"
            );
        }
        let difference = &report.difference;
        let reason = match (difference.estimate, difference.standard_error) {
            (Some(_), Some(_)) => {
                "within each variant all actors have the same value, so there is no p-value"
            }
            _ => "the figure is undefined, or too large to be compared",
        };
        format!("no verdict: {reason}")
    }

    /// What the present actors say, and how many it takes.
    fn more_actors(&self) -> String {
        let known = format!(
            "no verdict yet: {} differs by {} from {}{}",
            self.variant(),
            self.estimate(),
            self.control(),
            self.p_value()
        );
        match self.needed() {
            Some(needed) => format!("{known}; {needed}"),
            None => known,
        }
    }

    /// Which difference would show with which number of actors, and when.
    fn needed(&self) -> Option<String> {
        let report = &self.compared.report;
        let control = report.means.control.map(f64::abs);
        let control = control.filter(|mean| *mean > 0.0)?;
        let these = words::actors(report.actors);
        let Some(wanted) = self.subject.metric.config.minimum_effect else {
            let effect = report.minimum_detectable_effect.always_valid? / control;
            let effect = words::percent(effect);
            return Some(format!(
                "with these {these} a difference of about {effect} would probably show"
            ));
        };
        let effect = words::percent(wanted.get());
        let comparison = &self.compared.comparison;
        let needed = comparison.actors_to_detect(wanted.get() * control, &self.speaker.analysis);
        let needed = needed.always_valid?;
        if needed <= report.actors {
            return Some(format!(
                "a difference of {effect} would probably have shown with these {these}"
            ));
        }
        let variants = [self.compared.variant, self.speaker.control];
        let when = self.when(&variants, needed - report.actors);
        let when = when.map_or_else(String::new, |when| format!(", {}", at_the_rate(when)));
        let (needed, so_far) = (words::about(needed), words::count(report.actors));
        Some(format!(
            "a difference of {effect} would show with about {needed} actors ({so_far} so far){when}"
        ))
    }

    /// When so many more actors of these variants are complete.
    fn when(&self, variants: &[usize], more: u64) -> Option<When> {
        let figures = variants
            .iter()
            .map(|variant| self.subject.figures[*variant].in_progress);
        let window = self.subject.metric.config.window.map_or(0, Window::secs);
        self.speaker
            .forecast
            .when(variants, more, figures.sum(), window)
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

/// An estimate with the ends of its interval, where all are defined.
fn ends(estimate: Option<f64>, low: Option<f64>, high: Option<f64>) -> Option<[f64; 3]> {
    Some([estimate?, low?, high?])
}

fn at_the_rate(when: When) -> String {
    match when {
        When::At(secs) => format!("on {} at the present rate", words::day(secs)),
        When::InYears => "in more than 5 years at the present rate".to_owned(),
    }
}
