//! What becomes of overrides when variants go: they count as none.

use experiments::text::escape;
use experiments::{Override, VariantConfig};

use crate::exit::{positional, quote};

/// The variants of `list` that `other` does not have.
pub(super) fn without<'a>(
    list: &'a [VariantConfig],
    other: &'a [VariantConfig],
) -> impl Iterator<Item = &'a VariantConfig> {
    let is_in_other = |variant: &VariantConfig| other.iter().any(|o| o.name == variant.name);
    list.iter().filter(move |variant| !is_in_other(variant))
}

/// What there is to say of the overrides of variants that go.
pub(super) fn warnings(
    experiment: &str,
    before: &[VariantConfig],
    after: &[VariantConfig],
    overrides: &[Override],
) -> Vec<String> {
    let mut warnings = Vec::new();
    for variant in without(before, after) {
        let is_of_it = |set: &&Override| set.variant == variant.name;
        let (count, count_as) = match overrides.iter().filter(is_of_it).count() {
            0 => continue,
            1 => ("1 override".to_owned(), "counts"),
            several => (format!("{several} overrides"), "count"),
        };
        warnings.push(format!(
            "{count} of the removed variant {} of {} {count_as} as none; exp override {} --list shows which",
            escape(&quote(&variant.name)),
            escape(experiment),
            positional(experiment),
        ));
    }
    warnings
}
