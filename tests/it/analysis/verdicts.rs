//! Which verdict follows, and in which words.

use experiments::ExperimentState;
use experiments::metric::{Better, MetricKind};
use experiments::results::{Exclusion, Missing, VerdictCode, WarningCode};

use super::{ARMS, DAY, Given, START, around_ten, converts, guardrail, primary, weighted};

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
        "exploratory (not declared before the start), so no winner: treatment differs by -10% \
         (between -11.1% and -8.9%) from control, p < 0.001",
    );
}

#[test]
fn what_is_missing_is_said_and_when_it_will_be_there() {
    let small = |variant, number| Some(around_ten(variant, number, 0.01));
    let mut given = Given::new(&ARMS, 4000, vec![primary(MetricKind::Mean)], small);
    given.says(
        VerdictCode::Undecided,
        &[Missing::Actors],
        "no verdict yet: treatment differs by +0.1% (between -1.3% and +1.5%) from control, p = 1; with these 4,000 \
         actors a difference of about 1.7% would probably show",
    );
    given.metrics[0].config.minimum_effect = Some("0.01".parse().unwrap());
    given.says(
        VerdictCode::Undecided,
        &[Missing::Actors],
        "no verdict yet: treatment differs by +0.1% (between -1.3% and +1.5%) from control, p = 1; a difference of 1% \
         would show with about 12,300 actors (4,000 so far)",
    );
    given.metrics[0].config.minimum_effect = Some("0.05".parse().unwrap());
    given.says(
        VerdictCode::Undecided,
        &[Missing::Actors],
        "no verdict yet: treatment differs by +0.1% (between -1.3% and +1.5%) from control, p = 1; a difference of 5% \
         would probably have shown with these 4,000 actors",
    );
    given.metrics[0].config.window = None;
    given.says(
        VerdictCode::Undecided,
        &[Missing::Window],
        "no verdict yet: without a window, actors who came late have had less time; give the metric a window, or pass \
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
        sentence.ends_with("actors (12,961 so far), on 2026-12-09 at the present rate"),
        "{sentence}"
    );
    given.metrics[0].config.minimum_effect = Some("0.00001".parse().unwrap());
    let sentence = given.report().metrics[0].verdict.sentence.clone();
    assert!(
        sentence.ends_with("in more than 5 years at the present rate"),
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
        "too early to say: 25 of 50 actors in treatment and 25 of 50 actors in control; there will be enough \
         on 2026-11-27 at the present rate",
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
        "no verdict: 1.1% of the actors were exposed to two variants (at most 1% is accepted); find out why before \
         looking at any metric",
    );
    assert!(given.warns().contains(&WarningCode::MixedActors));

    given.periods[0].variants = weighted(&[("control", 45), ("treatment", 55)]);
    given.says(
        VerdictCode::Blocked,
        &[Missing::SampleRatio, Missing::UnmixedActors, Missing::UnseenActors],
        "no verdict: the sample ratio is broken (control got 50% where 45% was expected, p < 0.001); find out why \
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
        "the guardrail is broken: treatment is at least 9% worse than control, but at most 2% is allowed",
    );
    let mut given = Given::new(&ARMS, 6000, vec![guardrail("0.02")], value(0.0));
    given.says(
        VerdictCode::Safe,
        &[],
        "the guardrail is safe: treatment is at most 1% worse than control, and up to 2% worse is allowed",
    );
    given.metrics[0] = guardrail("0.01");
    given.says(
        VerdictCode::Undecided,
        &[Missing::Actors],
        "the guardrail is undecided: treatment may be up to 1.01% worse than control, but only 1% is allowed; more actors are \
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
        "the guardrail is safe: treatment is at least 8.9% better than control, and up to 2% worse is allowed",
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
            .ends_with("but at most 5% is allowed; safe: safe; few: too early to say"),
        "{}",
        verdict.sentence
    );
}
