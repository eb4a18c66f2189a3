//! The library without a process around it.

use std::collections::HashMap;
use std::hint::black_box;
use std::process::Command;
use std::sync::RwLock;
use std::time::Duration;

use experiments::{
    Allocation, AssignManyRequest, AssignRequest, Assignment, Bucketing, Clock, Coverage,
    ExperimentConfig, ExperimentService, ExperimentState, ExperimentStore, ExposureRecord,
    ExposureSink, InMemoryExperimentStore, Keep, NoOpExposureSink, SqliteExperimentStore,
    VariantConfig,
};

use crate::measure::{Report, Target, time};

const MILLION: usize = 1_000_000;

pub(crate) fn run(report: &Report, long: bool) {
    bucketing(report, &actors());
    memory(report);
    coverage(report);
    growth(report, long);
}

fn actors() -> Vec<String> {
    (0..MILLION).map(|n| format!("user:{n}")).collect()
}

fn variants() -> Vec<VariantConfig> {
    vec![
        VariantConfig::new("control", 50),
        VariantConfig::new("treatment", 50),
    ]
}

fn running(name: &str) -> ExperimentConfig {
    ExperimentConfig {
        state: ExperimentState::Running,
        ..ExperimentConfig::new(name, variants())
    }
}

/// The reference's algorithm: the key is formatted, hashed, and its variant searched for.
fn formatted_variant<'a>(
    experiment: &str,
    actor: &str,
    variants: &'a [VariantConfig],
) -> Option<&'a str> {
    let key = format!("{experiment}:{actor}");
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in key.bytes() {
        hash ^= u64::from(byte);
        hash = hash.wrapping_mul(0x0000_0100_0000_01b3);
    }
    let total: u64 = variants
        .iter()
        .map(|variant| u64::from(variant.weight))
        .sum();
    let threshold = (hash % 10_000) * total / 10_000;
    let mut sum = 0;
    for variant in variants {
        sum += u64::from(variant.weight);
        if sum > threshold {
            return Some(&variant.name);
        }
    }
    None
}

fn bucketing(report: &Report, actors: &[String]) {
    let variants = variants();
    let weights = variants.iter().map(|variant| variant.weight);
    let allocation = Allocation::new(Bucketing::Fnv1a, "checkout_v2", weights);
    let per_actor = |total: Duration| total / u32::try_from(actors.len()).unwrap();
    report.speeds(
        "bucketing",
        9,
        Target::AtLeast(10.0),
        || {
            per_actor(time(|| {
                for actor in actors {
                    black_box(allocation.variant(black_box(actor)));
                }
            }))
        },
        || {
            per_actor(time(|| {
                for actor in actors {
                    black_box(formatted_variant(
                        "checkout_v2",
                        black_box(actor),
                        &variants,
                    ));
                }
            }))
        },
    );
}

/// The reference's service on its memory store, as far as assigning goes: one lock around maps with
/// owned keys, and copies of what is found.
#[derive(Default)]
struct Reference {
    state: RwLock<ReferenceState>,
}

#[derive(Default)]
struct ReferenceState {
    experiments: HashMap<String, ExperimentConfig>,
    overrides: HashMap<(String, String), String>,
    assignments: HashMap<(String, String), Assignment>,
}

impl Reference {
    fn experiment(&self, name: &str) -> Option<ExperimentConfig> {
        self.state.read().unwrap().experiments.get(name).cloned()
    }

    fn pinned(&self, experiment: &str, actor: &str) -> Option<String> {
        let key = (experiment.to_owned(), actor.to_owned());
        self.state.read().unwrap().overrides.get(&key).cloned()
    }

    fn stored(&self, experiment: &str, actor: &str) -> Option<Assignment> {
        let key = (experiment.to_owned(), actor.to_owned());
        self.state.read().unwrap().assignments.get(&key).cloned()
    }

    fn record(&self, assignment: Assignment) -> String {
        let mut state = self.state.write().unwrap();
        let variant = assignment.variant.clone();
        let key = (assignment.experiment.clone(), assignment.actor.clone());
        state.assignments.insert(key, assignment);
        variant
    }

    fn assign(&self, experiment: &str, actor: &str, sink: &dyn ExposureSink) -> Option<String> {
        let config = self.experiment(experiment)?;
        assert_eq!(config.state, ExperimentState::Running);
        let variant = if let Some(pinned) = self.pinned(experiment, actor) {
            pinned
        } else if let Some(stored) = self.stored(experiment, actor) {
            stored.variant
        } else {
            let variant = formatted_variant(experiment, actor, &config.variants)?;
            self.record(Assignment {
                experiment: experiment.to_owned(),
                actor: actor.to_owned(),
                variant: variant.to_owned(),
                is_override: false,
                assigned_at_secs: Clock::System.now_secs(),
            })
        };
        sink.record(ExposureRecord {
            experiment: experiment.to_owned(),
            variant: variant.clone(),
            actor: actor.to_owned(),
            request_id: None,
            is_override: false,
            timestamp_secs: Clock::System.now_secs(),
        });
        Some(variant)
    }
}

/// The memory store and the reference's. Each round is a process of its own, as whoever comes second
/// in a process pays for the heap that the first one left in pieces.
fn memory(report: &Report) {
    for (what, target) in [("first assignments", 5.0), ("repeats", 2.0)] {
        report.speeds(
            &format!("memory: 1 million {what}"),
            9,
            Target::AtLeast(target),
            || in_a_process("ours", what),
            || in_a_process("reference", what),
        );
    }
}

