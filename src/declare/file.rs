//! Reads a file: TOML to declarations, each part of which knows where it stands. It tells everything
//! that can't be read, not only the first.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::finding::{Finding, Findings, Place, Rule};
use crate::bucketing::Bucketing;
use crate::error::Field;
use crate::experiment::{ExperimentConfig, ExperimentState, VariantConfig};
use crate::suggest::nearest;
use crate::text::Quoted;

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it is called in messages, for example its path.
    pub name: String,
    /// What it holds; what is not UTF-8 is replaced.
    pub text: String,
    /// The place in `text` of the first replacement.
    replaced_at: Option<usize>,
}

impl Source {
    /// A file of this name that holds this text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            name: name.into(),
            text: text
                .strip_prefix(BYTE_ORDER_MARK)
                .map_or(text.clone(), str::to_owned),
            replaced_at: None,
        }
    }

    /// Whether it holds UTF-8 only.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        self.replaced_at.is_none()
    }

    /// A file of this name that holds these bytes. If they are not UTF-8, that is a finding.
    #[must_use]
    pub fn from_bytes(name: impl Into<String>, mut bytes: Vec<u8>) -> Self {
        if bytes.starts_with(BYTE_ORDER_MARK.as_bytes()) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        let replaced = |error: std::string::FromUtf8Error| {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some(at))
        };
        let (text, replaced_at) =
            String::from_utf8(bytes).map_or_else(replaced, |text| (text, None));
        Self {
            name: name.into(),
            text,
            replaced_at,
        }
    }
}

/// What some editors begin a file with. It takes no column.
const BYTE_ORDER_MARK: &str = "\u{feff}";

/// One `[[experiment]]` of a file.
#[derive(Debug, Clone)]
pub struct Declaration {
    /// What it says. Where the file says no state, it is that of the live experiment, or a draft.
    pub config: ExperimentConfig,
    /// The state, if the file says one. Without, the stored experiment keeps the state that it has.
    pub state: Option<ExperimentState>,
    pub(super) places: Places,
}

/// Where the parts of a declaration stand.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    pub(super) file: usize,
    pub(super) whole: Range<usize>,
    pub(super) name: Option<Range<usize>>,
    pub(super) description: Option<Range<usize>>,
    pub(super) state: Option<Range<usize>>,
    pub(super) winner: Option<Range<usize>>,
    pub(super) exclusion_group: Option<Range<usize>>,
    pub(super) bucketing: Option<Range<usize>>,
    pub(super) variants: Option<Range<usize>>,
    pub(super) variant_names: Vec<Range<usize>>,
    pub(super) weights: Vec<Range<usize>>,
    /// The keys that are written and could not be read; `weight` if any of them.
    pub(super) unread: Vec<&'static str>,
}

impl Declaration {
    /// Where a part stands, or the experiment's name if it is not written.
    pub(super) fn place(&self, part: Option<&Range<usize>>) -> Place {
        let places = &self.places;
        let span = part.cloned().or_else(|| places.name.clone());
        Place {
            file: places.file,
            span: span.unwrap_or_else(|| places.whole.clone()),
        }
    }

    /// Whether anything that is written could not be read.
    pub(super) fn is_unread(&self) -> bool {
        !self.places.unread.is_empty()
    }

    /// Whether a key is absent or could be read.
    pub(super) fn is_read(&self, key: &str) -> bool {
        !self.places.unread.contains(&key)
    }

    /// The file and the byte at which it begins.
    pub(super) fn begins(&self) -> (usize, usize) {
        (self.places.file, self.places.whole.start)
    }

    pub(super) fn name_place(&self) -> Place {
        self.place(None)
    }

    pub(super) fn weight_place(&self, variant: usize) -> Place {
        self.place(self.places.weights.get(variant))
    }

    pub(super) fn field_place(&self, field: Field) -> Place {
        let places = &self.places;
        match field {
            Field::Description => self.place(places.description.as_ref()),
            Field::Variant(index) => self.place(places.variant_names.get(index)),
            Field::ExclusionGroup => self.place(places.exclusion_group.as_ref()),
            _ => self.name_place(),
        }
    }
}

const TOP_KEYS: &[&str] = &["experiment"];
const EXPERIMENT_KEYS: &[&str] = &[
    "name",
    "description",
    "state",
    "winner",
    "exclusion_group",
    "bucketing",
    "variants",
];
const VARIANT_KEYS: &[&str] = &["name", "weight"];

