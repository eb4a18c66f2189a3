//! Outcomes, which belong to an actor and to no experiment.

use super::assert_refused;
use crate::error::ExperimentError;
use crate::number::Finite;
use crate::outcome::{Outcome, OutcomeScan, Tracked};
use crate::store::ExperimentStore;
use crate::validation::MAX_ACTOR_BYTES;

fn outcome(actor: &str, metric: &str, value: f64, id: Option<&str>) -> Outcome {
    Outcome {
        actor: actor.to_owned(),
        metric: metric.to_owned(),
        value: Finite::new(value).unwrap(),
        timestamp_secs: 1_790_000_000,
        id: id.map(str::to_owned),
    }
}

fn found(store: &dyn ExperimentStore, metrics: &[&str]) -> Vec<Outcome> {
    let mut all = Vec::new();
    let seen = store.scan_outcomes(&OutcomeScan { metrics }, &mut |outcome| {
        all.push(outcome.clone());
        Ok(())
    });
    seen.unwrap();
    all
}

/// Outcomes come back as they were given and in that order, of some metrics or of all.
pub fn outcomes_are_kept_as_they_are(store: &dyn ExperimentStore) {
    assert_eq!(found(store, &[]), []);
    let longest = "x".repeat(MAX_ACTOR_BYTES);
    let mut all = vec![
        outcome("user:2", "revenue", 19.99, None),
        outcome("user:1", "purchased", 1.0, Some("order 1")),
        outcome("line\nfeed", "it's \"50%\"", -3.0, Some("tab\there")),
        outcome("🦀", "Größe 日本", 0.0, Some("0")),
        outcome("user:2", "revenue", 19.99, None),
        outcome(&longest, "revenue", 1e308, Some(&longest)),
        outcome("a", "revenue", 5e-324, None),
        outcome("a", "revenue", 0.1 + 0.2, None),
        outcome("a", "revenue", 9_007_199_254_740_993.0, None),
    ];
    all[0].timestamp_secs = 0;
    all[1].timestamp_secs = 4_102_444_800;
    let (first, rest) = all.split_at(4);
    for part in [first, rest] {
        let tracked = store.track(part).unwrap();
        let recorded = part.len() as u64;
        assert_eq!((tracked.recorded, tracked.repeated), (recorded, 0));
    }
    assert_eq!(found(store, &[]), all);
    let of = |metrics: &[&str]| {
        let mut some = all.clone();
        some.retain(|outcome| metrics.contains(&&*outcome.metric));
        some
    };
    for metrics in [
        &["revenue"][..],
        &["it's \"50%\"", "purchased"],
        &["purchased", "unknown"],
        &["unknown"],
        &["Revenue"],
    ] {
        assert_eq!(found(store, metrics), of(metrics), "{metrics:?}");
    }
    assert_eq!(store.track(&[]).unwrap(), Tracked::default());
}

/// Of the outcomes of a metric with one id the first is kept, whoever's and whatever it is; those without an
/// id are all kept.
pub fn an_outcome_with_an_id_is_kept_once(store: &dyn ExperimentStore) {
    let first = [
        outcome("a", "revenue", 1.0, Some("1")),
        outcome("a", "revenue", 2.0, Some("1")),
        outcome("a", "refund", 3.0, Some("1")),
        outcome("a", "revenue", 1.0, None),
        outcome("a", "revenue", 1.0, None),
    ];
    let tracked = store.track(&first).unwrap();
    assert_eq!((tracked.recorded, tracked.repeated), (4, 1));
    let second = [
        outcome("b", "revenue", 4.0, Some("1")),
        outcome("b", "revenue", 5.0, Some("2")),
    ];
    let tracked = store.track(&second).unwrap();
    assert_eq!((tracked.recorded, tracked.repeated), (1, 1));
    let expected = [&first[0], &first[2], &first[3], &first[4], &second[1]];
    assert_eq!(found(store, &[]), expected.map(Clone::clone));
}

/// Of outcomes one of which can't be stored none is.
pub fn outcomes_are_kept_all_or_none(store: &dyn ExperimentStore) {
    let good = outcome("a", "revenue", 1.0, None);
    let too_long = "x".repeat(MAX_ACTOR_BYTES + 1);
    let refused = [
        outcome("", "revenue", 1.0, None),
        outcome("a", "", 1.0, None),
        outcome("a", " ", 1.0, None),
        outcome("nul\0", "revenue", 1.0, None),
        outcome("a", "line\nfeed", 1.0, None),
        outcome("a", "revenue", 1.0, Some(&too_long)),
        outcome("a", "revenue", 1.0, Some("")),
        outcome("a", "revenue", 1.0, Some(" \t")),
    ];
    for bad in refused {
        assert_refused!(
            store.track(&[good.clone(), bad.clone(), good.clone()]),
            ExperimentError::InvalidOutcome(_)
        );
    }
    assert_eq!(found(store, &[]), []);
}