/// What a coverage adds. Both sides are ours; all but a hundred of the million enter.
fn coverage(report: &Report) {
    for what in ["first assignments", "repeats"] {
        report.times(
            &format!("coverage: 1 million {what}"),
            9,
            Target::AtMost(1.2),
            || in_a_process("covered", what),
            || in_a_process("ours", what),
        );
    }
}

fn in_a_process(side: &str, what: &str) -> Duration {
    let mut round = Command::new(std::env::current_exe().unwrap());
    let output = round.args([MEMORY_ROUND, side, what]).output().unwrap();
    let nanos = String::from_utf8(output.stdout).unwrap();
    Duration::from_nanos(nanos.trim().parse().unwrap())
}

/// What a process is started with that is one round of `memory`.
pub(crate) const MEMORY_ROUND: &str = "--memory-round";

/// Prints how many nanoseconds a million assignments take.
pub(crate) fn memory_round(side: &str, what: &str) {
    let actors = actors();
    let taken = if ["ours", "covered"].contains(&side) {
        let store = InMemoryExperimentStore::new();
        let parts = if side == "covered" { 9_999 } else { 10_000 };
        let coverage = Coverage::of_10000(parts).unwrap();
        store
            .insert(running("checkout_v2").coverage(coverage))
            .unwrap();
        let service = ExperimentService::new(store).with_exposure_sink(NoOpExposureSink);
        assign_all(&actors, what, |actor| {
            let _ = black_box(service.assign("checkout_v2", actor));
        })
    } else {
        let store = Reference::default();
        let config = running("checkout_v2");
        let mut state = store.state.write().unwrap();
        state.experiments.insert(config.name.clone(), config);
        drop(state);
        assign_all(&actors, what, |actor| {
            black_box(store.assign("checkout_v2", actor, &NoOpExposureSink));
        })
    };
    println!("{}", taken.as_nanos());
}

fn assign_all(actors: &[String], what: &str, assign: impl Fn(&str)) -> Duration {
    let all = || actors.iter().for_each(|actor| assign(actor));
    if what == "repeats" {
        all();
    }
    time(all)
}

/// What a first assignment costs when there is more of something.
fn growth(report: &Report, long: bool) {
    const CALLS: usize = 2_000;
    let first_assignments = |store: &dyn ExperimentStore, round: usize| {
        let actors: Vec<String> = (0..CALLS).map(|n| format!("new:{round}:{n}")).collect();
        time(|| {
            for actor in &actors {
                let request = AssignRequest::new("e0", actor);
                black_box(store.assign(&request).unwrap());
            }
        })
    };
    let fill = |store: &dyn ExperimentStore, siblings: usize| {
        for n in 0..siblings {
            let config = running(&format!("e{n}")).exclusion_group("g");
            store.insert(config.clone()).unwrap();
        }
    };
    let compare =
        |figure: &str, target, large: &dyn ExperimentStore, small: &dyn ExperimentStore| {
            let (mut large_round, mut small_round) = (0, 0);
            report.times(
                figure,
                9,
                target,
                || {
                    large_round += 1;
                    first_assignments(large, large_round)
                },
                || {
                    small_round += 1;
                    first_assignments(small, small_round)
                },
            );
        };
    let directory = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let in_file =
        |name: &str| SqliteExperimentStore::open_or_create(directory.path().join(name)).unwrap();

    if report.wants("growth: group of 256 to group of 1, memory") {
        let (large, small) = (
            InMemoryExperimentStore::new(),
            InMemoryExperimentStore::new(),
        );
        fill(&large, 256);
        fill(&small, 1);
        let figure = "growth: group of 256 to group of 1, memory";
        compare(figure, Target::AtMost(1.5), &large, &small);
    }
    if report.wants("growth: group of 256 to group of 1, SQLite") {
        let (large, small) = (in_file("large"), in_file("small"));
        fill(&large, 256);
        fill(&small, 1);
        let figure = "growth: group of 256 to group of 1, SQLite";
        compare(figure, Target::AtMost(1.5), &large, &small);
    }
    let figure = "growth: 10 million stored to 10 thousand";
    if long && report.wants(figure) {
        let (large, small) = (in_file("ten million"), in_file("ten thousand"));
        for (store, millions, each) in [(&large, 10, MILLION), (&small, 1, MILLION / 100)] {
            store.insert(running("e0")).unwrap();
            for million in 0..millions {
                let actors: Vec<String> = (0..each).map(|n| format!("{million}:{n}")).collect();
                let actors: Vec<&str> = actors.iter().map(|actor| &**actor).collect();
                let request = AssignManyRequest {
                    experiment: "e0",
                    actors: &actors,
                    keep: Keep::Assignments,
                };
                store.assign_many(&request).unwrap();
            }
        }
        compare(figure, Target::AtMost(2.0), &large, &small);
    }
    if report.wants("growth: 1,000 experiments to 1, memory") {
        let (large, small) = (
            InMemoryExperimentStore::new(),
            InMemoryExperimentStore::new(),
        );
        for n in 0..1_000 {
            large.insert(running(&format!("e{n}"))).unwrap();
        }
        small.insert(running("e0")).unwrap();
        let figure = "growth: 1,000 experiments to 1, memory";
        compare(figure, Target::AtMost(1.5), &large, &small);
    }
}
