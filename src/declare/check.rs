//! What can be told of declarations without a store.

use std::collections::{HashMap, HashSet};

use super::declaration::Declaration;
use super::finding::{Finding, Findings, Lint, Severity};
use super::judge::judge;
use super::problems::check_config;
use super::read::read;
use super::similar::check_similar;
use super::source::SourceFile;
use crate::experiment::{ExperimentConfig, ExperimentState};
use crate::field::ConfigField;
use crate::independence::{IdSample, dependences, remedies};
use crate::text::Quoted;

/// What came of looking at files.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// The experiments, in the order of the files, with those that have faults.
    pub declarations: Vec<Declaration>,
    /// What was found, in the order of the files. Of very many findings of one lint the last
    /// [stands for](Finding::count) the rest.
    pub findings: Vec<Finding>,
    /// Where those errors begin that are not among the findings, as file and byte.
    cut_errors: Vec<(usize, usize)>,
}

/// Checks files as one set: each declaration by itself, and all beside each other and beside the
/// experiments that are live elsewhere.
#[must_use]
pub fn check(sources: &[SourceFile], live: &[ExperimentConfig]) -> Checked {
    let mut findings = Findings::default();
    let mut declarations = Vec::new();
    for (index, source) in sources.iter().enumerate() {
        declarations.extend(read(index, source, &mut findings));
    }
    let by_name: HashMap<&str, &ExperimentConfig> =
        live.iter().map(|live| (&*live.name, live)).collect();
    for declaration in &mut declarations {
        if let Some(live) = by_name.get(&*declaration.config.name) {
            keep_state(declaration, live);
        }
    }
    for declaration in &declarations {
        let live = by_name.get(&*declaration.config.name).copied();
        check_config(declaration, live, &mut findings);
        judge(declaration, &mut findings);
    }
    let declared: HashSet<&str> = declarations.iter().map(|d| &*d.config.name).collect();
    let others: Vec<&ExperimentConfig> = live
        .iter()
        .filter(|live| !declared.contains(&*live.name))
        .collect();
    check_names(&declarations, &mut findings);
    check_similar(&declarations, &others, &mut findings);
    check_groups(&declarations, &others, &mut findings);
    let (findings, cut_errors) = findings.into_parts();
    Checked {
        declarations,
        findings,
        cut_errors,
    }
}

impl Checked {
    /// The declarations in which no error was found.
    #[must_use]
    pub fn sound(&self) -> Vec<Declaration> {
        let mut is_sound = vec![true; self.declarations.len()];
        // A store may hold an experiment whose weights are all 0.
        let is_fault =
            |f: &&Finding| f.severity() == Severity::Error && f.lint != Lint::AllWeightsZero;
        let errors = self.findings.iter().filter(is_fault);
        let errors = errors.map(|error| (error.place.file, error.place.span.start));
        for key in errors.chain(self.cut_errors.iter().copied()) {
            // The last that begins before it: declarations are in the order of the files.
            let after = self.declarations.partition_point(|d| d.begins() <= key);
            if let Some(owner) = after.checked_sub(1)
                && self.declarations[owner].begins().0 == key.0
            {
                is_sound[owner] = false;
            }
        }
        let sound = self.declarations.iter().zip(is_sound);
        let sound = sound.filter(|(_, is_sound)| *is_sound);
        sound.map(|(declaration, _)| declaration.clone()).collect()
    }
}

/// Without a state of its own, an experiment keeps the one that it has elsewhere, and its winner.
fn keep_state(declaration: &mut Declaration, live: &ExperimentConfig) {
    if declaration.state.is_some() || !declaration.is_read(ConfigField::State) {
        return;
    }
    let keeps_winner =
        declaration.config.winner.is_none() && declaration.is_read(ConfigField::Winner);
    let config = &mut declaration.config;
    config.state = live.state;
    if keeps_winner {
        config.winner.clone_from(&live.winner);
    }
}

/// Warns of experiments that don't say what they are about.
#[must_use]
pub fn check_descriptions(declarations: &[Declaration]) -> Vec<Finding> {
    let silent = declarations.iter().filter(|d| {
        let description = d.config.description.as_deref();
        // Without a name it is no experiment yet.
        !d.config.name.is_empty() && description.unwrap_or_default().trim().is_empty()
    });
    let found = silent.map(|d| {
        let message = format!("{} has no description", Quoted(&d.config.name));
        let help = "add a line: description = \"...\"";
        let place = d.field_place(ConfigField::Description);
        Finding::new(Lint::MissingDescription, place, message, help)
    });
    found.collect::<Findings>().into_vec()
}

