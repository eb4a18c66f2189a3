//! Reads a file: TOML to declarations. It reports everything that can't be read, not only the first.

mod json;
mod metrics;
mod value;
mod variants;

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::declaration::{Declaration, SourceSpans};
use super::finding::{Finding, Findings, Lint, SourceSpan};
use super::source::SourceFile;
use crate::experiment::ExperimentConfig;
use crate::field::{ConfigField, FieldKind};
use crate::suggest::nearest;
use crate::text::Quoted;

const TOP_KEYS: &[&str] = &["experiment"];

/// How many syntax errors of one file are reported; those after the first few mostly follow from them.
const MAX_SYNTAX_ERRORS: usize = 20;

/// Reads a file. What can't be read is told in `findings`.
pub(super) fn read(file: usize, source: &SourceFile, findings: &mut Findings) -> Vec<Declaration> {
    let mut reader = Reader { file, findings };
    let text = &*source.text;
    if let Some(at) = source.replaced_at {
        let span = on_characters(text, at..at + 1);
        let message = "this is not UTF-8";
        reader.tell(Lint::Syntax, span, message, "save the file as UTF-8");
        return Vec::new();
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors.iter().take(MAX_SYNTAX_ERRORS) {
            let span = on_characters(text, error.span().unwrap_or(0..0));
            let message = error.message().replace('\n', ", ");
            reader.tell(Lint::Syntax, span, message, "see https://toml.io");
        }
        return Vec::new();
    }
    reader.document(document.get_ref())
}

/// The span, widened to begin and end between characters.
fn on_characters(text: &str, span: Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.ceil_char_boundary(span.end.clamp(start, text.len()));
    start..end
}

/// The name of a type, as a sentence has it.
fn article(name: &str) -> String {
    let begins = name.starts_with(['a', 'e', 'i', 'o', 'u']);
    format!("{} {name}", if begins { "an" } else { "a" })
}

struct Reader<'f> {
    file: usize,
    findings: &'f mut Findings,
}

impl Reader<'_> {
    fn tell(
        &mut self,
        lint: Lint,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let place = SourceSpan {
            file: self.file,
            span,
        };
        self.findings.push(Finding::new(lint, place, message, help));
    }

    fn document(&mut self, document: &DeTable<'_>) -> Vec<Declaration> {
        self.unknown_keys(document, TOP_KEYS);
        let Some(value) = document.get("experiment") else {
            return Vec::new();
        };
        let help = "begin each experiment with [[experiment]]";
        let Some(experiments) = self.list("experiment", value, help) else {
            return Vec::new();
        };
        let declared = experiments.iter().filter_map(|item| {
            let table = self.table(item, "an experiment")?;
            Some(self.experiment(table, item.span()))
        });
        declared.collect()
    }

    fn experiment(&mut self, table: &DeTable<'_>, whole: Range<usize>) -> Declaration {
        let fields = || ConfigField::ALL.into_iter().filter(|field| field.has_key());
        let keys: Vec<&str> = fields().map(ConfigField::key).collect();
        self.unknown_keys(table, &keys);
        if !table.contains_key("name") {
            let help = "add a line: name = \"...\"";
            self.tell(
                Lint::MissingName,
                whole.clone(),
                "an experiment has no name",
                help,
            );
        }
        let mut config = ExperimentConfig::new("", Vec::new());
        let mut places = SourceSpans {
            file: self.file,
            whole,
            ..SourceSpans::default()
        };
        for field in fields() {
            let Some(value) = table.get(field.key()) else {
                continue;
            };
            if field.kind() == FieldKind::Variants {
                places.fields.insert(field, value.span());
                (config.variants, config.values) = self.variants(value, &mut places);
            } else if field.kind() == FieldKind::Metrics {
                places.fields.insert(field, value.span());
                config.analysis.metrics = self.metrics(value, &mut places);
            } else if let Some(read) = self.value(field.key(), field.kind(), value)
                && field.set(&mut config, read)
            {
                places.fields.insert(field, value.span());
            } else {
                places.unread.push(field);
            }
        }
        let says_state = places.fields.contains_key(&ConfigField::State);
        Declaration {
            state: says_state.then_some(config.state),
            config,
            places,
        }
    }

    fn list<'t, 'i>(
        &mut self,
        key: &str,
        value: &'t Spanned<DeValue<'i>>,
        help: &str,
    ) -> Option<&'t [Spanned<DeValue<'i>>]> {
        let list = value.get_ref().as_array();
        if list.is_none() {
            let found = value.get_ref().type_str();
            let message = format!("{key} must be a list, not {}", article(found));
            self.tell(Lint::WrongType, value.span(), message, help);
        }
        list.map(|list| &**list)
    }

    fn table<'t, 'i>(
        &mut self,
        item: &'t Spanned<DeValue<'i>>,
        what: &str,
    ) -> Option<&'t DeTable<'i>> {
        let table = item.get_ref().as_table();
        if table.is_none() {
            let found = item.get_ref().type_str();
            let message = format!("{what} must be a table, not {}", article(found));
            self.tell(
                Lint::WrongType,
                item.span(),
                message,
                "write { name = ..., ... }",
            );
        }
        table
    }

    fn unknown_keys(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let longer = known.iter().copied().find(|known| known.contains(name));
            let is_of_variants =
                name == ConfigField::Values.key() && known.contains(&ConfigField::Variants.key());
            let help = match nearest(name, known.iter().copied()).or(longer) {
                _ if is_of_variants => {
                    "give each variant its own: { name = ..., weight = ..., value = ... }"
                        .to_owned()
                }
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => format!("known keys: {}", known.join(", ")),
            };
            let message = format!("unknown key {}", Quoted(name));
            self.tell(Lint::UnknownKey, key.span(), message, help);
        }
    }
}
