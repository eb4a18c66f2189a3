//! When there will be enough actors, if they go on coming as they do at present.

use crate::experiment::ExperimentState;

use super::population::Cohort;
use super::request::Analysis;

/// At which rate actors come.
pub(super) struct Forecast {
    /// Of each variant: those who came in the last of the test.
    recent: Vec<u64>,
    /// Of each variant: when each actor's outcomes began to count.
    starts: Vec<Vec<u64>>,
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
        let variants = analysis.config.variants.len();
        let (mut recent, mut starts) = (vec![0; variants], vec![Vec::new(); variants]);
        let since = analysis.to_secs.saturating_sub(span_secs);
        for actor in cohort.actors() {
            starts[actor.variant].push(actor.start_secs);
            recent[actor.variant] += u64::from(actor.start_secs >= since);
        }
        Self {
            recent,
            starts,
            span_secs,
            to_secs: analysis.to_secs,
            now_secs: analysis.now_secs,
            is_running: analysis.config.state == ExperimentState::Running,
        }
    }

    /// When so many more actors of these variants will be complete. Some of them are `in_progress` already.
    /// `None` if nobody comes any more, and no window ends any more.
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
        if !self.is_running {
            return None;
        }
        let newcomers = more.saturating_sub(in_progress);
        if newcomers == 0 && window_secs > 0 {
            let end = self.window_of(variants, more, window_secs)?;
            return Some(When::At(end.max(self.now_secs)));
        }
        let recent: u64 = variants.iter().map(|variant| self.recent[*variant]).sum();
        let wait_secs = if newcomers == 0 {
            0.0
        } else if recent > 0 {
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

    /// When the window of the `more`th of those of these variants ends who are in progress.
    fn window_of(&self, variants: &[usize], more: u64, window_secs: u64) -> Option<u64> {
        let starts = variants.iter().flat_map(|variant| &self.starts[*variant]);
        let ends = starts.map(|start| start.saturating_add(window_secs));
        let mut ends: Vec<u64> = ends.filter(|end| *end > self.to_secs).collect();
        let place = usize::try_from(more).ok()?.checked_sub(1)?;
        if place >= ends.len() {
            return None;
        }
        let (_, end, _) = ends.select_nth_unstable(place);
        Some(*end)
    }
}
