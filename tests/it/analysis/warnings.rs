//! What is warned of.

use experiments::WeightPeriod;
use experiments::metric::MetricKind;
use experiments::results::{BrokenRow, Missing, Totals, VerdictCode, WarningCode};

use super::{ARMS, DAY, Given, START, around_ten, primary};

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
        "2,000 actors are assigned and 1,799 of them are exposed; actors who are never shown a variant dilute its effect"
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
        "m: 2 actors of treatment and control are left out: in their period of weights one of the two variants has fewer \
         than 2"
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
            "the outcomes have no times, so those from before an actor's start count as well",
        ),
        (WarningCode::InFuture, "times in the future: 3 of 200 rows"),
        (
            WarningCode::BrokenRows,
            "2 of 200 rows could not be read; the first is line 7: '\\u{1b}' is no number",
        ),
        (
            WarningCode::BlankIds,
            "blanks around the id of a known actor: 1 of 200 rows",
        ),
        (
            WarningCode::UnknownActors,
            "actors in no variant: 101 of 200 rows; is the column of actors the right one?",
        ),
    ];
    assert_eq!(said.collect::<Vec<_>>(), expected);
}
