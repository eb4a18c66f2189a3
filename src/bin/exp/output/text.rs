//! For people: lines, tables, bars and times. Text from the store is escaped here.

use std::cell::LazyCell;
use std::fmt::{Display, Write as _};

use anstyle::{AnsiColor, Style};
use comfy_table::presets::NOTHING;
use comfy_table::{
    Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Table,
};
use experiments::ExperimentState;
use experiments::text::escape;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr as _;

pub(crate) const BOLD: Style = Style::new().bold();
pub(crate) const DIM: Style = Style::new().dimmed();

/// What is written on.
pub(crate) struct Page {
    /// In columns; `None` if it has no edge.
    pub(crate) width: Option<usize>,
    /// The zone in which times are told. Finding it out reads dozens of directories, which a page
    /// without a time need not wait for.
    pub(crate) zone: LazyCell<TimeZone>,
}

pub(crate) struct Text {
    page: Page,
    buffer: String,
}

impl Text {
    pub(crate) fn new(page: Page) -> Self {
        Self {
            page,
            buffer: String::new(),
        }
    }

    pub(crate) fn into_string(self) -> String {
        self.buffer
    }

    /// Adds a line. What came from outside must have been [escaped](safe).
    pub(crate) fn line(&mut self, line: impl Display) {
        let _ = writeln!(self.buffer, "{line}");
    }

    /// Adds a table that fits the page. Cells are made by [`cell`] and its like.
    pub(crate) fn table(&mut self, header: &[&str], rows: Vec<Vec<Cell>>) {
        self.table_with_whole(None, header, rows);
    }

    /// The same, and the cells of the column at this place are not broken over lines.
    pub(crate) fn table_with_whole(
        &mut self,
        whole: Option<usize>,
        header: &[&str],
        rows: Vec<Vec<Cell>>,
    ) {
        let mut table = Table::new();
        table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .force_no_tty()
            .enforce_styling()
            .set_header(header.iter().map(|name| {
                Cell::new(name)
                    .add_attribute(Attribute::Bold)
                    .set_alignment(CellAlignment::Left)
            }))
            .add_rows(rows);
        if let Some(width) = self.page.width {
            // Narrower than this, a table says nothing any more.
            table.set_width(u16::try_from(width.max(20)).unwrap_or(u16::MAX));
        }
        let gap = u16::try_from(self.gap()).unwrap_or(1);
        for column in table.column_iter_mut() {
            column.set_padding((0, gap));
        }
        if let Some(column) = whole.and_then(|place| table.column_mut(place)) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
        for line in table.lines() {
            self.line(trim_end(&line));
        }
    }

    /// Whether a line fits the page.
    pub(crate) fn fits(&self, line: &str) -> bool {
        let plain = anstream::adapter::strip_str(line).to_string();
        self.page.width.is_none_or(|width| plain.width() <= width)
    }

    /// How many spaces part two columns of a table.
    pub(crate) fn gap(&self) -> usize {
        match self.page.width {
            Some(width) if width < 60 => 1,
            _ => 2,
        }
    }

    pub(crate) fn width(&self) -> Option<usize> {
        self.page.width
    }

    /// A moment, in the zone of the page: `2026-11-23 09:30:00 +01:00`.
    pub(crate) fn time(&self, secs: u64) -> String {
        let moment = i64::try_from(secs)
            .ok()
            .and_then(|s| Timestamp::from_second(s).ok());
        moment.map_or_else(
            || format!("{secs} s after 1970"),
            |moment| {
                let zoned = moment.to_zoned_datetime((*self.page.zone).clone());
                zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
            },
        )
    }
}

/// `line` without the spaces at its end, also where a style is reset after them.
fn trim_end(line: &str) -> String {
    let mut text = line.trim_end();
    let mut styles = String::new();
    while let Some(at) = text.rfind('\u{1b}') {
        let (before, style) = text.split_at(at);
        if style.find('m') != Some(style.len() - 1) {
            break;
        }
        styles.insert_str(0, style);
        text = before.trim_end();
    }
    text.to_owned() + &styles
}

/// Adds a paragraph that fits the page: `begin`, which may be styled, then `words`; further lines are indented
/// by two columns.
pub(crate) fn wrapped(text: &mut Text, begin: &str, words: &str) {
    hanging(text, 2, begin, words);
}

/// The same, with further lines indented by `indent` columns, or by less on a page that is narrow.
pub(crate) fn hanging(text: &mut Text, indent: usize, begin: &str, words: &str) {
    let Some(width) = text.width() else {
        text.line(format_args!("{begin}{words}"));
        return;
    };
    let width = width.max(20);
    let indent = indent.min(if width < 60 { 4 } else { width / 2 });
    let mut line = begin.to_owned();
    let mut used = anstream::adapter::strip_str(begin).to_string().width();
    let mut is_empty = true;
    for word in words.split(' ') {
        let space = usize::from(!is_empty);
        if !is_empty && used + space + word.width() > width {
            text.line(&line);
            line = " ".repeat(indent);
            used = indent;
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
            used += 1;
        }
        line.push_str(word);
        used += word.width();
        is_empty = false;
    }
    text.line(&line);
}

/// Adds a line as it is, or, where it does not fit the page, as a paragraph without styles, whose further lines are
/// indented by `hang` columns.
pub(crate) fn line_or_wrapped(text: &mut Text, hang: usize, line: &str) {
    if text.fits(line) {
        text.line(line);
        return;
    }
    let plain = anstream::adapter::strip_str(line).to_string();
    let words = plain.trim_start();
    let indent = &plain[..plain.len() - words.len()];
    hanging(text, hang, indent, words);
}

/// Text from outside, made safe to show.
pub(crate) fn safe(text: &str) -> String {
    escape(text).into_owned()
}

pub(crate) fn cell(text: &str) -> Cell {
    Cell::new(escape(text))
}

pub(crate) fn number(text: impl Display) -> Cell {
    Cell::new(text).set_alignment(CellAlignment::Right)
}

pub(crate) fn state_cell(state: ExperimentState) -> Cell {
    let cell = Cell::new(state);
    match state {
        ExperimentState::Draft => cell.fg(Color::Yellow),
        ExperimentState::Running => cell.fg(Color::Green),
        ExperimentState::Paused => cell.fg(Color::Magenta),
        ExperimentState::Concluded => cell.fg(Color::Cyan),
        ExperimentState::Archived => cell.add_attribute(Attribute::Dim),
    }
}

pub(crate) fn state_style(state: ExperimentState) -> Style {
    match state {
        ExperimentState::Draft => AnsiColor::Yellow.on_default(),
        ExperimentState::Running => AnsiColor::Green.on_default(),
        ExperimentState::Paused => AnsiColor::Magenta.on_default(),
        ExperimentState::Concluded => AnsiColor::Cyan.on_default(),
        ExperimentState::Archived => DIM,
    }
}

/// `text` in a style.
pub(crate) fn styled(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A share of 1 as a percentage with one decimal.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}%", share * 100.0)
}

/// A value as JSON, cut where it would fill the page; the other formats and `exp export` have all of it.
pub(crate) fn shortened(value: &serde_json::Value) -> String {
    const MOST: usize = 200;
    let json = value.to_string();
    match json.char_indices().nth(MOST) {
        None => json,
        Some((end, _)) => format!("{}…", &json[..end]),
    }
}

/// A bar of `width` columns, filled to `share` of 1 in steps of an eighth of a column.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a bar is a few hundred eighths long"
)]
pub(crate) fn bar(share: f64, width: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = (share.clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    format!("{}{}", "█".repeat(eighths / 8), EIGHTHS[eighths % 8])
}
