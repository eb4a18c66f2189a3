//! Names that are easily confused: of experiments, of groups, and of the variants of one experiment.

use std::collections::{HashMap, HashSet};

use unicode_normalization::UnicodeNormalization as _;

use super::declaration::Declaration;
use super::finding::{Finding, Findings, Lint, SourceSpan};
use crate::experiment::ExperimentConfig;
use crate::field::ConfigField;
use crate::text::{Quoted, is_invisible};

/// Warns of names that differ only in what is easily overlooked. `others` are those of the store that no file declares.
pub(super) fn check_similar(
    declarations: &[Declaration],
    others: &[&ExperimentConfig],
    findings: &mut Findings,
) {
    let names = declarations.iter();
    let names = names.map(|d| (&*d.config.name, d.name_place()));
    let stored = others.iter().map(|other| &*other.name);
    warn("", names, stored, findings);

    let groups = declarations.iter().filter_map(|declaration| {
        let group = declaration.config.exclusion_group.as_deref()?;
        Some((group, declaration.field_place(ConfigField::ExclusionGroup)))
    });
    let stored = others.iter();
    let stored = stored.filter_map(|other| other.exclusion_group.as_deref());
    warn("groups ", groups, stored, findings);

    for declaration in declarations {
        let variants = declaration.config.variants.iter().enumerate();
        let variants = variants.map(|(place, v)| (&*v.name, declaration.variant_place(place)));
        warn("variants ", variants, std::iter::empty(), findings);
    }
}

/// Warns of each name that is another one than the first that looks like it.
fn warn<'a>(
    what: &str,
    declared: impl Iterator<Item = (&'a str, SourceSpan)>,
    stored: impl Iterator<Item = &'a str>,
    findings: &mut Findings,
) {
    let stored: Vec<&str> = stored.collect();
    let is_stored: HashSet<&str> = stored.iter().copied().collect();
    let stored: HashMap<String, &str> = stored.into_iter().map(|name| (fold(name), name)).collect();
    let mut first: HashMap<String, Vec<(&str, SourceSpan)>> = HashMap::new();
    for (name, place) in declared.filter(|(name, _)| !name.is_empty()) {
        let folded = fold(name);
        let alike = first.entry(folded.clone()).or_default();
        // One that is declared twice is told as that.
        if alike.iter().any(|(known, _)| *known == name) {
            continue;
        }
        let other = stored.get(&folded).filter(|_| !is_stored.contains(name));
        if let Some(other) = other {
            let message = format!(
                "{what}{} and {}, which is in the store, are easily confused",
                Quoted(name),
                Quoted(other)
            );
            let help = "rename it, unless both are meant";
            findings.push(Finding::new(
                Lint::SimilarNames,
                place.clone(),
                message,
                help,
            ));
        }
        if let Some((other, other_place)) = alike.last() {
            let message = format!(
                "{what}{} and {} are easily confused",
                Quoted(other),
                Quoted(name)
            );
            let help = "rename one, unless both are meant";
            let finding = Finding::new(Lint::SimilarNames, place.clone(), message, help);
            findings.push(finding.with_related(other_place.clone(), "the other name"));
        }
        alike.push((name, place));
    }
}

/// What is left of a name without that by which names are hard to tell apart: case, blanks, dashes, what is invisible,
/// and how an accent is written.
fn fold(name: &str) -> String {
    let seen: String = name.chars().filter(|c| !is_invisible(*c)).collect();
    let lower = seen.to_lowercase().replace(['-', '_'], " ");
    let words: Vec<&str> = lower.split_whitespace().collect();
    words.join("_").nfc().collect()
}

#[cfg(test)]
mod tests {
    use super::fold;

    #[test]
    fn what_looks_alike_is_one() {
        let alike = [
            "Café-menu",
            "cafe\u{301} menu",
            " CAFÉ  MENU ",
            "caf\u{200b}é_menu",
            "café\u{a0}menu",
        ];
        assert_eq!(alike.map(fold), ["café_menu"; 5]);
        assert_ne!(fold("checkout"), fold("check out"));
        assert_ne!(fold("cafe"), fold("café"));
    }
}
