//! Shapes: intervals to a common scale, a difference over time with its band, actors by day. Places are shares of the
//! width and the height, so that a shape fits any screen, and words stand beside it, where they keep their size.
//! Colours are classes, so that both colour schemes and print have their own. Each shape says in words what it shows.

use maud::{Markup, html};

use super::content::{Day, Moment, Series};
use super::parts::{day, isolated};
use crate::output::figures::{change, count};
use crate::output::interval::{Interval, Scale};
use crate::output::text::safe;

/// One interval below the other, with their variants, to one scale.
pub(super) fn intervals(scale: Scale, rows: &[(&str, Interval)], control: &str) -> Markup {
    let (low, high) = scale.ends();
    html! {
        div.intervals {
            @for (variant, shown) in rows {
                div aria-hidden="true" { (isolated(variant)) }
                (interval(scale, *shown, &format!("{} against {}", safe(variant), safe(control))))
            }
            div.ends aria-hidden="true" { span { (end(low)) } span { (end(high)) } }
        }
    }
}

fn interval(scale: Scale, shown: Interval, what: &str) -> Markup {
    let (low, high) = scale.ends();
    let x = |value| percent(share((low, high), value));
    let (left, right) = (x(shown.low), x(shown.high));
    let label = format!("{what}: {}", spoken(shown));
    html! {
        svg.strip role="img" aria-label=(label) {
            line.zero x1=(x(0.0)) x2=(x(0.0)) y1="0" y2="100%" {}
            line.bound x1=(left) x2=(right) y1="50%" y2="50%" {}
            (bound(&left, shown.low < low, "M0 0 L8 -6 L8 6 Z"))
            (bound(&right, shown.high > high, "M0 0 L-8 -6 L-8 6 Z"))
            circle.dot cx=(x(shown.estimate)) cy="50%" r="5" {}
        }
    }
}

/// The end of an interval: a stroke, or an arrow to where it lies beyond the scale.
fn bound(x: &str, is_beyond: bool, arrow: &str) -> Markup {
    html! {
        svg.mark x=(x) y="50%" {
            @if is_beyond { path.dot d=(arrow) {} } @else { line.bound x1="0" x2="0" y1="-6" y2="6" {} }
        }
    }
}

/// A difference over time, between the bounds that hold however often it is looked at.
pub(super) fn over_time(series: &Series, metric: &str) -> Markup {
    let moments = &series.moments;
    let (Some(first), Some(last)) = (moments.first(), moments.last()) else {
        return html! {};
    };
    let (low, high) = late_ends(moments);
    let y = |value| (1.0 - share((low, high), value)) * 100.0;
    let span = last.at_secs.saturating_sub(first.at_secs).max(1);
    let x = |secs: u64| fraction(secs.saturating_sub(first.at_secs), span) * 100.0;
    let line = |value: fn(&Interval) -> f64| -> Vec<String> {
        let points = moments.iter();
        points
            .map(|m| format!("{:.2},{:.2}", x(m.at_secs), y(value(&m.interval))))
            .collect()
    };
    let (upper, lower) = (line(|i| i.high), line(|i| i.low));
    let back = lower.iter().rev().cloned().collect();
    let area = [upper.clone(), back].concat().join(" ");
    let label = format!(
        "{}, {} against {}, from {} to {}: at first {}, at last {}",
        safe(metric),
        safe(&series.variant),
        safe(&series.control),
        day(first.at_secs),
        day(last.at_secs),
        spoken(first.interval),
        spoken(last.interval)
    );
    html! {
        div.plot {
            div.scale aria-hidden="true" {
                span { (end(high)) }
                @if (15.0..=85.0).contains(&y(0.0)) {
                    span.between style=(format!("top: {:.1}%", y(0.0))) { "0" }
                }
                span { (end(low)) }
            }
            svg viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label=(label) {
                polygon.area points=(area) {}
                polyline.edge points=(upper.join(" ")) {}
                polyline.edge points=(lower.join(" ")) {}
                line.zero x1="0" x2="100" y1=(y(0.0)) y2=(y(0.0)) {}
                polyline.bound points=(line(|i| i.estimate).join(" ")) {}
            }
            div.ends aria-hidden="true" { span { (day(first.at_secs)) } span { (day(last.at_secs)) } }
        }
    }
}

/// Whether a part of the chart of these lies beyond its scale.
pub(super) fn is_cut(moments: &[Moment]) -> bool {
    let (low, high) = late_ends(moments);
    moments
        .iter()
        .any(|m| m.interval.low < low || m.interval.high > high)
}

/// A scale for the later half, and a little more: the first moments have so few actors that nothing would be left to
/// see of the last.
fn late_ends(moments: &[Moment]) -> (f64, f64) {
    let late = moments.iter().skip(moments.len() / 2);
    let late: Vec<Interval> = late.map(|moment| moment.interval).collect();
    let (low, high) = Scale::of(&late).ends();
    let room = (high - low) / 4.0;
    let ends = |bound: fn(&Interval) -> f64| moments.iter().map(move |m| bound(&m.interval));
    (
        ends(|i| i.low).fold(0.0, f64::min).max(low - room),
        ends(|i| i.high).fold(0.0, f64::max).min(high + room),
    )
}

/// New actors by day, all variants together.
pub(super) fn days(days: &[Day]) -> Markup {
    let (Some(first), Some(last)) = (days.first(), days.last()) else {
        return html! {};
    };
    let most = days.iter().map(Day::total).max().unwrap_or(0);
    let step = 100.0 / fraction(days.len() as u64, 1);
    let label = format!(
        "new actors, from {} to {}: at most {} in a bar",
        day(first.begins_at_secs),
        day(last.begins_at_secs),
        count(most)
    );
    html! {
        div.plot {
            div.scale aria-hidden="true" { span { (count(most)) } span { "0" } }
            svg role="img" aria-label=(label) {
                @for (index, day) in days.iter().enumerate() {
                    @let height = fraction(day.total(), most.max(1));
                    rect.bar x=(format!("{:.2}%", fraction(index as u64, 1) * step)) y=(percent(1.0 - height))
                        width=(format!("{:.2}%", step * 0.8)) height=(percent(height)) {}
                }
                line.axis x1="0" x2="100%" y1="100%" y2="100%" {}
            }
            div.ends aria-hidden="true" {
                span { (day(first.begins_at_secs)) }
                span { (day(last.begins_at_secs)) }
            }
        }
    }
}

fn spoken(shown: Interval) -> String {
    format!(
        "{}, between {} and {}",
        change(shown.estimate),
        change(shown.low),
        change(shown.high)
    )
}

/// The end of a scale.
fn end(value: f64) -> String {
    if value == 0.0 {
        "0".to_owned()
    } else {
        change(value)
    }
}

/// Where a value lies on a scale: 0 at its low end or below, 1 at its high end or above.
fn share((low, high): (f64, f64), value: f64) -> f64 {
    ((value - low) / (high - low).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0)
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

#[expect(clippy::cast_precision_loss, reason = "a place in a picture")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
