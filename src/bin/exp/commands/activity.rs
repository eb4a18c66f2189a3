//! What a scan of all actors shows of an experiment: exposures, and how many actors came on each day.

use experiments::{Clock, ExperimentConfig, ExperimentService, ExposureScan};
use schemars::JsonSchema;
use serde::Serialize;

use crate::output::figures::count;
use crate::output::text::{Text, wrapped};

const DAY: u64 = 86_400;
/// How many days a line of them shows.
const DAYS: usize = 60;

/// What was seen.
#[derive(Serialize, JsonSchema)]
pub(super) struct Activity {
    /// With --full: how many exposures are recorded.
    exposures: u64,
    /// With --full: how many actors have at least one.
    exposed_actors: u64,
    /// The first second of each day of UTC on which actors were assigned, and how many; the last days, if there are
    /// more than are shown.
    actors_per_day: Vec<PerDay>,
}

#[derive(Serialize, JsonSchema)]
struct PerDay {
    /// The first second of the day, since 1970.
    from_secs: u64,
    /// How many actors were assigned on it.
    actors: u64,
}

impl Activity {
    pub(super) fn scan(
        service: &ExperimentService,
        config: &ExperimentConfig,
        clock: Clock,
    ) -> anyhow::Result<Self> {
        let today = clock.now_secs() / DAY;
        let first = today.saturating_sub(DAYS as u64 - 1);
        let mut days = vec![0; DAYS];
        service.scan_assignments(&config.name, &mut |assignment| {
            let day = (assignment.assigned_at_secs / DAY).checked_sub(first);
            let day = day.and_then(|day| usize::try_from(day).ok());
            if let Some(actors) = day.and_then(|day| days.get_mut(day)) {
                *actors += 1;
            }
            Ok(())
        })?;
        let (mut exposures, mut exposed_actors) = (0, 0);
        let all = ExposureScan::default();
        service.scan_exposures(&config.name, &all, &mut |_| {
            exposures += 1;
            Ok(())
        })?;
        let first_only = ExposureScan {
            first_only: true,
            ..all
        };
        service.scan_exposures(&config.name, &first_only, &mut |_| {
            exposed_actors += 1;
            Ok(())
        })?;
        let days = (first..).zip(days);
        let days = days.skip_while(|(_, actors)| *actors == 0);
        Ok(Self {
            exposures,
            exposed_actors,
            actors_per_day: days
                .map(|(day, actors)| PerDay {
                    from_secs: day * DAY,
                    actors,
                })
                .collect(),
        })
    }

    pub(super) fn write(&self, text: &mut Text) {
        text.line("");
        let exposed = format!(
            "{} exposures of {} actors",
            count(self.exposures),
            count(self.exposed_actors)
        );
        wrapped(text, "", &exposed);
        let Some(first) = self.actors_per_day.first() else {
            return;
        };
        let actors: Vec<u64> = self.actors_per_day.iter().map(|day| day.actors).collect();
        let most = actors.iter().copied().max().unwrap_or(0);
        let since = text.time(first.from_secs);
        let day = since.split(' ').next().unwrap_or_default();
        wrapped(
            text,
            "",
            &format!("new actors per day since {day} (at most {}):", count(most)),
        );
        let width = text.width().unwrap_or(DAYS).max(1);
        let shown = &actors[actors.len().saturating_sub(width)..];
        text.line(sparkline(shown, most));
    }
}

/// A column for each number, as high as its share of the largest.
fn sparkline(numbers: &[u64], most: u64) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let column = |number: &u64| match number.checked_mul(7).map(|high| high.div_ceil(most.max(1))) {
        _ if *number == 0 => ' ',
        Some(high) => HEIGHTS[usize::try_from(high).unwrap_or(7).min(7)],
        None => '█',
    };
    let line: String = numbers.iter().map(column).collect();
    line.trim_end().to_owned()
}
