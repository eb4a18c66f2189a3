//! From members and totals to verdicts: which one, in which words, and what is warned of. The figures are held to
//! an independent script in `results_golden`.

mod limits;
mod sample_ratio;
mod verdicts;
mod warnings;

use experiments::metric::{MetricKind, MetricRole, Population};
use experiments::results::{
    AnalysedMetric, Analysis, Member, Members, MetricTotals, Missing, Report, Totals, VerdictCode,
    WarningCode,
};
use experiments::{ExperimentConfig, ExperimentState, MetricConfig, VariantConfig, WeightPeriod};

/// 2026-11-01, when every test here began.
const START: u64 = 1_793_491_200;
const DAY: u64 = 86_400;

/// A test of which everything but the verdict is in order: actors come one a minute for ten days, in turn to each
/// variant, and all are exposed at once.
struct Given {
    config: ExperimentConfig,
    metrics: Vec<AnalysedMetric>,
    periods: Vec<WeightPeriod>,
    members: Members,
    totals: Totals,
    population: Population,
    is_final: bool,
    only_seen: bool,
}

fn metric(kind: MetricKind, role: MetricRole) -> AnalysedMetric {
    let mut config = MetricConfig::new("m", kind);
    config.window = "1d".parse().ok();
    AnalysedMetric {
        config,
        role,
        is_exploratory: false,
    }
}

fn primary(kind: MetricKind) -> AnalysedMetric {
    metric(kind, MetricRole::Primary)
}

fn guardrail(allowed: &str) -> AnalysedMetric {
    let mut metric = metric(MetricKind::Mean, MetricRole::Guardrail);
    metric.config.minimum_effect = allowed.parse().ok();
    metric
}

fn weighted(names: &[(&str, u32)]) -> Vec<VariantConfig> {
    let variants = names
        .iter()
        .map(|(name, weight)| VariantConfig::new(*name, *weight));
    variants.collect()
}

impl Given {
    /// With `actors` actors over these variants; `value` says what comes of each, by its variant and number.
    fn new(
        variants: &[&str],
        actors: u32,
        metrics: Vec<AnalysedMetric>,
        value: impl Fn(usize, u32) -> Option<f64>,
    ) -> Self {
        let equal: Vec<(&str, u32)> = variants.iter().map(|name| (*name, 1)).collect();
        let mut config = ExperimentConfig::new("checkout", weighted(&equal));
        config.state = ExperimentState::Running;
        let numbers = (0..actors).map(|number| (number as usize % variants.len(), number));
        let numbers: Vec<(usize, u32)> = numbers.collect();
        let mut members = Members::default();
        for (variant, number) in &numbers {
            let come_secs = START + u64::from(*number) * 60;
            let member = Member {
                variant: u16::try_from(*variant).unwrap(),
                period: 0,
                assigned_at_secs: come_secs,
                exposed_at_secs: come_secs,
            };
            members.push(&number.to_string(), member);
        }
        let values = numbers
            .iter()
            .map(|(variant, number)| value(*variant, *number));
        let values: Vec<Option<f64>> = values.collect();
        let totals = MetricTotals {
            values: values.iter().map(|value| value.unwrap_or(0.0)).collect(),
            denominators: values
                .iter()
                .map(|value| f64::from(value.is_some()))
                .collect(),
            seen: values.iter().map(Option::is_some).collect(),
            covariates: values
                .iter()
                .map(|value| value.unwrap_or(f64::NAN))
                .collect(),
            after_window: 0,
        };
        Self {
            periods: vec![WeightPeriod {
                period: 0,
                from_secs: START,
                variants: config.variants.clone(),
                counts: Vec::new(),
            }],
            members,
            totals: Totals {
                metrics: vec![totals; metrics.len()],
                rows: u64::from(actors),
                timed: true,
                ..Totals::default()
            },
            config,
            metrics,
            population: Population::Assigned,
            is_final: false,
            only_seen: false,
        }
    }

    fn report(&self) -> Report {
        let analysis = Analysis {
            config: &self.config,
            metrics: &self.metrics,
            periods: &self.periods,
            from_secs: START,
            to_secs: START + 10 * DAY,
            now_secs: START + 10 * DAY,
            population: self.population,
            control: None,
            is_final: self.is_final,
            only_seen: self.only_seen,
        };
        analysis.report(&self.members, &self.totals)
    }

    /// The verdict on the first metric.
    #[track_caller]
    fn says(&self, code: VerdictCode, missing: &[Missing], sentence: &str) {
        let verdict = &self.report().metrics[0].verdict;
        assert_eq!(verdict.sentence, sentence);
        assert_eq!((verdict.code, &*verdict.missing), (code, missing));
        let names_none = matches!(code, VerdictCode::Blocked | VerdictCode::Exploratory);
        assert_eq!(verdict.variant.is_none(), names_none);
    }

    fn warns(&self) -> Vec<WarningCode> {
        let warnings = self.report().warnings;
        warnings.iter().map(|warning| warning.code).collect()
    }
}

/// Every `nth` actor converts.
fn converts(number: u32, nth: u32) -> Option<f64> {
    (number / 2).is_multiple_of(nth).then_some(1.0)
}

/// Around 10, and so much more for the treatment.
fn around_ten(variant: usize, number: u32, more: f64) -> f64 {
    let spread = f64::from(number / 2 % 5) - 2.0;
    10.0 + spread + if variant == 1 { more } else { 0.0 }
}

const ARMS: [&str; 2] = ["control", "treatment"];
