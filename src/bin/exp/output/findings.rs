//! Findings in files, for people, for programs and for GitHub.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use experiments::declare::{Finding, Lines, Position, Severity, SourceFile, SourceSpan};
use experiments::text::{escape, is_unsafe};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;

use super::View;
use super::text::Text;
use super::tsv::Tsv;

/// How many findings are drawn; a file that has more is not what it was taken for.
const MAX_DRAWN: usize = 100;

/// Findings, with the files they are about.
pub(crate) struct Findings<'a> {
    pub(super) sources: &'a [SourceFile],
    lines: Vec<Lines<'a>>,
    pub(super) all: &'a [Finding],
}

/// A finding as data.
#[derive(Serialize, JsonSchema)]
struct Row<'a> {
    /// The rule that finds it, as in duplicate-name.
    rule: &'static str,
    /// Whether it is an error or a warning.
    severity: Severity,
    /// The file that it is in.
    file: &'a str,
    /// The line where it begins, from 1.
    line: usize,
    /// The column where it begins, from 1, in characters.
    column: usize,
    /// The line where it ends.
    end_line: usize,
    /// The column behind its last character.
    end_column: usize,
    /// What is wrong.
    message: &'a str,
    /// What to do about it.
    help: &'a str,
    /// The other place that it has to do with.
    related: Option<Related<'a>>,
}

/// The other place that a finding has to do with.
#[derive(Serialize, JsonSchema)]
struct Related<'a> {
    /// What is there.
    what: &'static str,
    /// The file.
    file: &'a str,
    /// The line, from 1.
    line: usize,
    /// The column, from 1, in characters.
    column: usize,
}

impl<'a> Findings<'a> {
    pub(crate) fn new(sources: &'a [SourceFile], findings: &'a [Finding]) -> Self {
        Self {
            sources,
            lines: sources.iter().map(|s| Lines::new(&s.text)).collect(),
            all: findings,
        }
    }

    /// How many errors and warnings there are, in words.
    pub(crate) fn summary(&self) -> String {
        let count = |severity: Severity| {
            let of_it = self.all.iter().filter(|f| f.severity() == severity);
            of_it.map(|finding| finding.count).sum()
        };
        let number = |count: usize, what: &str| {
            let plural = if count == 1 { "" } else { "s" };
            format!("{count} {what}{plural}")
        };
        format!(
            "{}, {} in {}",
            number(count(Severity::Error), "error"),
            number(count(Severity::Warning), "warning"),
            number(self.sources.len(), "file"),
        )
    }

    pub(super) fn positions(&self, place: &SourceSpan) -> (Position, Position) {
        let lines = &self.lines[place.file];
        let SourceSpan { span, .. } = place;
        (lines.position(span.start), lines.position(span.end))
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.all.iter().map(|finding| {
            let (start, end) = self.positions(&finding.place);
            Row {
                rule: finding.lint.id(),
                severity: finding.severity(),
                file: &self.sources[finding.place.file].name,
                line: start.line,
                column: start.column,
                end_line: end.line,
                end_column: end.column,
                message: &finding.message,
                help: &finding.help,
                related: finding.related.as_ref().map(|(place, what)| {
                    let (start, _) = self.positions(place);
                    Related {
                        what,
                        file: &self.sources[place.file].name,
                        line: start.line,
                        column: start.column,
                    }
                }),
            }
        })
    }

    fn draw(&self, finding: &Finding, renderer: &Renderer) -> String {
        let level = match finding.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let (message, help) = (escape(&finding.message), escape(&finding.help));
        let mut group = level
            .primary_title(message)
            .id(finding.lint.id())
            .element(self.snippet(&finding.place, AnnotationKind::Primary, None));
        let mut places = vec![self.shown_place(&finding.place)];
        if let Some((place, what)) = &finding.related {
            group = group.element(self.snippet(place, AnnotationKind::Context, Some(what)));
            places.push(self.shown_place(place));
        }
        let group = group.element(Level::HELP.message(help));
        put_places(&renderer.render(&[group]), &places)
    }

    fn shown_place(&self, place: &SourceSpan) -> String {
        let Position { line, column } = self.lines[place.file].position(place.span.start);
        let path = escape(&self.sources[place.file].name);
        format!("{path}:{line}:{column}")
    }

