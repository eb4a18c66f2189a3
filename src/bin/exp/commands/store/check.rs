use std::fs::File;
use std::io;

use anyhow::Context as _;
use clap::Args;
use experiments::{ExperimentError, ExperimentStoreError, StoreFault, StoreFinding};
use schemars::JsonSchema;
use serde::Serialize;

use crate::context::{Context, Opened, Purpose};
use crate::environment::NamedStore;
use crate::exit::SomethingFound;
use crate::output::View;
use crate::output::text::{Text, safe};
use crate::output::tsv::Tsv;

/// Verify that the store is whole and that its data is consistent
///
/// It reads every column of every row, as the other commands would, and compares the rows with each
/// other and the tables with those that exp makes. What is wrong is printed, one line each, and the
/// exit code is 9. When memory or the disk fails, that is an error with exit code 1, and says
/// nothing about the store.
///
/// --repair mends what follows from the rest of the store: it recounts assignments, makes missing
/// indexes, functions and triggers, lists a removed variant that actors still hold again with weight
/// 0, and drops overrides of variants that never were. It changes no assignment, no exposure and no
/// entry of the history, and adds an entry for what it does.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp store check\n  \
    exp store check --repair\n\n\
    TSV columns: code, subject, count, status (found, repairable or repaired), message")]
pub(crate) struct Check {
    /// Mend what can be mended without a guess
    #[arg(long)]
    repair: bool,
}

impl Check {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let (repaired, found) = match self.look(context) {
            Err(error) if is_corrupt(&error) => {
                read_through(context)?;
                return Err(error);
            }
            looked => looked?,
        };
        if found.iter().any(|f| f.code == StoreFault::Structure) {
            read_through(context)?;
        }
        self::show(context, repaired, found)
    }

    /// What was repaired, and what is wrong after that.
    fn look(&self, context: &Context) -> anyhow::Result<(Vec<StoreFinding>, Vec<StoreFinding>)> {
        let purpose = if self.repair {
            Purpose::Change
        } else {
            Purpose::Use
        };
        let opened = context.open(purpose)?;
        let repaired = if self.repair {
            repair(&opened)?
        } else {
            Vec::new()
        };
        let found = check(&opened)?;
        Ok((repaired, found))
    }
}

fn show(
    context: &Context,
    repaired: Vec<StoreFinding>,
    found: Vec<StoreFinding>,
) -> anyhow::Result<()> {
    let (mended, left) = (number(&repaired), number(&found));
    let repairable = number(found.iter().filter(|finding| finding.repairable));
    let repaired = repaired.into_iter().map(|finding| Row::new(finding, true));
    let found = found.into_iter().map(|finding| Row::new(finding, false));
    context.show(&Rows(repaired.chain(found).collect()))?;
    if mended > 0 {
        context.say(format_args!("repaired {mended}"));
    }
    if left == 0 {
        context.say("nothing wrong was found");
        return Ok(());
    }
    if repairable > 0 {
        context.say(format_args!(
            "exp store check --repair mends {repairable} of {left}"
        ));
    }
    Err(SomethingFound.into())
}

/// How many there are, with those that are only counted.
fn number<'a>(findings: impl IntoIterator<Item = &'a StoreFinding>) -> u64 {
    findings.into_iter().map(|finding| finding.findings).sum()
}

fn is_corrupt(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<ExperimentError>();
    matches!(
        error,
        Some(ExperimentError::Store(ExperimentStoreError::Corrupt { .. }))
    )
}

/// Fails if the disk does: SQLite calls a file damaged that it can't read. By now it has closed the file,
/// so that reading it in another way releases no lock.
fn read_through(context: &Context) -> anyhow::Result<()> {
    let NamedStore::File(path) = context.place()? else {
        return Ok(());
    };
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    for path in [path, log.into()] {
        let file = match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file,
        };
        file.and_then(|mut file| io::copy(&mut file, &mut io::sink()))
            .with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(())
}

fn check(opened: &Opened) -> Result<Vec<StoreFinding>, ExperimentError> {
    match opened {
        Opened::File(store) => store.check(),
        Opened::Database(store) => store.check(),
    }
}

fn repair(opened: &Opened) -> Result<Vec<StoreFinding>, ExperimentError> {
    match opened {
        Opened::File(store) => store.repair(),
        Opened::Database(store) => store.repair(),
    }
}

#[derive(Serialize, JsonSchema)]
struct Row {
    #[serde(flatten)]
    finding: StoreFinding,
    /// Whether --repair has mended it.
    repaired: bool,
}

impl Row {
    fn new(finding: StoreFinding, repaired: bool) -> Self {
        Self { finding, repaired }
    }

    fn status(&self) -> &'static str {
        match (self.repaired, self.finding.repairable) {
            (true, _) => "repaired",
            (false, true) => "repairable",
            (false, false) => "found",
        }
    }
}

#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(in crate::commands) struct Rows(Vec<Row>);

impl View for Rows {
    fn columns(&self) -> &'static [&'static str] {
        &["code", "subject", "count", "status", "message"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for row in &self.0 {
            let finding = &row.finding;
            tsv.line(&[
                finding.code.id(),
                &finding.subject,
                &finding.count.to_string(),
                row.status(),
                &finding.message,
            ]);
        }
    }

    fn text(&self, text: &mut Text) {
        for row in &self.0 {
            let message = safe(&row.finding.message);
            let mark = if row.repaired { "repaired: " } else { "" };
            text.line(format_args!("{mark}{message}"));
        }
    }
}