/// How many syntax errors of one file are told; what follows a few is mostly of their making.
const MAX_SYNTAX_ERRORS: usize = 20;

/// Reads a file. What can't be read is told in `findings`.
pub(super) fn read(file: usize, source: &Source, findings: &mut Findings) -> Vec<Declaration> {
    let mut reader = Reader { file, findings };
    let text = &*source.text;
    if let Some(at) = source.replaced_at {
        let span = on_characters(text, at..at + 1);
        let message = "this is not UTF-8";
        reader.tell(Rule::Syntax, span, message, "save the file as UTF-8");
        return Vec::new();
    }
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors.iter().take(MAX_SYNTAX_ERRORS) {
            let span = on_characters(text, error.span().unwrap_or(0..0));
            let message = error.message().replace('\n', ", ");
            reader.tell(Rule::Syntax, span, message, "see https://toml.io");
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

type Read<T> = Option<(T, Range<usize>)>;

impl Reader<'_> {
    fn tell(
        &mut self,
        rule: Rule,
        span: Range<usize>,
        message: impl Into<String>,
        help: impl Into<String>,
    ) {
        let place = Place {
            file: self.file,
            span,
        };
        self.findings.push(Finding::new(rule, place, message, help));
    }

    fn document(&mut self, document: &DeTable<'_>) -> Vec<Declaration> {
        self.unknown_keys(document, TOP_KEYS);
        let Some(value) = document.get("experiment") else {
            return Vec::new();
        };
        let DeValue::Array(experiments) = value.get_ref() else {
            let found = value.get_ref().type_str();
            let message = format!("experiment is a list, and this is {}", article(found));
            let help = "begin each experiment with [[experiment]]";
            self.tell(Rule::WrongType, value.span(), message, help);
            return Vec::new();
        };
        let declared = experiments.iter().filter_map(|item| {
            let table = self.table(item, "an experiment")?;
            Some(self.experiment(table, item.span()))
        });
        declared.collect()
    }

    fn experiment(&mut self, table: &DeTable<'_>, whole: Range<usize>) -> Declaration {
        self.unknown_keys(table, EXPERIMENT_KEYS);
        let name = self.text(table, "name");
        if !table.contains_key("name") {
            let help = "add a line: name = \"...\"";
            self.tell(
                Rule::MissingName,
                whole.clone(),
                "an experiment has no name",
                help,
            );
        }
        let description = self.text(table, "description");
        let state = self.one_of(
            table,
            "state",
            &ExperimentState::ALL,
            ExperimentState::as_str,
        );
        let winner = self.text(table, "winner");
        let exclusion_group = self.text(table, "exclusion_group");
        let bucketing = self.one_of(table, "bucketing", &Bucketing::ALL, Bucketing::as_str);
        let mut places = Places {
            file: self.file,
            whole,
            ..Places::default()
        };
        let is_read = [
            ("name", name.is_some()),
            ("state", state.is_some()),
            ("winner", winner.is_some()),
            ("exclusion_group", exclusion_group.is_some()),
            ("bucketing", bucketing.is_some()),
        ];
        for (key, is_read) in is_read {
            if table.contains_key(key) && !is_read {
                places.unread.push(key);
            }
        }
        let variants = self.variants(table, &mut places);
        let mut take = |read: Read<String>, place: fn(&mut Places) -> &mut Option<Range<usize>>| {
            let (value, span) = read?;
            *place(&mut places) = Some(span);
            Some(value)
        };
        let config = ExperimentConfig {
            name: take(name, |p| &mut p.name).unwrap_or_default(),
            description: take(description, |p| &mut p.description),
            state: state
                .as_ref()
                .map_or(ExperimentState::Draft, |(state, _)| *state),
            variants,
            winner: take(winner, |p| &mut p.winner),
            exclusion_group: take(exclusion_group, |p| &mut p.exclusion_group),
            bucketing: bucketing
                .as_ref()
                .map(|(found, _)| *found)
                .unwrap_or_default(),
            updated_at_secs: 0,
        };
        places.bucketing = bucketing.map(|(_, span)| span);
        places.state = state.as_ref().map(|(_, span)| span.clone());
        Declaration {
            config,
            state: state.map(|(state, _)| state),
            places,
        }
    }

    fn variants(&mut self, table: &DeTable<'_>, places: &mut Places) -> Vec<VariantConfig> {
        let Some(value) = table.get("variants") else {
            return Vec::new();
        };
        places.variants = Some(value.span());
        let DeValue::Array(items) = value.get_ref() else {
            let found = value.get_ref().type_str();
            let message = format!("variants is a list, and this is {}", article(found));
            let help = "write variants = [{ name = \"...\", weight = 50 }, ...]";
            self.tell(Rule::WrongType, value.span(), message, help);
            places.unread.push("variants");
            return Vec::new();
        };
        let mut variants = Vec::with_capacity(items.len());
        for item in items {
            let Some(variant) = self.table(item, "a variant") else {
                places.unread.push("variants");
                continue;
            };
            self.unknown_keys(variant, VARIANT_KEYS);
            let name = self.text(variant, "name");
            if !variant.contains_key("name") {
                let help = "add name = \"...\"";
                self.tell(
                    Rule::MissingName,
                    item.span(),
                    "a variant has no name",
                    help,
                );
            }
            let weight = self.weight(variant, item.span());
            let Some((name, span)) = name else {
                places.unread.push("variants");
                continue;
            };
            if weight.is_none() {
                places.unread.push("weight");
            }
            let (weight, weight_span) = weight.unwrap_or_else(|| (0, span.clone()));
            places.variant_names.push(span);
            places.weights.push(weight_span);
            variants.push(VariantConfig { name, weight });
        }
        variants
    }

    fn weight(&mut self, variant: &DeTable<'_>, whole: Range<usize>) -> Read<u32> {
        let help = "a weight is a whole number from 0 to 4294967295, relative to the other weights";
        let Some(value) = variant.get("weight") else {
            let message = "a variant has no weight";
            self.tell(Rule::BadWeight, whole, message, help);
            return None;
        };
        let parsed = value
            .get_ref()
            .as_integer()
            .and_then(|number| u32::from_str_radix(number.as_str(), number.radix()).ok());
        if parsed.is_none() {
            let message = match value.get_ref() {
                DeValue::Integer(_) => "this weight is out of range".to_owned(),
                other => format!(
                    "a weight is a whole number, and this is {}",
                    article(other.type_str())
                ),
            };
            self.tell(Rule::BadWeight, value.span(), message, help);
        }
        Some((parsed?, value.span()))
    }

    fn table<'t, 'i>(
        &mut self,
        item: &'t Spanned<DeValue<'i>>,
        what: &str,
    ) -> Option<&'t DeTable<'i>> {
        let table = item.get_ref().as_table();
        if table.is_none() {
            let found = item.get_ref().type_str();
            let message = format!("{what} is a table, and this is {}", article(found));
            self.tell(
                Rule::WrongType,
                item.span(),
                message,
                "write { name = ..., ... }",
            );
        }
        table
    }

    fn text(&mut self, table: &DeTable<'_>, key: &str) -> Read<String> {
        let value = table.get(key)?;
        if let Some(text) = value.get_ref().as_str() {
            return Some((text.to_owned(), value.span()));
        }
        let found = value.get_ref().type_str();
        let message = format!("{key} is text, and this is {}", article(found));
        self.tell(Rule::WrongType, value.span(), message, "put it in quotes");
        None
    }

    fn one_of<T: Copy>(
        &mut self,
        table: &DeTable<'_>,
        key: &str,
        all: &[T],
        name: fn(T) -> &'static str,
    ) -> Read<T> {
        let (text, span) = self.text(table, key)?;
        if let Some(value) = all.iter().find(|value| name(**value) == text) {
            return Some((*value, span));
        }
        let names = || all.iter().map(|value| name(*value));
        let help = match nearest(&text, names()) {
            Some(nearest) => format!("did you mean '{nearest}'?"),
            None => format!("it is one of {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("no {key} is called {}", Quoted(&text));
        self.tell(Rule::BadValue, span, message, help);
        None
    }

    fn unknown_keys(&mut self, table: &DeTable<'_>, known: &[&str]) {
        for key in table.keys() {
            let name: &str = key.get_ref();
            if known.contains(&name) {
                continue;
            }
            let longer = known.iter().copied().find(|known| known.contains(name));
            let help = match nearest(name, known.iter().copied()).or(longer) {
                Some(nearest) => format!("did you mean '{nearest}'?"),
                None => format!("known here: {}", known.join(", ")),
            };
            let message = format!("unknown key {}", Quoted(name));
            self.tell(Rule::UnknownKey, key.span(), message, help);
        }
    }
}
