//! From members and totals to verdicts: which one, in which words, and what is warned of. The figures are held to
//! an independent script in `results_golden`.

use experiments::metric::{Better, MetricKind, MetricRole, Population};
use experiments::results::{
    AnalysedMetric, Analysis, BrokenRow, ByColumn, Exclusion, Member, Members, MetricTotals,
    Missing, Report, Totals, VerdictCode, WarningCode, sample_ratio_of_periods,
};
use experiments::{
    ExperimentConfig, ExperimentState, Finite, MetricConfig, VariantConfig, VariantCount,
    WeightPeriod,
};

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

#[test]
fn a_winner_is_named_with_its_interval() {
    let value = |variant, number| converts(number, if variant == 1 { 3 } else { 5 });
    let mut given = Given::new(&ARMS, 6000, vec![primary(MetricKind::Conversion)], value);
    given.says(
        VerdictCode::Better,
        &[],
        "treatment converts better than control: +66.7% (between +44% and +89.3%), p < 0.001",
    );
    given.metrics[0].config.better = Some(Better::Down);
    given.says(
        VerdictCode::Worse,
        &[],
        "treatment is worse than control (lower is better): +66.7% (between +44% and +89.3%), p < 0.001",
    );
    let less = |variant, number| Some(around_ten(variant, number, -1.0));
    let mut given = Given::new(&ARMS, 6000, vec![primary(MetricKind::Mean)], less);
    given.says(
        VerdictCode::Worse,
        &[],
        "treatment is worse than control: -10% (between -11.1% and -8.9%), p < 0.001",
    );
    given.metrics[0].is_exploratory = true;
    given.says(
        VerdictCode::Exploratory,
        &[],
        "exploratory (not declared before the start), so no winner: treatment is -10% \
         (between -11.1% and -8.9%) against control, p < 0.001",
    );
}

#[test]
fn what_is_missing_is_said_and_when_it_will_be_there() {
    let small = |variant, number| Some(around_ten(variant, number, 0.01));
    let mut given = Given::new(&ARMS, 4000, vec![primary(MetricKind::Mean)], small);
    given.says(
        VerdictCode::Undecided,
        &[Missing::Actors],
        "no decision yet: treatment is +0.1% (between -1.3% and +1.5%) against control, p = 1; with these 4,000 \
         actors a difference of about 1.7% would probably show",
    );
    given.metrics[0].config.minimum_effect = Some("0.01".parse().unwrap());
    given.says(
        VerdictCode::Undecided,
        &[Missing::Actors],
        "no decision yet: treatment is +0.1% (between -1.3% and +1.5%) against control, p = 1; a difference of 1% \
         would show with about 12,300 actors (4,000 so far)",
    );
    given.metrics[0].config.minimum_effect = Some("0.05".parse().unwrap());
    given.says(
        VerdictCode::Undecided,
        &[Missing::Actors],
        "no decision yet: treatment is +0.1% (between -1.3% and +1.5%) against control, p = 1; a difference of 5% \
         would probably have shown with these 4,000 actors",
    );
    given.metrics[0].config.window = None;
    given.says(
        VerdictCode::Undecided,
        &[Missing::Window],
        "no verdict yet: without a window late comers have had less time: give the metric a window, or pass \
         --final once every outcome is in",
    );
    given.is_final = true;
    assert_eq!(given.report().metrics[0].verdict.missing, [Missing::Actors]);
}

#[test]
fn the_day_is_that_of_the_present_rate() {
    let small = |variant, number| Some(around_ten(variant, number, 0.01));
    // One a minute until the end: 12,961 of 14,400 have had their day.
    let mut given = Given::new(&ARMS, 14_400, vec![primary(MetricKind::Mean)], small);
    given.metrics[0].config.minimum_effect = Some("0.005".parse().unwrap());
    let sentence = given.report().metrics[0].verdict.sentence.clone();
    assert!(
        sentence.contains("would show with about 53,700 "),
        "{sentence}"
    );
    assert!(
        sentence.ends_with("actors (12,961 so far), at the present rate on 2026-12-09"),
        "{sentence}"
    );
    given.metrics[0].config.minimum_effect = Some("0.00001".parse().unwrap());
    let sentence = given.report().metrics[0].verdict.sentence.clone();
    assert!(
        sentence.ends_with("at the present rate in more than 5 years"),
        "{sentence}"
    );
    given.config.state = ExperimentState::Concluded;
    let sentence = given.report().metrics[0].verdict.sentence.clone();
    assert!(sentence.ends_with("(12,961 so far)"), "{sentence}");
}

