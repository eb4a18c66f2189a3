//! What a field may hold, and the value that it has.

use std::borrow::Cow;
use std::fmt;

use crate::coverage::{Coverage, NotACoverage};
use crate::experiment::{VariantConfig, VariantValues};
use crate::metric::{Cap, MetricConfig, NotACap, NotAWindow, Window};
use crate::number::{Finite, NumberRange};

/// The longest name of an experiment, a variant, an exclusion group, a metric or a column, and the longest
/// salt, in bytes.
pub const MAX_NAME_BYTES: usize = 255;
/// The longest description, in bytes.
pub const MAX_DESCRIPTION_BYTES: usize = 4096;
/// The most variants of one experiment.
pub const MAX_VARIANTS: usize = 1000;
/// The longest value of a variant, as JSON text, in bytes.
pub const MAX_VALUE_BYTES: usize = 65_536;
/// How deep tables and lists may be nested in the value of a variant. JSON is read to a depth of 127, and the log and
/// a plan hold values some levels down.
pub const MAX_VALUE_DEPTH: usize = 64;
/// The most metrics of one experiment.
pub const MAX_METRICS: usize = 100;
/// The most actors to tune for.
pub const MAX_TUNING_ACTORS: u64 = 1_000_000_000_000;
/// The columns of outcomes that say who and when, and so no metric's value.
pub const RESERVED_COLUMNS: [&str; 2] = ["actor", "timestamp"];

/// What a field may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldKind {
    /// A name: at most [`MAX_NAME_BYTES`], not blank, without control characters.
    Name,
    /// Text of at most so many bytes, with anything in it but NUL.
    Text(usize),
    /// One of a few words.
    OneOf {
        /// What the set is called in the JSON Schema.
        set: &'static str,
        /// Each word, and what it means.
        words: &'static [(&'static str, &'static str)],
    },
    /// Yes or no.
    Flag,
    /// A share above 0 and at most 1.
    Share,
    /// A number of this range.
    Number(NumberRange),
    /// A whole number from 1 to this one.
    Count(u64),
    /// How long outcomes count.
    Window,
    /// What large outcomes are cut to.
    Cap,
    /// A column of outcomes: a name, and none of [`RESERVED_COLUMNS`].
    Column,
    /// The list of variants.
    Variants,
    /// A JSON value for each variant. A file has each beside its variant.
    Values,
    /// The list of metrics.
    Metrics,
}

/// What it may hold, as a sentence has it after "it must be".
impl fmt::Display for FieldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("a name"),
            Self::Text(_) => f.write_str("text"),
            Self::OneOf { words, .. } => {
                let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
                write!(f, "one of {}", words.join(", "))
            }
            Self::Flag => f.write_str("true or false"),
            Self::Share => write!(f, "a number {}", NotACoverage::RANGE),
            Self::Number(range) => range.fmt(f),
            Self::Count(most) => write!(f, "a whole number from 1 to {most}"),
            Self::Window => f.write_str(NotAWindow::ALLOWED),
            Self::Cap => f.write_str(NotACap::ALLOWED),
            Self::Column => f.write_str("the name of a column"),
            Self::Variants => f.write_str("a list of variants"),
            Self::Values => f.write_str("a value for each variant, all of one type"),
            Self::Metrics => f.write_str("a list of metrics"),
        }
    }
}

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FieldValue<'a> {
    /// Text, or one of a few words.
    Text(&'a str),
    /// Yes or no.
    Flag(bool),
    /// A share.
    Share(Coverage),
    /// A number.
    Number(Finite),
    /// A whole number.
    Count(u64),
    /// How long outcomes count.
    Window(Window),
    /// What large outcomes are cut to.
    Cap(Cap),
    /// The list of variants.
    Variants(&'a [VariantConfig]),
    /// A value for each variant.
    Values(&'a VariantValues),
    /// The list of metrics.
    Metrics(&'a [MetricConfig]),
}

/// For each kind of value: it, if it is of that kind.
macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident $variant:ident $type:ty;)+) => {
        impl<'a> FieldValue<'a> {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(self) -> Option<$type> {
                    match self {
                        Self::$variant(value) => Some(value),
                        _ => None,
                    }
                }
            )+
        }
    };
}

accessors! {
    /// The text, if it is text.
    text Text &'a str;
    /// Yes or no, if it is that.
    flag Flag bool;
    /// The share, if it is a share.
    share Share Coverage;
    /// The number, if it is a number that need not be whole.
    number Number Finite;
    /// The whole number, if it is one.
    count Count u64;
    /// The window, if it is a window.
    window Window Window;
    /// The cap, if it is a cap.
    cap Cap Cap;
    /// The variants, if it is the list of variants.
    variants Variants &'a [VariantConfig];
    /// The values, if it is those of the variants.
    values Values &'a VariantValues;
    /// The metrics, if it is the list of metrics.
    metrics Metrics &'a [MetricConfig];
}

impl<'a> FieldValue<'a> {
    /// It as text, if it is no list.
    #[must_use]
    pub fn to_text(self) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Text(text) => text.into(),
            Self::Flag(flag) => flag.to_string().into(),
            Self::Share(share) => share.to_string().into(),
            Self::Number(number) => number.to_string().into(),
            Self::Count(count) => count.to_string().into(),
            Self::Window(window) => window.to_string().into(),
            Self::Cap(cap) => cap.to_string().into(),
            Self::Variants(_) | Self::Values(_) | Self::Metrics(_) => return None,
        })
    }
}

pub(super) fn text(value: Option<&str>) -> Option<FieldValue<'_>> {
    value.map(FieldValue::Text)
}

/// Puts a value in its place. `None`, and nothing put, if there is none.
pub(super) fn put<T>(place: &mut T, value: Option<T>) -> Option<()> {
    *place = value?;
    Some(())
}

pub(super) fn put_text(place: &mut Option<String>, value: FieldValue<'_>) -> Option<()> {
    put(place, value.text().map(|text| Some(text.to_owned())))
}
