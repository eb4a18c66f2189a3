mod buffer;
mod editor;
mod signals;

use std::io::{self, IsTerminal as _};

use clap::Args;
use experiments::declare::{self, Current, Finding, SourceFile, to_toml};
use experiments::text::escape;
use experiments::{ExperimentConfig, ExperimentError, ExperimentState};

use self::editor::Editor;
use super::apply::{self, Applied};
use super::proposal::{self, Proposal, Read};
use crate::complete;
use crate::context::{Context, Purpose};
use crate::environment;
use crate::exit::{EnvironmentError, Failed, Invalid, UsageError};
use crate::output::findings::Findings;
use crate::output::plan::PlanView;
use crate::output::stream;

/// Change an experiment in an editor
///
/// Opens its definition, as exp export writes it, in $VISUAL, $EDITOR or vi. Then it checks what was
/// saved, shows what would change and who would move, and asks. What can't be applied opens the editor
/// again, with the reasons at the top; a file that is saved unchanged or empty ends the edit. If somebody
/// changes the experiment meanwhile, nothing is applied.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  EDITOR='code --wait' exp edit checkout_v2\n\n\
    TSV columns: experiment, timestamp_secs, operator, mutation, before, after"
)]
pub(crate) struct Edit {
    /// The experiment's name
    #[arg(add = complete::live_experiments())]
    name: String,

    /// Apply without asking
    #[arg(short, long)]
    yes: bool,
}

/// How often an editor is opened that no person sees: a script may never come to an end.
const MAX_OPENED_UNSEEN: usize = 10;

/// What came of an edit.
enum Edited {
    Nothing,
    Ready { text: String, proposal: Proposal },
}

impl Edit {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let current = context.service(Purpose::Look)?.current()?;
        self.find(&current)?;
        if !self.yes && !stream::can_ask() {
            let message = "there is no terminal to ask on; use --yes to apply without asking";
            return Err(UsageError(message.to_owned()).into());
        }
        if !environment::names_editor() && !io::stdin().is_terminal() {
            let message =
                "there is no terminal for an editor; VISUAL or EDITOR names another program";
            return Err(EnvironmentError(message.to_owned()).into());
        }
        let editor = Editor::new(&self.name);
        let (text, Proposal { plan, warnings }) = match self.edit(context, &editor, &current)? {
            Edited::Ready { text, proposal } if proposal.plan.has_changes() => (text, proposal),
            Edited::Ready { .. } | Edited::Nothing => {
                context.say("nothing changed");
                return context.show(&Applied::at_once(Vec::new()));
            }
        };
        if self.yes {
            apply::warn_of_hypothesis(context, &plan);
        } else {
            stream::tell_styled(context.render_text(&PlanView(&plan)));
            context.warn_of_each(&warnings);
            if !stream::confirm("Apply this?")? {
                let error = Failed("nothing was applied".to_owned()).into();
                return Err(editor.keep(text.as_bytes(), error));
            }
        }
        let changes = apply::apply(context, &plan);
        let changes = changes.map_err(|error| editor.keep(text.as_bytes(), error))?;
        let applied = Applied::at_once(changes);
        applied.tell(context);
        if self.yes {
            context.warn_of_each(&warnings);
        }
        context.show(&applied)
    }

    /// The experiment, if it may still change.
    fn find<'a>(&self, current: &'a [Current]) -> Result<&'a ExperimentConfig, ExperimentError> {
        let mut configs = current.iter().map(|current| &current.config);
        let found = configs.find(|config| config.name == self.name);
        let found = found.ok_or_else(|| ExperimentError::NotFound(self.name.clone()))?;
        if found.state == ExperimentState::Archived {
            return Err(ExperimentError::Archived(self.name.clone()));
        }
        Ok(found)
    }

    /// Has the experiment edited until it can be applied, or whoever edits it gives up.
    fn edit(
        &self,
        context: &Context,
        editor: &Editor,
        current: &[Current],
    ) -> anyhow::Result<Edited> {
        let found = self.find(current)?;
        let mut shown = buffer::first(&self.name, &to_toml(std::slice::from_ref(found)));
        for opened in 0.. {
            let is_first = opened == 0;
            if opened == MAX_OPENED_UNSEEN && !io::stdin().is_terminal() {
                break;
            }
            let saved = editor.edit(&shown);
            let saved = saved.map_err(|error| {
                if is_first {
                    error
                } else {
                    editor.keep(shown.as_bytes(), error)
                }
            })?;
            let saved = String::from_utf8(saved).map_err(|saved| {
                let error = Invalid("the file is not UTF-8".to_owned()).into();
                editor.keep(saved.as_bytes(), error)
            })?;
            let definition = buffer::definition(&saved);
            if buffer::is_empty(definition) {
                return Ok(Edited::Nothing);
            }
            if definition == buffer::definition(&shown) {
                if is_first {
                    return Ok(Edited::Nothing);
                }
                break;
            }
            let judge = |text: &str| self.judge(context, editor.file_name(), text, current);
            match buffer::with_problems(definition, judge)? {
                Ok(proposal) => {
                    return Ok(Edited::Ready {
                        text: saved,
                        proposal,
                    });
                }
                Err(again) => shown = again,
            }
        }
        stream::tell_styled(buffer::above(&shown));
        let message = "what was saved can't be applied".to_owned();
        Err(editor.keep(shown.as_bytes(), Invalid(message).into()))
    }

    /// What is proposed by what was written, or why nothing is, as text.
    fn judge(
        &self,
        context: &Context,
        file_name: &str,
        text: &str,
        current: &[Current],
    ) -> anyhow::Result<Result<Proposal, String>> {
        let source = SourceFile::new(file_name, text);
        let sources = std::slice::from_ref(&source);
        let declared = declare::check(sources, &[]).declarations;
        let names = declared.iter().map(|declared| &*declared.config.name);
        let others: Vec<&str> = names
            .filter(|name| *name != self.name && !name.is_empty())
            .collect();
        let name = escape(&self.name);
        if let Some(other) = others.first() {
            let other = escape(other);
            return Ok(Err(if declared.len() == 1 {
                format!(
                    "error: the name was changed from {name} to {other}\n  \
                     = help: put it back; exp rename gives a draft another name"
                )
            } else {
                format!(
                    "error: this file is for {name} only, and it also declares {other}\n  \
                     = help: remove it; exp apply takes a file of several experiments"
                )
            }));
        }
        let read = if self.yes { Read::After } else { Read::Before };
        let proposed = proposal::propose(context, sources, current, false, read)?;
        Ok(proposed.map_err(|findings| drawn(context, sources, &findings)))
    }
}

fn drawn(context: &Context, sources: &[SourceFile], findings: &[Finding]) -> String {
    context.render_plain(&Findings::new(sources, findings))
}