#[test]
fn too_few_actors_or_conversions_say_nothing() {
    let value = |variant, number| Some(around_ten(variant, number, 5.0));
    let mut given = Given::new(&ARMS, 76, vec![primary(MetricKind::Mean)], value);
    given.says(
        VerdictCode::TooEarly,
        &[Missing::Actors],
        "too early to say: 38 of 50 actors in treatment and 38 of 50 actors in control",
    );
    // Their window has not ended yet for the last 24 hours of actors.
    given.metrics[0].config.window = "239h".parse().ok();
    for member in &mut given.members.members[50..] {
        member.assigned_at_secs = START + 9 * DAY;
        member.exposed_at_secs = member.assigned_at_secs;
    }
    given.says(
        VerdictCode::TooEarly,
        &[Missing::Actors],
        "too early to say: 25 of 50 actors in treatment and 25 of 50 actors in control; enough at the present rate \
         on 2026-11-27",
    );
    let rare = |_, number| (number % 1000 < 2).then_some(1.0);
    let given = Given::new(&ARMS, 2000, vec![primary(MetricKind::Conversion)], rare);
    given.says(
        VerdictCode::TooEarly,
        &[Missing::Conversions],
        "too early to say: 4 of 5 conversions in treatment and control together",
    );
    let seen = |variant, number| (number < 60).then(|| around_ten(variant, number, 0.0));
    let given = Given::new(&ARMS, 2000, vec![primary(MetricKind::Quantile)], seen);
    given.says(
        VerdictCode::TooEarly,
        &[Missing::Actors],
        "too early to say: 30 of 50 actors with an outcome in treatment and 30 of 50 actors with an outcome in \
         control",
    );
    let given = Given::new(&["control"], 100, vec![primary(MetricKind::Mean)], value);
    let verdict = given.report().metrics[0].verdict.clone();
    assert_eq!(
        (verdict.code, verdict.variant),
        (VerdictCode::TooEarly, None)
    );
    assert_eq!(
        verdict.sentence,
        "too early to say: there are no actors to compare with the control"
    );
}

#[test]
fn nothing_is_decided_while_something_is_wrong_with_the_whole() {
    let value = |variant, number| Some(around_ten(variant, number, 5.0));
    let mut given = Given::new(&ARMS, 2000, vec![primary(MetricKind::Mean)], value);
    assert_eq!(given.report().metrics[0].verdict.code, VerdictCode::Better);

    given.only_seen = true;
    given.says(
        VerdictCode::Blocked,
        &[Missing::UnseenActors],
        "no verdict: actors without an outcome are left out, and a variant may change who has one",
    );
    let mixed = Exclusion {
        overridden_since: u64::MAX,
        mixed_since: START,
    };
    given.members.exclusions = (0..20).map(|number| (number, mixed)).collect();
    assert_eq!(given.report().left_out.mixed_actors, 20);
    assert!(!given.warns().contains(&WarningCode::MixedActors));
    given.members.exclusions.insert(20, mixed);
    given.says(
        VerdictCode::Blocked,
        &[Missing::UnmixedActors, Missing::UnseenActors],
        "no verdict: 1.1% of the actors were exposed to two variants (at most 1% is accepted): find out why before \
         looking at any metric",
    );
    assert!(given.warns().contains(&WarningCode::MixedActors));

    given.periods[0].variants = weighted(&[("control", 45), ("treatment", 55)]);
    given.says(
        VerdictCode::Blocked,
        &[Missing::SampleRatio, Missing::UnmixedActors, Missing::UnseenActors],
        "no verdict: the sample ratio is broken (control got 50% where 45% was expected, p < 0.001): find out why \
         before looking at any metric",
    );
    assert_eq!(given.warns()[0], WarningCode::SampleRatioMismatch);
}

