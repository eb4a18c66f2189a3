use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};
use experiments::ExperimentConfig;
use experiments::declare::{self, Checked, Finding, Severity, SourceFile};
use experiments::independence::{ENOUGH_IDS, IdSample, phi_limit};

use super::actor_list;
use super::files::{self, Sources};
use super::plan;
use super::root::Root;
use crate::context::{Context, Purpose};
use crate::exit::{SomethingFound, UsageError};
use crate::options::Format;
use crate::output::findings::Findings;
use crate::output::{json, sarif, stream};

/// Check files of experiments
///
/// Reports every problem in one run, including pairs of experiments that would bias each other. It
/// needs no store; with --store it also reports what that store would refuse.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  \
    exp check experiments.toml\n  \
    exp check experiments/ --actors users.txt\n\n\
    Formats: text, json, tsv, github (annotations of a pull request), \
    sarif (SARIF 2.1.0)\nExit code 9 if there is an error; see exp check --help",
    after_long_help = "\
Examples:
  exp check experiments.toml
  exp check experiments/ --actors users.txt

Formats: text, json, tsv, github (annotations of a pull request), sarif (SARIF 2.1.0)

TSV columns: severity, rule, file, line, column, message, help

Two experiments bias each other if their assignments are not independent: if
who gets the treatment of one also gets the treatment of the other more often,
or less often, than by chance. Neither split looks wrong by itself. It is
measured over ids like user:42, 42, 00000042 and UUIDs; with --actors also over
your own. Where a salt helps, one is named that was measured over the same ids.

Exit codes:
  0  no error (with --strict: no warning)
  9  there is one"
)]
pub(crate) struct Check {
    /// Files, or directories of .toml files; - is standard input
    #[arg(required = true, value_name = "FILE|DIR", value_hint = ValueHint::AnyPath)]
    files: Vec<PathBuf>,

    /// Fail on warnings too, and warn of missing descriptions
    #[arg(long)]
    strict: bool,

    /// Measure independence also over these ids, one a line
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    actors: Option<PathBuf>,

    /// Name files from this directory in --format github and sarif [default: the nearest one above
    /// with .git]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    root: Option<PathBuf>,
}

impl Check {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let is_input = |path: &Path| path == Path::new("-");
        if self.actors.as_deref().is_some_and(is_input) && self.files.iter().any(|f| is_input(f)) {
            let message = "standard input can't be both the files and the ids";
            return Err(UsageError(message.to_owned()).into());
        }
        let Sources {
            files: mut sources,
            paths,
            ..
        } = files::read_sources(&self.files)?;
        plan::refuse_plan(&sources)?;
        let ids = self.actors.as_deref().map(files::read_ids).transpose()?;
        let current = if context.names_a_store() {
            context.service(Purpose::Look)?.current()?
        } else {
            Vec::new()
        };
        if let Some(ids) = &ids {
            actor_list::warn(ids, context);
        }
        let live: Vec<ExperimentConfig> = current.iter().map(|c| c.config.clone()).collect();
        if let Some(ids) = &ids
            && ids.len() < ENOUGH_IDS
        {
            context.warn(format_args!(
                "{} different ids are few: only a phi above {:.2} can be told from chance",
                ids.len(),
                phi_limit(ids.len())
            ));
        }
        if ids.as_ref().is_some_and(|ids| ids.len() == files::MAX_IDS) {
            context.warn(format_args!(
                "independence is measured over the first {} ids",
                files::MAX_IDS
            ));
        }
        let checked = declare::check(&sources, &live);
        let sound = checked.sound();
        let Checked {
            declarations,
            mut findings,
            ..
        } = checked;
        if self.strict {
            findings.extend(declare::check_descriptions(&declarations));
        }
        let mut samples = IdSample::SHAPES.to_vec();
        samples.extend(ids.as_deref().map(IdSample::Given));
        findings.extend(declare::check_independence(&declarations, &live, &samples));
        if declarations.len() + live.len() > declare::MAX_MEASURED {
            context.warn(format_args!(
                "independence was measured among {} of {} experiments only",
                declare::MAX_MEASURED,
                declarations.len() + live.len()
            ));
        }
        if context.names_a_store() {
            findings.extend(match declare::plan(&sound, &current, false) {
                Ok((_, warnings)) => warnings,
                Err(findings) => findings,
            });
        }
        declare::sort(&mut findings);
        if matches!(context.format(), Format::Github | Format::Sarif) {
            let root = Root::find(self.root.as_deref())?;
            let files = sources.iter_mut().zip(&paths);
            for (source, path) in files.filter(|(_, path)| !is_input(path)) {
                source.name = root.name(path);
            }
        }
        show(context, &sources, &findings)?;
        let fails = if self.strict {
            Severity::Warning
        } else {
            Severity::Error
        };
        if findings.iter().any(|finding| finding.severity() >= fails) {
            return Err(SomethingFound.into());
        }
        Ok(())
    }
}

/// Prints findings in the format that was asked for, and says how many there are.
fn show(context: &Context, sources: &[SourceFile], findings: &[Finding]) -> anyhow::Result<()> {
    let view = Findings::new(sources, findings);
    match context.format() {
        Format::Github => stream::print(&view.github())?,
        Format::Sarif => stream::print(&json::safe_line(&sarif::log(&view))?)?,
        Format::Text | Format::Json | Format::Tsv | Format::Csv | Format::Markdown => {
            context.show(&view)?;
        }
    }
    context.say(view.summary());
    Ok(())
}
