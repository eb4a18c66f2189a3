//! Whether the variants have the actors that their weights promise, in a sentence and by column.

use experiments::results::{ByColumn, sample_ratio_of_periods};
use experiments::{VariantCount, WeightPeriod};

use super::{ARMS, DAY, Given, START, weighted};

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
        "the sample ratio matches the weights (p = 1)"
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
