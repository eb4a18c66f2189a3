//! From who is in an experiment and what their outcomes add up to, to a report. The order of the work; what
//! each step does is in the files beside it.

use crate::metric::{MetricRole, Population, Window};
use crate::stats::holm;

use super::comparison::{Arms, Compared};
use super::forecast::Forecast;
use super::members::Members;
use super::population::{Bounds, Cohort};
use super::report::{LeftOut, MetricReport, Missing, Report, VariantFigures, Verdict, VerdictCode};
use super::request::{AnalysedMetric, Analysis};
use super::sample::Sample;
use super::sample_ratio::SampleRatioReport;
use super::sentence::{Speaker, Subject};
use super::totals::{MetricTotals, Totals};
use super::verdict::Judge;
use super::warnings;

/// One metric on its way to its report.
struct Measured<'a> {
    metric: &'a AnalysedMetric,
    after_window: u64,
    figures: Vec<VariantFigures>,
    compared: Vec<Compared>,
}

impl Analysis<'_> {
    /// Analyses what the outcomes of the members add up to.
    #[must_use]
    pub fn report(&self, members: &Members, totals: &Totals) -> Report {
        let assigned = self.cohort(members, Population::Assigned);
        let exposed = self.cohort(members, Population::Exposed);
        let cohort = match self.population {
            Population::Assigned => &assigned,
            Population::Exposed => &exposed,
        };
        let tested: &[&Cohort] = match self.population {
            Population::Assigned => &[&assigned],
            Population::Exposed => &[&assigned, &exposed],
        };
        let by = totals.by.as_ref();
        let sample_ratio = SampleRatioReport::new(self.config, self.periods, tested, by);
        let mut report = Report {
            experiment: self.config.name.clone(),
            state: self.config.state,
            population: self.population,
            assigned_actors: assigned.size,
            exposed_actors: exposed.size,
            control: self
                .control()
                .map(|place| self.config.variants[place].name.clone()),
            from_secs: self.from_secs,
            to_secs: self.to_secs,
            confidence: self.statistics().confidence,
            tuning_actors: self.statistics().tuning_actors,
            left_out: LeftOut {
                overridden_actors: cohort.overridden,
                mixed_actors: cohort.mixed,
                unknown_actors: totals.unknown_actors,
                before_start: totals.before_start,
                broken_rows: totals.broken_rows,
            },
            sample_ratio,
            warnings: Vec::new(),
            metrics: Vec::new(),
        };
        if let Some(control) = self.control() {
            report.metrics = self.metrics(&report, cohort, control, totals);
        }
        report.warnings = warnings::of(&report, self, cohort, totals);
        report
    }

    fn cohort<'m>(&self, members: &'m Members, population: Population) -> Cohort<'m> {
        let bounds = Bounds {
            population,
            to_secs: self.to_secs,
        };
        Cohort::new(members, self.config.variants.len(), bounds)
    }

    fn metrics(
        &self,
        report: &Report,
        cohort: &Cohort,
        control: usize,
        totals: &Totals,
    ) -> Vec<MetricReport> {
        let arms = Arms {
            variants: &self.config.variants,
            control,
            analysis: self.statistics(),
        };
        let nothing = MetricTotals::default();
        let metrics = self.metrics.iter().enumerate();
        let measured = metrics.map(|(place, metric)| {
            let totals = totals.metrics.get(place).unwrap_or(&nothing);
            self.measure(&arms, cohort, metric, totals)
        });
        let mut measured: Vec<Measured> = measured.collect();
        for role in [MetricRole::Primary, MetricRole::Secondary] {
            adjust(&mut measured, role);
        }
        let blocks = self.blocks(report, cohort);
        let forecast = Forecast::new(self, cohort);
        let speaker = Speaker {
            report,
            mixed: cohort.mixed,
            population: cohort.size,
            forecast: &forecast,
            analysis: arms.analysis,
            control,
        };
        let judged = measured.into_iter().map(|measured| {
            let judge = Judge {
                metric: measured.metric,
                blocks: &blocks,
                is_final: self.is_final,
                alpha: 1.0 - arms.analysis.confidence,
            };
            measured.judged(&judge, &speaker)
        });
        judged.collect()
    }

    fn measure<'m>(
        &self,
        arms: &Arms,
        cohort: &Cohort,
        metric: &'m AnalysedMetric,
        totals: &MetricTotals,
    ) -> Measured<'m> {
        let variants = self.config.variants.len();
        let sample = Sample::take(cohort, variants, &metric.config, totals, self.only_seen);
        let others = (0..variants).filter(|place| *place != arms.control && cohort.has(*place));
        Measured {
            metric,
            after_window: totals.after_window,
            figures: arms.figures(&sample),
            compared: others
                .map(|place| arms.compare(metric, &sample, place))
                .collect(),
        }
    }

    /// What is wrong with the experiment as a whole, so that no metric may decide anything.
    fn blocks(&self, report: &Report, cohort: &Cohort) -> Vec<Missing> {
        let blocks = [
            (report.sample_ratio.mismatch, Missing::SampleRatio),
            (cohort.is_mixed(), Missing::UnmixedActors),
            (self.only_seen, Missing::UnseenActors),
        ];
        let blocks = blocks.into_iter().filter(|(is_so, _)| *is_so);
        blocks.map(|(_, missing)| missing).collect()
    }
}

/// Adjusts the p-values of all declared comparisons of one role for each other.
fn adjust(measured: &mut [Measured], role: MetricRole) {
    let declared = measured
        .iter_mut()
        .filter(|measured| measured.metric.role == role && !measured.metric.is_exploratory);
    let comparisons = declared.flat_map(|measured| &mut measured.compared);
    let mut comparisons: Vec<&mut Compared> = comparisons.collect();
    let p_values = comparisons
        .iter()
        .map(|compared| compared.report.always_valid.p_value);
    let p_values: Vec<Option<f64>> = p_values.collect();
    for (compared, adjusted) in comparisons.iter_mut().zip(holm(&p_values)) {
        compared.report.adjusted_p_value = Some(adjusted);
    }
}

impl Measured<'_> {
    fn judged(mut self, judge: &Judge, speaker: &Speaker) -> MetricReport {
        let mut missing = Vec::new();
        for compared in &mut self.compared {
            let (code, what) = judge.judge(compared);
            compared.report.verdict = code;
            missing.push(what);
        }
        let decisive = judge.decisive(&self.compared);
        let (code, missing) = match decisive {
            Some(place) => (
                self.compared[place].report.verdict,
                missing.swap_remove(place),
            ),
            None => judge.of_nothing(),
        };
        let subject = Subject {
            metric: self.metric,
            figures: &self.figures,
            compared: &self.compared,
            decisive,
        };
        let sentence = speaker.sentence(&subject, code, &missing);
        let names_variant = !matches!(code, VerdictCode::Exploratory | VerdictCode::Blocked);
        let config = &self.metric.config;
        MetricReport {
            metric: config.name.clone(),
            kind: config.kind,
            role: self.metric.role,
            better: config.better(),
            window_secs: config.window.map(Window::secs),
            exploratory: self.metric.is_exploratory,
            after_window: self.after_window,
            verdict: Verdict {
                code,
                variant: decisive
                    .filter(|_| names_variant)
                    .map(|place| self.compared[place].report.variant.clone()),
                sentence,
                missing,
            },
            variants: self.figures,
            comparisons: self
                .compared
                .into_iter()
                .map(|compared| compared.report)
                .collect(),
        }
    }
}
