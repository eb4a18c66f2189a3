//! Random commands over few names, so that they meet.

use proptest::collection::{btree_map, vec};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

use crate::model::{Command, Draft, Entry, Values};

pub(super) const NAMES: [&str; 3] = ["checkout_v2", "banner", "a b"];
pub(super) const ACTORS: [&str; 4] = ["user:1", "user:2", "user:3", "ü"];
pub(super) const VARIANTS: [&str; 3] = ["control", "treatment", "x=y"];
pub(super) const GROUPS: [&str; 2] = ["g", "h"];
const METRICS: [&str; 2] = ["purchased", "revenue"];
const SALTS: [&str; 2] = ["2026", "banner"];
const REASONS: [&str; 2] = ["demo", "bug 7"];
/// As JSON; a number beside a string is refused.
const VALUES: [&str; 4] = ["1", "2.5", "3", "\"1\""];
/// Of 10000; most of the few actors are on another side of each.
const COVERAGES: [u64; 4] = [1, 2_500, 5_000, 7_500];

pub(super) fn one_of(names: &'static [&'static str]) -> impl Strategy<Value = String> + Clone {
    select(names).prop_map(str::to_owned)
}

fn name() -> impl Strategy<Value = String> + Clone {
    one_of(&NAMES)
}

fn actor() -> impl Strategy<Value = String> + Clone {
    one_of(&ACTORS)
}

fn variant() -> impl Strategy<Value = String> + Clone {
    one_of(&VARIANTS)
}

fn weights() -> impl Strategy<Value = Vec<(String, u32)>> + Clone {
    vec((variant(), prop_oneof![Just(0), 1..4_u32]), 1..4)
}

fn coverage() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![2 => Just(10_000), 1 => select(&COVERAGES[..])]
}

fn entry() -> impl Strategy<Value = Entry> + Clone {
    let salt = proptest::option::weighted(0.2, one_of(&SALTS));
    let enrolling = proptest::bool::weighted(0.9);
    (salt, coverage(), enrolling).prop_map(|(salt, coverage, enrolling)| Entry {
        salt,
        coverage,
        enrolling,
    })
}

fn draft() -> impl Strategy<Value = Draft> + Clone {
    let group = proptest::option::weighted(0.8, one_of(&GROUPS));
    let values = prop_oneof![
        3 => Just(Vec::new()),
        1 => vec(one_of(&VALUES), 3),
    ];
    (weights(), group, entry(), values).prop_map(|(variants, group, entry, values)| {
        let names = variants.iter().map(|(name, _)| name.clone());
        Draft {
            values: names.zip(values).collect(),
            variants,
            group,
            entry,
        }
    })
}

fn values() -> impl Strategy<Value = Values> {
    btree_map(variant(), one_of(&VALUES), 0..4)
}

/// What the command line can do.
pub(super) fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        4 => (name(), draft(), any::<bool>()).prop_map(|(name, draft, start)| {
            Command::Create { name, draft, start }
        }),
        3 => name().prop_map(Command::Start),
        2 => name().prop_map(Command::Pause),
        1 => (name(), variant()).prop_map(|(name, winner)| Command::Conclude(name, winner)),
        1 => name().prop_map(Command::Archive),
        2 => name().prop_map(Command::Delete),
        2 => (name(), name()).prop_map(|(name, to)| Command::Rename(name, to)),
        3 => (name(), weights()).prop_map(|(name, list)| Command::SetWeights(name, list)),
        2 => (name(), coverage()).prop_map(|(name, share)| Command::SetCoverage(name, share)),
        2 => (name(), any::<bool>()).prop_map(|(name, enrolling)| {
            Command::SetEnrolling(name, enrolling)
        }),
        6 => set_override(),
        3 => (0..3_u64).prop_map(Command::Wait),
        2 => (name(), actor()).prop_map(|(name, actor)| Command::Preview(name, actor)),
        2 => (name(), actor()).prop_map(|(name, actor)| Command::ClearOverride(name, actor)),
        2 => (name(), vec(actor(), 1..4)).prop_map(|(name, actors)| {
            Command::Unassign(name, actors)
        }),
        14 => (name(), actor()).prop_map(|(name, actor)| Command::Assign(name, actor)),
    ]
}

fn outcome() -> impl Strategy<Value = (String, String, u32, Option<String>)> {
    let id = proptest::option::of(one_of(&["1", "2"]));
    (actor(), one_of(&METRICS), 0..3_u32, id)
}

fn set_override() -> impl Strategy<Value = Command> {
    let lasts = proptest::option::of(0..4_u64);
    let reason = proptest::option::weighted(0.3, one_of(&REASONS));
    // Few, so that the same is asked for again.
    (name(), one_of(&ACTORS[..2]), variant(), lasts, reason).prop_map(
        |(name, actor, variant, lasts, reason)| Command::SetOverride {
            name,
            actor,
            variant,
            lasts,
            reason,
        },
    )
}

/// The same, and what the library can do as well.
pub(super) fn command_of_the_library() -> impl Strategy<Value = Command> {
    prop_oneof![
        20 => command(),
        2 => (name(), draft()).prop_map(|(name, draft)| Command::Replace(name, draft)),
        2 => (name(), values()).prop_map(|(name, values)| Command::SetValues(name, values)),
        2 => (name(), actor()).prop_map(|(name, actor)| Command::AssignUnseen(name, actor)),
        2 => (name(), actor()).prop_map(|(name, actor)| Command::Foresee(name, actor)),
        2 => (name(), vec(actor(), 1..4)).prop_map(|(name, actors)| {
            Command::AssignMany(name, actors)
        }),
        2 => (name(), actor(), variant(), any::<bool>()).prop_map(|(n, a, v, is)| {
            Command::Record(n, a, v, is)
        }),
        1 => vec(outcome(), 0..4).prop_map(Command::Track),
        1 => name().prop_map(Command::Prune),
    ]
}

/// The same, and what an application beside it can do.
pub(super) fn command_beside_an_application() -> impl Strategy<Value = Command> {
    prop_oneof![
        25 => command_of_the_library(),
        1 => name().prop_map(Command::Reset),
        1 => name().prop_map(Command::Restart),
        1 => (name(), actor()).prop_map(|(n, a)| Command::RemoveOverride(n, a)),
    ]
}

/// Three running experiments, two of them of one group and one of another, so that what is stored of an
/// actor matters from the start.
pub(super) fn busy() -> Vec<Command> {
    let create = |(name, group): (&&str, &str)| Command::Create {
        name: (*name).to_owned(),
        draft: Draft {
            variants: VARIANTS[..2].iter().map(|v| ((*v).to_owned(), 1)).collect(),
            group: Some(group.to_owned()),
            ..Draft::default()
        },
        start: true,
    };
    let met = |name: &str| Command::Assign(name.to_owned(), format!("met in {name}"));
    NAMES
        .iter()
        .zip([GROUPS[0], GROUPS[0], GROUPS[1]])
        .flat_map(|named| [create(named), met(named.0)])
        .collect()
}