/// How many experiments are measured against each other; the pairs of more are too many.
pub const MAX_MEASURED: usize = 1000;

/// Measures every pair of declared experiments, and every declared one with every one that is live
/// elsewhere, and tells of those that may run at the same time and whose assignments are not
/// independent over one of these kinds of ids. What is live and declared counts as it is declared. Of
/// more than [`MAX_MEASURED`] experiments, the last declared ones are measured, then live ones.
#[must_use]
pub fn check_independence(
    declarations: &[Declaration],
    live: &[ExperimentConfig],
    samples: &[IdSample<'_>],
) -> Vec<Finding> {
    let declared: HashSet<&str> = declarations.iter().map(|d| &*d.config.name).collect();
    let others = live.iter().filter(|live| !declared.contains(&*live.name));
    // The live ones first, so that the second of a pair that is wanted is a declared one.
    let mut configs: Vec<&ExperimentConfig> = others.collect();
    // What could not be read might be what keeps two apart.
    let is_whole = |d: &&Declaration| !d.is_unread();
    let declarations: Vec<&Declaration> = declarations.iter().filter(is_whole).collect();
    configs.truncate(MAX_MEASURED.saturating_sub(declarations.len()));
    let live_only = configs.len();
    let declarations = &declarations[declarations.len().saturating_sub(MAX_MEASURED)..];
    configs.extend(declarations.iter().map(|d| &d.config));
    let found = dependences(&configs, samples, |_, second| second >= live_only);
    let started = live.iter().filter(|c| c.state != ExperimentState::Draft);
    let started: HashSet<&str> = started.map(|config| &*config.name).collect();
    let may_change = |place: usize| !started.contains(&*configs[place].name);
    let remedies = remedies(&configs, &found, samples, may_change);
    let found = found.into_iter().zip(remedies).map(|(dependence, remedy)| {
        let (first, second) = dependence.pair;
        let message = dependence.describe(&configs[first].name, &configs[second].name);
        let place = declarations[second - live_only].name_place();
        let finding = Finding::new(
            Lint::DependentAssignments,
            place,
            message,
            remedy.to_string(),
        );
        match first.checked_sub(live_only) {
            Some(first) => {
                let place = declarations[first].name_place();
                finding.with_related(place, "the other experiment")
            }
            None => finding,
        }
    });
    found.collect::<Findings>().into_vec()
}

fn check_names(declarations: &[Declaration], findings: &mut Findings) {
    let mut same: HashMap<&str, &Declaration> = HashMap::new();
    for declaration in declarations.iter().filter(|d| !d.config.name.is_empty()) {
        let name = &*declaration.config.name;
        let Some(first) = same.get(name) else {
            same.insert(name, declaration);
            continue;
        };
        let message = format!("{} is declared twice", Quoted(name));
        let help = "rename one of them, or remove it";
        let place = declaration.name_place();
        findings.push(
            Finding::new(Lint::DuplicateExperiment, place, message, help)
                .with_related(first.name_place(), "the first with that name"),
        );
    }
}

fn check_groups(
    declarations: &[Declaration],
    others: &[&ExperimentConfig],
    findings: &mut Findings,
) {
    if !declarations
        .iter()
        .all(|d| d.is_read(ConfigField::ExclusionGroup))
    {
        return;
    }
    let mut members: HashMap<&str, Vec<&Declaration>> = HashMap::new();
    for declaration in declarations {
        if let Some(group) = &declaration.config.exclusion_group {
            members.entry(group).or_default().push(declaration);
        }
    }
    for (group, members) in members {
        let is_member = |other: &&ExperimentConfig| other.exclusion_group.as_deref() == Some(group);
        if let [only] = members[..]
            && !others.iter().any(is_member)
        {
            let message = format!("no other experiment is in the group {}", Quoted(group));
            let help =
                "a group keeps its members apart; name it in another experiment, or remove it";
            let place = only.field_place(ConfigField::ExclusionGroup);
            findings.push(Finding::new(Lint::LonelyGroup, place, message, help));
        }
    }
}