    fn snippet<'s>(
        &'s self,
        place: &SourceSpan,
        kind: AnnotationKind,
        label: Option<&'static str>,
    ) -> Snippet<'s, annotate_snippets::Annotation<'s>> {
        let (source, lines) = (&self.sources[place.file], &self.lines[place.file]);
        let start = place.span.start..place.span.start;
        // Only the line on which it begins, so that what is drawn grows with it and not with the file.
        let around = lines.around(&start);
        let line = &source.text[around.clone()];
        let before = (start.start - around.start).min(line.len());
        let end = (place.span.end.max(start.start) - around.start).clamp(before, line.len());
        let excerpt = Excerpt::new(line, before..end);
        let annotation = kind.span(excerpt.marked);
        Snippet::source(excerpt.text)
            .line_start(lines.position(around.start).line)
            .path(PLACE)
            .annotation(match label {
                Some(label) => annotation.label(label),
                None => annotation,
            })
    }

    /// The workflow commands by which GitHub annotates the lines of a pull request:
    /// <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>.
    pub(crate) fn github(&self) -> String {
        let data = |text: &str| {
            let text = text.replace('%', "%25").replace('\r', "%0D");
            text.replace('\n', "%0A")
        };
        let property = |text: &str| data(text).replace(':', "%3A").replace(',', "%2C");
        let mut commands = String::new();
        for row in self.rows() {
            // GitHub takes columns only within one line.
            let columns = if row.line == row.end_line {
                format!(",col={},endColumn={}", row.column, row.end_column)
            } else {
                String::new()
            };
            let _ = writeln!(
                commands,
                "::{} file={},line={},endLine={}{columns},title={}::{}",
                row.severity,
                property(row.file),
                row.line,
                row.end_line,
                property(&format!("exp: {}", row.rule)),
                data(&format!("{}\nhelp: {}", row.message, row.help)),
            );
        }
        commands
    }
}

/// Stands for the name of a file, as it is in no text that is shown: the renderer counts columns in the
/// excerpt, and says them after the name.
const PLACE: &str = "\u{1}";

/// Puts the places in the files where the renderer has said those in the excerpts.
fn put_places(drawn: &str, places: &[String]) -> String {
    let mut parts = drawn.split(PLACE);
    let mut put = parts.next().unwrap_or_default().to_owned();
    for (part, place) in parts.zip(places) {
        put.push_str(place);
        put.push_str(part.trim_start_matches(|c: char| c == ':' || c.is_ascii_digit()));
    }
    put
}

/// What is drawn of a line.
struct Excerpt {
    text: String,
    marked: Range<usize>,
}

/// How many characters of a line are drawn on each side of where a finding begins: more than fit on a
/// screen, and few enough for a line that is as long as a file.
const REACH: usize = 500;
/// What stands for the rest of a line.
const CUT: &str = "...";

impl Excerpt {
    fn new(line: &str, marked: Range<usize>) -> Self {
        let (before, from) = line.split_at(marked.start);
        let first = before.char_indices().rev().take(REACH).last();
        let first = first.map_or(before.len(), |(at, _)| at);
        let length = from.char_indices().nth(REACH).map(|(at, _)| at);
        let kept = &from[..length.unwrap_or(from.len())];
        let (marked, after) = kept.split_at(marked.len().min(kept.len()));
        let cut = |is_cut| if is_cut { CUT } else { "" };
        // Character for character, so that the columns stay.
        let shown = |text: &str| text.replace(is_never_shown, "\u{fffd}");
        let before = cut(first > 0).to_owned() + &shown(&before[first..]);
        let marked = shown(marked);
        Self {
            marked: before.len()..before.len() + marked.len(),
            text: before + &marked + &shown(after) + cut(length.is_some()),
        }
    }
}

/// What must not reach a terminal, or another character would stand where it is said to stand.
fn is_never_shown(c: char) -> bool {
    is_unsafe(c) && c != '\t' || c == '\u{feff}'
}

impl Serialize for Findings<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.rows())
    }
}

impl JsonSchema for Findings<'_> {
    fn schema_name() -> Cow<'static, str> {
        "Findings".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<Row<'_>>::json_schema(generator)
    }

    fn inline_schema() -> bool {
        true
    }
}

impl View for Findings<'_> {
    fn columns(&self) -> &'static [&'static str] {
        &[
            "severity", "rule", "file", "line", "column", "message", "help",
        ]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for row in self.rows() {
            tsv.line(&[
                row.severity.as_str(),
                row.rule,
                row.file,
                &row.line.to_string(),
                &row.column.to_string(),
                row.message,
                row.help,
            ]);
        }
    }

    fn text(&self, text: &mut Text) {
        let renderer = Renderer::styled().decor_style(DecorStyle::Ascii);
        let renderer = match text.width() {
            Some(width) => renderer.term_width(width),
            None => renderer,
        };
        for finding in self.all.iter().take(MAX_DRAWN) {
            text.line(self.draw(finding, &renderer));
            text.line("");
        }
        if let Some(more) = self.all.len().checked_sub(MAX_DRAWN)
            && more > 0
        {
            text.line(format_args!(
                "... and {more} more (--format json has all)\n"
            ));
        }
    }
}
