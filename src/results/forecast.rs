//! When there will be enough actors, if they go on coming as they do at present.

use crate::experiment::ExperimentState;

use super::population::Cohort;
use super::request::Analysis;

/// At which rate actors come.
pub(super) struct Forecast {
    /// Of each variant: those who came in the last of the test.
    recent: Vec<u64>,
    /// How long that is, in seconds.
    span_secs: u64,
    /// The end of the analysis.
    to_secs: u64,
    /// The present time.
    now_secs: u64,
    /// Whether newcomers enter.
    is_running: bool,
}

/// When there will be enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum When {
    /// Then, in seconds since the Unix epoch.
    At(u64),
    /// Further ahead than anybody plans: in more than 5 years.
    InYears,
}

impl Forecast {
    /// What counts as the present: a week, so that weekends are in it.
    const SPAN_SECS: u64 = 7 * 86_400;
    /// How far ahead somebody may plan.
    const HORIZON_SECS: u64 = 5 * 365 * 86_400;

    pub(super) fn new(analysis: &Analysis, cohort: &Cohort) -> Self {
        let so_far = analysis.to_secs.saturating_sub(analysis.from_secs);
        let span_secs = so_far.min(Self::SPAN_SECS);
        let mut recent = vec![0; analysis.config.variants.len()];
        let since = analysis.to_secs.saturating_sub(span_secs);
        for actor in cohort.actors().filter(|actor| actor.start_secs >= since) {
            recent[actor.variant] += 1;
        }
        Self {
            recent,
            span_secs,
            to_secs: analysis.to_secs,
            now_secs: analysis.now_secs,
            is_running: analysis.config.state == ExperimentState::Running,
        }
    }

    /// When so many more actors of these variants will be complete. Some of them are `in_progress` already.
    /// `None` if nobody comes any more.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "counts are far below 2^53, and the time is at most some years"
    )]
    pub(super) fn when(
        &self,
        variants: &[usize],
        more: u64,
        in_progress: u64,
        window_secs: u64,
    ) -> Option<When> {
        let newcomers = more.saturating_sub(in_progress);
        let recent: u64 = variants.iter().map(|variant| self.recent[*variant]).sum();
        let wait_secs = if newcomers == 0 {
            0.0
        } else if self.is_running && recent > 0 {
            newcomers as f64 / recent as f64 * self.span_secs as f64
        } else {
            return None;
        };
        if wait_secs > Self::HORIZON_SECS as f64 {
            return Some(When::InYears);
        }
        let end = self.to_secs.saturating_add(window_secs);
        let when = end.saturating_add(wait_secs.ceil() as u64);
        Some(When::At(when.max(self.now_secs)))
    }
}
