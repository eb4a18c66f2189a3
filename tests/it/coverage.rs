//! Who is covered has nothing to do with who gets which variant, nor with whom another experiment covers.
//!
//! Over some ten thousand ids of each kind, where chance makes a phi of 0.005. With `EXP_TEST_ROUNDS` set it is a
//! million, and the bound is 0.01.

use experiments::bucketing::coverage_bucket;
use experiments::{Allocation, Bucketing, Coverage, IdShape};

use crate::sandbox::rounds;

/// Of the first two the plain hash gives buckets that are shifted copies of each other over UUIDs.
const NAMES: [&str; 4] = ["checkout_v2", "email_cta", "onboarding_v3", "banner"];

/// How many ids, and the largest phi that is none.
fn sample() -> (u64, f64) {
    let is_long = rounds(0) > 0;
    if is_long {
        (1_000_000, 0.01)
    } else {
        // Six times what chance makes.
        (40_000, 0.03)
    }
}

/// Phi of two yes-or-no questions about the same ids.
fn phi(first: &[bool], second: &[bool]) -> f64 {
    let mut table = [[0_f64; 2]; 2];
    for (&first, &second) in first.iter().zip(second) {
        table[usize::from(first)][usize::from(second)] += 1.0;
    }
    let [[none, only_second], [only_first, both]] = table;
    let sizes =
        (none + only_second) * (only_first + both) * (none + only_first) * (only_second + both);
    (none * both - only_first * only_second) / sizes.sqrt()
}

#[test]
fn coverage_is_independent() {
    let (count, bound) = sample();
    for shape in IdShape::ALL {
        let ids: Vec<String> = shape.ids(count).collect();
        let is_so = |question: &dyn Fn(&str) -> bool| -> Vec<bool> {
            ids.iter().map(|id| question(id)).collect()
        };
        let covered: Vec<_> = NAMES
            .iter()
            .map(|name| [2_500, 5_000].map(|share| is_so(&|id| coverage_bucket(name, id) < share)))
            .collect();
        let assert_none = |told: &str, first: &[bool], second: &[bool]| {
            let phi = phi(first, second);
            assert!(phi.abs() < bound, "{shape}: {told}: {phi}");
        };
        for (name, [quarter, half]) in NAMES.iter().zip(&covered) {
            for bucketing in Bucketing::ALL {
                let allocation = Allocation::new(bucketing, name, [1, 1].into_iter());
                let first = is_so(&|id| allocation.variant(id) == Some(0));
                for (other, covered) in NAMES.iter().zip(&covered) {
                    let told = format!("{bucketing} variant of {name}, coverage of {other}");
                    assert_none(&told, &first, &covered[0]);
                    assert_none(&told, &first, &covered[1]);
                }
            }
            for (other, covered) in NAMES.iter().zip(&covered) {
                if name < other {
                    let told = format!("coverages of {name} and {other}");
                    assert_none(&told, half, &covered[1]);
                    assert_none(&told, quarter, &covered[0]);
                }
            }
        }
    }
}

/// A greater coverage takes in whom a smaller one does, and as many as it says.
#[test]
fn a_greater_coverage_only_adds() {
    let allocation = Allocation::new(Bucketing::Fnv1a, "e", [1, 1].into_iter());
    let ids: Vec<String> = IdShape::User.ids(10_000).collect();
    let mut before = vec![false; ids.len()];
    for share in [1, 100, 2_500, 5_000, 9_999, 10_000] {
        let coverage = Coverage::of_10000(share).unwrap();
        let allocation = allocation.clone().with_coverage("e", coverage);
        let covered: Vec<_> = ids.iter().map(|id| allocation.covers(id)).collect();
        let mut both = before.iter().zip(&covered);
        assert!(both.all(|(before, now)| *now || !before), "{share}");
        let number = covered.iter().filter(|covers| **covers).count();
        // Five standard errors of a half.
        let difference = number.abs_diff(usize::try_from(share).unwrap());
        assert!(difference < 250, "{share}: {number}");
        before = covered;
    }
}
