//! What both programs can do, in words that belong to neither.

use std::collections::BTreeMap;

/// An experiment as a program shows it. The winner of one that isn't concluded is nobody's business:
/// the application keeps it when it starts one again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) state: State,
    pub(crate) variants: Vec<(String, u32)>,
    pub(crate) winner: Option<String>,
    pub(crate) group: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Draft,
    Running,
    Concluded,
    Archived,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotFound,
    NotRunning,
    Concluded,
    Archived,
    Excluded,
    NoVariant,
    UnknownVariant,
    VariantInUse,
    Exists,
    /// What no rule explains.
    Failed(String),
}

pub(crate) type Done = Result<(), Refusal>;

/// What an actor is given, and the exposure that is recorded of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) variant: String,
    /// Whether it says that an override is behind it; `None` without an exposure.
    pub(crate) exposed: Option<bool>,
}

pub(crate) trait Program: Sync {
    fn create(&self, name: &str, variants: &[(String, u32)], group: Option<&str>) -> Done;
    fn start(&self, name: &str) -> Done;
    fn conclude(&self, name: &str, winner: &str) -> Done;
    fn archive(&self, name: &str) -> Done;
    fn set_weights(&self, name: &str, variants: &[(String, u32)]) -> Done;
    fn set_override(&self, name: &str, actor: &str, variant: &str) -> Done;
    fn assign(&self, name: &str, actor: &str) -> Result<Given, Refusal>;
    fn list(&self) -> BTreeMap<String, Config>;
    /// The texts of the changes, newest first.
    fn history(&self, name: &str) -> Vec<String>;
}

/// A split, as tests write it.
pub(crate) fn split(variants: &[(&str, u32)]) -> Vec<(String, u32)> {
    let variants = variants.iter();
    variants
        .map(|(name, weight)| ((*name).to_owned(), *weight))
        .collect()
}
