//! What came of many actors, in one line.

use experiments::{AssignmentReason, Verdict};

/// What came of it all.
#[derive(Default)]
pub(super) struct Summary {
    by_reason: [u64; AssignmentReason::ALL.len()],
    pub(super) blank: u64,
}

impl Summary {
    pub(super) fn take(&mut self, verdict: &Verdict<'_>) {
        let mut known = AssignmentReason::ALL.iter();
        let place = known.position(|known| *known == verdict.reason);
        self.by_reason[place.unwrap_or_default()] += 1;
    }

    /// Whether nobody was answered.
    pub(super) fn is_empty(&self) -> bool {
        self.by_reason.iter().all(|count| *count == 0)
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let total: u64 = self.by_reason.iter().sum();
        let actors = if total == 1 { "actor" } else { "actors" };
        write!(f, "{total} {actors}")?;
        let reasons = AssignmentReason::ALL.iter().zip(self.by_reason);
        for (index, (reason, count)) in reasons.filter(|(_, count)| *count > 0).enumerate() {
            let separator = if index == 0 { ": " } else { ", " };
            write!(f, "{separator}{count} {}", reason.as_str())?;
        }
        match self.blank {
            0 => Ok(()),
            1 => write!(f, "; 1 blank line"),
            blank => write!(f, "; {blank} blank lines"),
        }
    }
}