#[test]
fn a_guardrail_is_broken_safe_or_undecided() {
    let value = |more: f64| move |variant, number| Some(around_ten(variant, number, more));
    let given = Given::new(&ARMS, 6000, vec![guardrail("0.02")], value(-1.0));
    given.says(
        VerdictCode::Harmed,
        &[],
        "guardrail is broken: treatment is at least 9% worse than control, and 2% is allowed",
    );
    let mut given = Given::new(&ARMS, 6000, vec![guardrail("0.02")], value(0.0));
    given.says(
        VerdictCode::Safe,
        &[],
        "guardrail is safe: treatment is at most 1% worse than control, and 2% worse is allowed",
    );
    given.metrics[0] = guardrail("0.01");
    given.says(
        VerdictCode::Undecided,
        &[Missing::Actors],
        "guardrail is undecided: treatment may be up to 1.01% worse than control, and 1% is allowed: more actors are \
         needed",
    );
    given.metrics[0].config.minimum_effect = None;
    given.says(
        VerdictCode::Undecided,
        &[Missing::MinimumEffect],
        "no verdict: the guardrail has no minimum_effect, the largest harm that it allows",
    );
    let mut given = Given::new(&ARMS, 6000, vec![guardrail("0.02")], value(1.0));
    given.says(
        VerdictCode::Safe,
        &[],
        "guardrail is safe: treatment is at least 8.9% better than control, and 2% worse is allowed",
    );
    given.metrics[0].config.better = Some(Better::Down);
    assert_eq!(given.report().metrics[0].verdict.code, VerdictCode::Harmed);
}

/// The worst comparison makes the verdict, and the sentence does not hide the others.
#[test]
fn a_guardrail_over_several_variants_is_as_bad_as_the_worst() {
    let names = ["control", "safe", "bad", "few"];
    let value = |variant, number: u32| {
        let spread = f64::from(number / 4 % 5);
        Some(10.0 + spread - if variant == 2 { 5.0 } else { 0.0 })
    };
    let mut given = Given::new(&names, 8000, vec![guardrail("0.05")], value);
    for number in (3..8000).step_by(4).skip(20) {
        given.members.members[number].variant = 0;
    }
    given.periods[0].variants =
        weighted(&[("control", 498), ("safe", 250), ("bad", 250), ("few", 2)]);
    let report = given.report();
    let verdict = &report.metrics[0].verdict;
    let codes = report.metrics[0]
        .comparisons
        .iter()
        .map(|comparison| comparison.verdict);
    let expected = [
        VerdictCode::Safe,
        VerdictCode::Harmed,
        VerdictCode::TooEarly,
    ];
    assert_eq!(codes.collect::<Vec<_>>(), expected);
    assert_eq!(
        (verdict.code, verdict.variant.as_deref()),
        (VerdictCode::Harmed, Some("bad"))
    );
    assert!(
        verdict
            .sentence
            .ends_with("and 5% is allowed; safe: safe; few: too early to say"),
        "{}",
        verdict.sentence
    );
}

fn period(from_secs: u64, counts: &[(&str, u32, u64)]) -> WeightPeriod {
    let variants: Vec<(&str, u32)> = counts
        .iter()
        .map(|(name, weight, _)| (*name, *weight))
        .collect();
    let counts = counts.iter().map(|(name, _, assigned)| VariantCount {
        variant: (*name).to_owned(),
        assigned: *assigned,
        overridden: 7,
    });
    WeightPeriod {
        period: 0,
        from_secs,
        variants: weighted(&variants),
        counts: counts.collect(),
    }
}

#[test]
fn the_sample_ratio_of_kept_counts_is_said_in_a_sentence() {
    let fair = period(START, &[("control", 1, 5050), ("treatment", 1, 4950)]);
    let found = sample_ratio_of_periods(std::slice::from_ref(&fair));
    assert!(!found.mismatch);
    assert_eq!(
        found.sentence(),
        "the sample ratio is as the weights say (p = 1)"
    );

    let lost = period(
        START + DAY,
        &[("control", 90, 9000), ("treatment", 10, 800)],
    );
    let found = sample_ratio_of_periods(&[fair.clone(), lost]);
    assert!(found.mismatch);
    assert_eq!(
        found.sentence(),
        "the sample ratio is broken (treatment got 8.2% where 10% was expected under the weights from 2026-11-02 \
         on, p < 0.001)"
    );
    // A weight of 0 has no actors; one that has some is broken, whatever the others are.
    let none = period(
        START,
        &[("control", 1, 500), ("treatment", 1, 500), ("off", 0, 0)],
    );
    let found = sample_ratio_of_periods(&[none]);
    assert_eq!((found.mismatch, found.tests[0].degrees), (false, Some(1)));
    let some = period(
        START,
        &[("control", 1, 500), ("treatment", 1, 500), ("off", 0, 1)],
    );
    let found = sample_ratio_of_periods(&[some]);
    assert_eq!(
        found.sentence(),
        "the sample ratio is broken (off got 0.1% where 0% was expected, p < 0.001)"
    );
    for nobody in [
        vec![],
        vec![period(START, &[("control", 0, 0)])],
        vec![period(START, &[])],
    ] {
        let found = sample_ratio_of_periods(&nobody);
        assert!(!found.mismatch);
        assert_eq!(
            found.sentence(),
            "there are no actors yet, so the sample ratio cannot be tested"
        );
    }
}

