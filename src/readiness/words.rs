//! A concern in words, for whoever writes the experiment's file.

use std::fmt;

use super::{ConcernKind, StartConcern};
use crate::group::HeldByGroup;
use crate::text::Quoted;

impl StartConcern {
    /// What to do about it, as the rest of a sentence, in the words for whoever writes its file.
    #[must_use]
    pub fn help(&self) -> String {
        let name = Quoted(&self.experiment);
        let fixed = match &self.kind {
            ConcernKind::NoMetric => {
                "a metric that is added after the start is exploratory, so declare metrics before the start"
            }
            ConcernKind::NoWindow { .. } => "add window = \"7d\"",
            ConcernKind::NoWeight => "give a variant a weight, or leave the experiment a draft",
            ConcernKind::OneVariant { .. } => {
                "give another variant a weight, or conclude the experiment"
            }
            ConcernKind::InexpressibleWeight { .. } => {
                "shares are multiples of 0.01%; choose weights that give such a share"
            }
            ConcernKind::Dependent { remedy, .. } => return remedy.to_string(),
            ConcernKind::GroupTaken { by, .. } => {
                let by = Quoted(by);
                return format!(
                    "close {by} to newcomers or lower its coverage, or take {name} out of the group"
                );
            }
            ConcernKind::GroupHeld { .. } => {
                "a group never frees its actors: to test with everybody, use another group, or none"
            }
            ConcernKind::GroupScarce { .. } => {
                return format!("lower their coverage, or take {name} out of the group");
            }
        };
        fixed.to_owned()
    }
}

impl fmt::Display for StartConcern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Quoted(&self.experiment);
        match &self.kind {
            ConcernKind::NoMetric => {
                write!(
                    f,
                    "{name} has no metric, so its results cannot name a winner"
                )
            }
            ConcernKind::NoWindow { metric, .. } => {
                let metric = Quoted(metric);
                write!(
                    f,
                    "the primary metric {metric} of {name} has no window, without which results name no winner \
                     unless --final is given"
                )
            }
            ConcernKind::NoWeight => {
                write!(
                    f,
                    "all weights of {name} are 0, so no newcomer gets a variant"
                )
            }
            ConcernKind::OneVariant { variant } => {
                let variant = Quoted(variant);
                write!(
                    f,
                    "every newcomer in {name} gets the same variant, {variant}"
                )
            }
            ConcernKind::InexpressibleWeight {
                variant,
                wanted,
                got,
                ..
            } => {
                let (wanted, got) = (percent(*wanted), percent(*got));
                write!(
                    f,
                    "variant {} asks for {wanted} of newcomers and gets {got}",
                    Quoted(variant)
                )
            }
            ConcernKind::Dependent {
                other, dependence, ..
            } => f.write_str(&dependence.describe(other, &self.experiment)),
            ConcernKind::GroupHeld { group, held } => cannot_enter(f, held, group, &name),
            ConcernKind::GroupTaken { group, by, held } if !held.is_empty() => {
                cannot_enter(f, held, group, &name)?;
                let by = Quoted(by);
                write!(f, ", and {by} takes every newcomer who reaches it first")
            }
            ConcernKind::GroupTaken { group, by, .. } => write!(
                f,
                "{} runs in the same group {} and takes every newcomer of {name} who reaches it first",
                Quoted(by),
                Quoted(group)
            ),
            ConcernKind::GroupScarce {
                group,
                left,
                by,
                held,
            } => {
                let by: Vec<String> = by.iter().map(|by| Quoted(by).to_string()).collect();
                let (left, by) = (percent(*left), by.join(", "));
                if held.is_empty() {
                    let group = Quoted(group);
                    return write!(
                        f,
                        "the running experiments of the same group {group} leave {name} only {left} of its newcomers: {by}"
                    );
                }
                cannot_enter(f, held, group, &name)?;
                write!(
                    f,
                    ", and those that run leave it only {left} of its newcomers: {by}"
                )
            }
        }
    }
}

fn cannot_enter(
    f: &mut fmt::Formatter<'_>,
    held: &HeldByGroup,
    group: &str,
    name: &Quoted<'_>,
) -> fmt::Result {
    let group = Quoted(group);
    write!(f, "{held} of the same group {group} and can't enter {name}")
}

/// A share as a percentage, without zeros at its end.
fn percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent < 0.01 { 6 } else { 4 };
    let text = format!("{percent:.digits$}");
    format!("{}%", text.trim_end_matches('0').trim_end_matches('.'))
}
