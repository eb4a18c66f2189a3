//! Shapes: intervals to a common scale, a difference over time with its band, actors by day. Colours are classes, so
//! that both colour schemes and print have their own; each shape says in words what it shows.

use maud::{Markup, html};

use super::day;
use crate::output::figures::{change, count};
use crate::output::interval::{Interval, Scale};

const WIDTH: f64 = 600.0;

/// A comparison as it was at one moment.
pub(crate) struct Moment {
    pub(crate) at_secs: u64,
    pub(crate) interval: Interval,
}

/// Who was assigned on a day.
pub(crate) struct Day {
    pub(crate) begins_at_secs: u64,
    /// In the order of the variants.
    pub(crate) actors: Vec<u64>,
}

/// One interval on a line.
pub(super) fn interval(scale: Scale, shown: Interval, what: &str) -> Markup {
    let (low, high) = scale.ends();
    let x = |value: f64| {
        let share = (value - low) / (high - low).max(f64::MIN_POSITIVE);
        8.0 + share.clamp(0.0, 1.0) * (WIDTH - 16.0)
    };
    let label = format!(
        "{what}: {}, between {} and {}",
        change(shown.estimate),
        change(shown.low),
        change(shown.high)
    );
    html! {
        svg viewBox="0 0 600 44" role="img" aria-label=(label) {
            line class="zero" x1=(px(x(0.0))) x2=(px(x(0.0))) y1="4" y2="30" {}
            line class="bound" x1=(px(x(shown.low))) x2=(px(x(shown.high))) y1="17" y2="17" {}
            line class="bound" x1=(px(x(shown.low))) x2=(px(x(shown.low))) y1="11" y2="23" {}
            line class="bound" x1=(px(x(shown.high))) x2=(px(x(shown.high))) y1="11" y2="23" {}
            circle class="dot" cx=(px(x(shown.estimate))) cy="17" r="5" {}
            text x="8" y="42" { (change(low)) }
            text x=(px(x(0.0))) y="42" text-anchor="middle" { @if x(0.0) > 60.0 && x(0.0) < 540.0 { "0" } }
            text x="592" y="42" text-anchor="end" { (change(high)) }
        }
    }
}

/// A difference over time, between the bounds that hold however often it is looked at.
pub(super) fn over_time(moments: &[Moment], what: &str) -> Markup {
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
        return html! {};
    };
    let intervals: Vec<Interval> = moments.iter().map(|moment| moment.interval).collect();
    // The first moments have so few actors that they would leave nothing to see of the last.
    let (low, high) = Scale::of(&intervals).ends();
    let (top, bottom) = (8.0, 168.0);
    let y = |value: f64| {
        let share = (value - low) / (high - low).max(f64::MIN_POSITIVE);
        bottom - share.clamp(0.0, 1.0) * (bottom - top)
    };
    let span = last.at_secs.saturating_sub(first.at_secs).max(1);
    let x = |secs: u64| 56.0 + fraction(secs.saturating_sub(first.at_secs), span) * (WIDTH - 64.0);
    let line = |value: fn(&Interval) -> f64| -> Vec<String> {
        let points = moments.iter();
        points
            .map(|m| format!("{},{}", px(x(m.at_secs)), px(y(value(&m.interval)))))
            .collect()
    };
    let upper = line(|i| i.high);
    let mut lower = line(|i| i.low);
    lower.reverse();
    let area = [upper, lower].concat().join(" ");
    let label = format!(
        "{what} over time: at first {}, at last {} between {} and {}",
        change(first.interval.estimate),
        change(last.interval.estimate),
        change(last.interval.low),
        change(last.interval.high)
    );
    html! {
        svg viewBox="0 0 600 190" role="img" aria-label=(label) {
            polygon class="area" points=(area) {}
            polyline class="bound" points=(line(|i| i.estimate).join(" ")) {}
            line class="zero" x1="56" x2="592" y1=(px(y(0.0))) y2=(px(y(0.0))) {}
            line class="axis" x1="56" x2="56" y1=(px(top)) y2=(px(bottom)) {}
            text x="50" y=(px(top + 4.0)) text-anchor="end" { (change(high)) }
            text x="50" y=(px(bottom)) text-anchor="end" { (change(low)) }
            text x="56" y="184" { (day(first.at_secs)) }
            text x="592" y="184" text-anchor="end" { (day(last.at_secs)) }
        }
    }
}

/// New actors by day, all variants together.
pub(super) fn days(days: &[Day]) -> Markup {
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return html! {};
    };
    let total = |day: &Day| day.actors.iter().sum::<u64>();
    let most = days.iter().map(total).max().unwrap_or(0).max(1);
    let number = fraction(days.len() as u64, 1);
    let step = (WIDTH - 16.0) / number;
    let label = format!(
        "new actors by day, from {} to {}: at most {} on a day",
        day(first.begins_at_secs),
        day(last.begins_at_secs),
        count(most)
    );
    html! {
        svg viewBox="0 0 600 130" role="img" aria-label=(label) {
            @for (index, day) in days.iter().enumerate() {
                @let height = fraction(total(day), most) * 96.0;
                rect class="bar" x=(px(8.0 + fraction(index as u64, 1) * step)) y=(px(108.0 - height))
                    width=(px((step - 1.0).max(0.5))) height=(px(height)) {}
            }
            line class="axis" x1="8" x2="592" y1="108" y2="108" {}
            text x="8" y="124" { (day(first.begins_at_secs)) }
            text x="592" y="124" text-anchor="end" { (day(last.begins_at_secs)) }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn px(place: f64) -> String {
    format!("{place:.1}")
}
