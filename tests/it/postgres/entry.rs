//! What it costs to ask who enters: round trips.

use experiments::lifecycle::Mutation;
use experiments::{
    AssignRequest, AssignmentReason, Clock, Coverage, ExperimentError, ExperimentStore,
    PgExperimentStore,
};
use macro_rules_attribute::apply;

use crate::givens::{record, request, running, store};
use crate::proxy::Proxy;
use crate::server::{self, options};

/// Once the experiment was seen, whoever is in and whoever may not enter is answered in one, shown or not.
#[apply(needs_postgres!)]
fn who_is_in_and_who_is_kept_out_costs_one_round_trip() {
    let url = server::shared().database();
    let ours = store(&url);
    let smallest = Coverage::of_10000(1).unwrap();
    ours.insert(running("closed").enrolling(false)).unwrap();
    ours.insert(running("small").coverage(smallest)).unwrap();
    let proxy = Proxy::new(server::shared());
    for (name, refusal) in [
        ("closed", AssignmentReason::Closed),
        ("small", AssignmentReason::NotCovered),
    ] {
        record(&ours, name, "user:1", "b", false).unwrap();
        let store = PgExperimentStore::open(options(&proxy.url(&url)).pool_size(1)).unwrap();
        for keep_exposure in [true, false] {
            let ask = |actor| {
                let request = AssignRequest {
                    keep_exposure,
                    ..request(name, actor)
                };
                store.assign(&request)
            };
            for _ in 0..3 {
                ask("user:1").unwrap();
            }
            let (round_trips, assigned) = proxy.count(|| ask("user:1"));
            assert_eq!((round_trips, &*assigned.unwrap().variant), (1, "b"));
            let (round_trips, refused) = proxy.count(|| ask("user:2"));
            assert_eq!(round_trips, 1, "{name}");
            assert!(
                matches!(&refused, Err(ExperimentError::NotEnrolled { reason, .. }) if *reason == refusal),
                "{refused:?}"
            );
        }
    }
}

/// What an override has left that has expired is looked at and replaced in two, and then it is an assignment as any.
#[apply(needs_postgres!)]
fn what_has_expired_is_replaced_in_two_round_trips() {
    let url = server::shared().database();
    let before = store(&url).with_clock(Clock::Fixed(0));
    before.insert(running("e")).unwrap();
    let proxy = Proxy::new(server::shared());
    let store = PgExperimentStore::open(options(&proxy.url(&url)).pool_size(1)).unwrap();
    for n in 0..3 {
        store.assign(&request("e", &format!("user:{n}"))).unwrap();
    }
    for expires_at_secs in [Some(1), None] {
        let pin = Mutation::SetOverride {
            experiment: "e",
            actor: "qa",
            variant: "b",
            expires_at_secs,
            reason: None,
        };
        before.mutate(&pin, None).unwrap();
        before.assign(&request("e", "qa")).unwrap();
        let reasons = match expires_at_secs {
            Some(_) => [
                (2, AssignmentReason::Assigned),
                (1, AssignmentReason::Sticky),
            ],
            None => [
                (1, AssignmentReason::Override),
                (1, AssignmentReason::Override),
            ],
        };
        for expected in reasons {
            let (round_trips, assigned) =
                proxy.count(|| store.assign(&request("e", "qa")).unwrap());
            assert_eq!((round_trips, assigned.reason), expected);
        }
    }
    assert_eq!(before.check().unwrap(), []);
}