/// A column shows where actors were lost, even where all of them together look well.
#[test]
fn the_sample_ratio_is_tested_for_each_value_of_a_column() {
    let mut given = Given::new(&ARMS, 4000, vec![], |_, _| None);
    let browser = |number: u32| match number {
        0..1000 if number.is_multiple_of(2) || number % 10 == 1 => 1,
        3900.. => u32::MAX,
        _ => 0,
    };
    given.totals.by = Some(ByColumn {
        column: "browser".to_owned(),
        values: vec!["firefox".to_owned(), "lynx".to_owned()],
        of_actor: (0..4000).map(browser).collect(),
    });
    let found = given.report().sample_ratio;
    assert!(!found.mismatch);
    let by = found
        .by
        .iter()
        .map(|by| (&*by.value, by.mismatch))
        .collect::<Vec<_>>();
    assert_eq!(by, [("firefox", true), ("lynx", true)]);
    let lynx = serde_json::to_value(&found.by[1]).unwrap();
    assert_eq!(lynx["column"], "browser");
    assert_eq!(lynx["periods"][0]["variants"][0]["actors"], 500);
    assert_eq!(lynx["periods"][0]["variants"][1]["actors"], 100);
    given.totals.by = None;
    let found = serde_json::to_value(given.report().sample_ratio).unwrap();
    assert_eq!(
        found.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["mismatch", "tests"]
    );
}

#[test]
fn warnings_say_what_else_to_know() {
    let value = |variant, number| Some(around_ten(variant, number, 0.0));
    let mut given = Given::new(&ARMS, 2000, vec![primary(MetricKind::Quantile)], value);
    assert_eq!(given.warns(), []);

    for member in &mut given.members.members[..201] {
        member.exposed_at_secs = u64::MAX;
    }
    given.totals.milliseconds = true;
    let codes = [WarningCode::PopulationDiffers, WarningCode::Milliseconds];
    assert_eq!(given.warns(), codes);
    assert_eq!(
        given.report().warnings[0].message,
        "2,000 actors are assigned and 1,799 of them are exposed: who is never shown a variant dilutes its effect"
    );
    given.members.members[201].exposed_at_secs = START + 11 * DAY;
    assert_eq!(given.report().exposed_actors, 1798);

    given.totals.metrics[0].seen.fill(false);
    assert!(given.warns().contains(&WarningCode::NoOutcomes));

    let mut given = Given::new(&ARMS, 2000, vec![primary(MetricKind::Quantile)], value);
    given.periods.push(WeightPeriod {
        period: 1,
        ..given.periods[0].clone()
    });
    for member in &mut given.members.members[1000..] {
        member.period = 1;
    }
    assert_eq!(given.warns(), [WarningCode::QuantileOverPeriods]);
    given.says(
        VerdictCode::Undecided,
        &[Missing::OnePeriod],
        "no verdict: the weights have changed, and a quantile cannot be compared across a change of weights",
    );

    given.metrics[0] = primary(MetricKind::Mean);
    given.metrics[0].config.covariate = Some("before".to_owned());
    given.totals.metrics[0].covariates.fill(3.0);
    for member in &mut given.members.members[1002..] {
        member.period = 0;
    }
    assert_eq!(
        given.warns(),
        [WarningCode::PeriodLeftOut, WarningCode::CovariateUnused]
    );
    let report = given.report();
    let comparison = &report.metrics[0].comparisons[0];
    assert_eq!((comparison.actors, comparison.left_out_actors), (1998, 2));
    assert_eq!(
        report.warnings[0].message,
        "m: 2 actors of treatment and control are left out, as they came under weights under which the other has \
         fewer than 2"
    );
}

