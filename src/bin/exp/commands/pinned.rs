//! What becomes of overrides when variants go, and when they come back.

use experiments::text::escape;
use experiments::{Override, VariantConfig};

use crate::environment;
use crate::exit::{positional, quote};

/// The variants of `list` that `other` does not have.
pub(super) fn without<'a>(
    list: &'a [VariantConfig],
    other: &'a [VariantConfig],
) -> impl Iterator<Item = &'a VariantConfig> {
    let is_in_other = |variant: &VariantConfig| other.iter().any(|o| o.name == variant.name);
    list.iter().filter(move |variant| !is_in_other(variant))
}

/// What there is to say of the overrides of variants that go or come back.
pub(super) fn warnings(
    experiment: &str,
    before: &[VariantConfig],
    after: &[VariantConfig],
    overrides: &[Override],
) -> anyhow::Result<Vec<String>> {
    let now = environment::clock()?.now_secs();
    let in_force = overrides.iter().filter(|set| !set.has_expired(now));
    let in_force: Vec<&Override> = in_force.collect();
    let removed = without(before, after).map(|variant| (variant, "removed", " as none"));
    let added = without(after, before).map(|variant| (variant, "added", " again"));
    let warnings = removed.chain(added).filter_map(|(variant, what, how)| {
        let of_it = in_force.iter().filter(|set| set.variant == variant.name);
        let (count, count_as) = match of_it.count() {
            0 => return None,
            1 => ("1 override".to_owned(), "counts"),
            several => (format!("{several} overrides"), "count"),
        };
        Some(format!(
            "{count} of the {what} variant {} of {} {count_as}{how}; exp override --list {} shows which",
            escape(&quote(&variant.name)),
            escape(experiment),
            positional(experiment),
        ))
    });
    Ok(warnings.collect())
}
