//! Looking something up in memory allocates nothing but what it returns.

use experiments::{
    Allocation, AssignRequest, Bucketing, ExperimentConfig, ExperimentState, ExperimentStore as _,
    InMemoryExperimentStore, VariantConfig,
};

fn allocations(work: impl FnOnce()) -> u64 {
    allocation_counter::measure(work).count_total
}

#[test]
fn lookups_allocate_only_their_answer() {
    let store = InMemoryExperimentStore::new();
    for n in 0..100 {
        let variants = vec![VariantConfig::new("a", 1), VariantConfig::new("b", 1)];
        let mut config = ExperimentConfig::new(format!("e{n}"), variants).exclusion_group("g");
        config.state = ExperimentState::Running;
        store.insert(config.clone()).unwrap();
    }
    let request = AssignRequest::new("e7", "user:1");
    store.assign(&request).unwrap();

    let in_group = allocations(|| {
        assert!(store.has_assignment_in_group("user:1", "g", "e8").unwrap());
    });
    assert_eq!(in_group, 0);
    let absent = allocations(|| {
        assert!(store.get_assignment("e8", "user:1").unwrap().is_none());
        assert!(store.get_override("e7", "user:1").unwrap().is_none());
        assert!(store.get("unknown").unwrap().is_none());
    });
    assert_eq!(absent, 0);
    let sticky = allocations(|| {
        store.assign(&request).unwrap();
    });
    assert_eq!(sticky, 1, "the variant's name that is returned");
}

#[test]
fn bucketing_allocates_nothing() {
    let allocation = Allocation::new(Bucketing::Fnv1a, "checkout_v2", [50, 50].into_iter());
    let bucketing = allocations(|| {
        assert_eq!(allocation.variant("user:1"), Some(0));
        assert_eq!(
            experiments::experiment_bucket("checkout_v2", "user:2"),
            6619
        );
    });
    assert_eq!(bucketing, 0);
}