#[test]
fn what_is_odd_about_the_rows_is_warned_of() {
    let mut given = Given::new(&ARMS, 200, vec![primary(MetricKind::Mean)], |_, _| {
        Some(1.0)
    });
    given.totals.unknown_actors = 100;
    assert_eq!(given.warns(), []);
    given.totals = Totals {
        timed: false,
        in_future: 3,
        broken_rows: 2,
        broken: vec![BrokenRow {
            line: 7,
            problem: "'\u{1b}' is no number".to_owned(),
        }],
        blank_ids: 1,
        unknown_actors: 101,
        ..given.totals
    };
    let warnings = given.report().warnings;
    let said = warnings
        .iter()
        .map(|warning| (warning.code, &*warning.message));
    let expected = [
        (
            WarningCode::NoTimes,
            "the outcomes have no times, so that also those from before an actor's start count",
        ),
        (WarningCode::InFuture, "3 of 200 rows are from the future"),
        (
            WarningCode::BrokenRows,
            "2 of 200 rows could not be read; the first is line 7: '\\u{1b}' is no number",
        ),
        (
            WarningCode::BlankIds,
            "1 of 200 rows would be of known actors without the blanks around their ids",
        ),
        (
            WarningCode::UnknownActors,
            "101 of 200 rows are of actors in no variant: is the column of actors the right one?",
        ),
    ];
    assert_eq!(said.collect::<Vec<_>>(), expected);
}

/// No input makes a figure that is no number, or a sentence that says so.
#[test]
fn no_input_makes_a_figure_undefined_in_another_way_than_null() {
    let kinds = [
        MetricKind::Conversion,
        MetricKind::Mean,
        MetricKind::Ratio,
        MetricKind::Quantile,
    ];
    let roles = [
        MetricRole::Primary,
        MetricRole::Secondary,
        MetricRole::Guardrail,
    ];
    let metrics: Vec<AnalysedMetric> = kinds
        .into_iter()
        .flat_map(|kind| roles.map(|role| metric(kind, role)))
        .flat_map(|plain| {
            let mut full = plain.clone();
            full.config.covariate = Some("before".to_owned());
            full.config.cap = "50%".parse().ok();
            full.config.minimum_effect = "0.01".parse().ok();
            [plain, full]
        })
        .collect();
    let values: [fn(usize, u32) -> Option<f64>; 10] = [
        |_, _| None,
        |_, _| Some(0.0),
        |_, _| Some(1.0),
        |variant, _| (variant == 1).then_some(1.0),
        |variant, _| (variant == 0).then_some(1.0),
        |_, number| {
            Some(if number.is_multiple_of(3) {
                1e308
            } else {
                -1e308
            })
        },
        |variant, _| Some(if variant == 0 { 1e308 } else { 1e-308 }),
        |_, number| Some(f64::from(number) * 1e-320),
        |_, number| Some(-f64::from(number)),
        // What two values near the largest number add up to.
        |_, number| Some(if number == 7 { f64::INFINITY } else { 1.0 }),
    ];
    let mut reports = 0;
    for variants in [&["a"][..], &ARMS, &["control", "b", "c", "d"]] {
        for actors in [0, 1, 2, 3, 130] {
            for value in values {
                for (is_final, only_seen, population) in [
                    (true, false, Population::Exposed),
                    (false, false, Population::Assigned),
                    (false, true, Population::Assigned),
                ] {
                    let mut given = Given::new(variants, actors, metrics.clone(), value);
                    given.is_final = is_final;
                    given.only_seen = only_seen;
                    given.population = population;
                    let report = given.report();
                    let shown = format!("{report:?}");
                    let words = shown.split(|c: char| !c.is_alphanumeric());
                    for word in words {
                        assert!(
                            word != "NaN" && word != "inf",
                            "{actors} {variants:?}: {report:#?}"
                        );
                    }
                    let verdicts = report.metrics.iter().map(|metric| &metric.verdict);
                    assert!(
                        verdicts
                            .into_iter()
                            .all(|verdict| !verdict.sentence.is_empty())
                    );
                    reports += 1;
                }
            }
        }
    }
    assert_eq!(reports, 3 * 5 * 10 * 3);
}

/// Neither variants nor totals need to be there.
#[test]
fn an_empty_experiment_has_a_report() {
    let mut given = Given::new(&ARMS, 10, vec![primary(MetricKind::Mean)], |_, _| Some(1.0));
    given.totals.metrics.clear();
    assert_eq!(given.report().metrics[0].variants[0].total, Some(0.0));
    given.config.variants.clear();
    let report = given.report();
    assert_eq!((report.control, report.assigned_actors), (None, 0));
    assert_eq!(report.metrics, []);
    given.config.analysis.confidence = Finite::default();
    given.config.analysis.tuning_actors = 0;
    given.report();
}
