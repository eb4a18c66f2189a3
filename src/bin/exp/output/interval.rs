//! Intervals drawn to a common scale, with zero marked: `├───●──┼──┤`.

use experiments::results::ComparisonReport;

/// What is drawn: an estimate between two bounds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interval {
    pub(crate) low: f64,
    pub(crate) estimate: f64,
    pub(crate) high: f64,
}

impl Interval {
    /// What is drawn of a comparison: its relative effect between the bounds that decide.
    pub(crate) fn of(comparison: &ComparisonReport) -> Option<Self> {
        Some(Self {
            low: comparison.always_valid.relative_low?,
            estimate: comparison.relative.estimate?,
            high: comparison.always_valid.relative_high?,
        })
    }
}

/// From where to where lines are drawn; zero is always between.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    /// A scale on which all of these fit, but for bounds so far out that nothing would be left to see of the
    /// others.
    pub(crate) fn of(intervals: &[Interval]) -> Self {
        let estimates = intervals.iter().map(|interval| interval.estimate.abs());
        let widest = estimates.fold(0.0, f64::max);
        let mut widths: Vec<f64> = intervals.iter().map(|i| i.high - i.low).collect();
        widths.sort_unstable_by(f64::total_cmp);
        let typical = widths.get(widths.len() / 2).copied().unwrap_or(0.0);
        let limit = 1.2 * widest + 1.5 * typical;
        let ends = |bound: fn(&Interval) -> f64| intervals.iter().map(bound);
        Self {
            low: ends(|i| i.low).fold(0.0, f64::min).max(-limit),
            high: ends(|i| i.high).fold(0.0, f64::max).min(limit),
        }
    }

    /// Its two ends.
    pub(crate) fn ends(self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The interval in `width` columns; an arrow stands for a bound that is off the scale.
    pub(crate) fn draw(self, interval: Interval, width: usize) -> String {
        if width < 3 || self.high <= self.low {
            return String::new();
        }
        let Interval {
            low,
            estimate,
            high,
        } = interval;
        let (first, last) = (self.column(low, width), self.column(high, width));
        let mut cells = vec![' '; width];
        cells[first..=last].fill('─');
        let zero = self.column(0.0, width);
        cells[zero] = if first < zero && zero < last {
            '┼'
        } else {
            '│'
        };
        if first != zero {
            cells[first] = if low < self.low { '◂' } else { '├' };
        }
        if last != zero {
            cells[last] = if high > self.high { '▸' } else { '┤' };
        }
        cells[self.column(estimate, width)] = '●';
        let line: String = cells.into_iter().collect();
        line.trim_end().to_owned()
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a column of a line"
    )]
    fn column(self, value: f64, width: usize) -> usize {
        let share = (value - self.low) / (self.high - self.low);
        (share.clamp(0.0, 1.0) * (width - 1) as f64).round() as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interval(low: f64, estimate: f64, high: f64) -> Interval {
        Interval {
            low,
            estimate,
            high,
        }
    }

    #[test]
    fn zero_is_where_it_is() {
        let intervals = [interval(-1.0, 0.5, 2.0), interval(1.0, 2.0, 3.0)];
        let scale = Scale::of(&intervals);
        assert_eq!(scale.ends(), (-1.0, 3.0));
        assert_eq!(scale.draw(intervals[0], 9), "├─┼●──┤");
        assert_eq!(scale.draw(intervals[1], 9), "  │ ├─●─┤");
    }

    #[test]
    fn what_is_off_the_scale_points_there() {
        let intervals = [
            interval(0.01, 0.02, 0.03),
            interval(-0.01, 0.01, 0.03),
            interval(-9.0, 0.01, 9.0),
        ];
        let scale = Scale::of(&intervals);
        let drawn = scale.draw(intervals[2], 21);
        assert!(drawn.starts_with('◂') && drawn.ends_with('▸'), "{drawn}");
        assert_eq!(Scale::of(&[]).draw(intervals[0], 10), "");
    }
}
