//! What all parts of the page are made of: names from outside, tables, times.

use maud::{Markup, html};

use crate::output::text::safe;

/// A name from outside, which does not turn round the words beside it if it is written from right to left.
pub(super) fn isolated(name: &str) -> Markup {
    html! { bdi { (safe(name)) } }
}

/// A table in a box in which it scrolls if it is too wide, also by the keyboard.
pub(super) fn table(
    id: &str,
    caption: &Markup,
    columns: &[(&str, Align)],
    rows: &Markup,
) -> Markup {
    html! {
        div.scroll role="group" aria-labelledby=(id) tabindex="0" {
            table {
                caption id=(id) { (caption) }
                thead { tr {
                    @for (name, align) in columns {
                        th scope="col" class=[align.class()] { (name) }
                    }
                } }
                tbody { (rows) }
            }
        }
    }
}

/// On which side of its column something stands.
#[derive(Clone, Copy)]
pub(super) enum Align {
    Left,
    Right,
}

impl Align {
    fn class(self) -> Option<&'static str> {
        match self {
            Self::Left => None,
            Self::Right => Some("number"),
        }
    }
}

/// A moment in UTC, which is the same wherever the page is read.
pub(super) fn time(secs: u64) -> String {
    let moment = i64::try_from(secs)
        .ok()
        .and_then(|secs| jiff::Timestamp::from_second(secs).ok());
    moment.map_or_else(
        || format!("{secs} s after 1970"),
        |moment| moment.strftime("%Y-%m-%d %H:%M UTC").to_string(),
    )
}

/// The day of a moment, in UTC.
pub(super) fn day(secs: u64) -> String {
    time(secs).split(' ').next().unwrap_or_default().to_owned()
}
