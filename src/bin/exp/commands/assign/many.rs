//! Every actor of a file. A line is printed once the transaction that holds it is committed.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;

use anyhow::Context as _;
use experiments::{Allocation, Answers, AssignManyRequest, AssignmentReason, Keep, Verdict};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use schemars::JsonSchema;
use serde_json::Value;

use super::arguments::Assign;
use super::input::{BadLines, Input};
use super::repeated::Repeated;
use super::value;
use crate::context::{Context, Purpose};
use crate::options::Format;
use crate::output::{json, tsv};

pub(super) fn run(command: &Assign, file: &Path, context: &Context) -> anyhow::Result<()> {
    let (keep, purpose) = match (command.dry_run, command.expose) {
        (true, _) => (Keep::Nothing, Purpose::Look),
        (false, false) => (Keep::Assignments, Purpose::Use),
        (false, true) => (Keep::AssignmentsAndExposures, Purpose::Use),
    };
    let service = context.service(purpose)?;
    // An experiment that assigns nobody is told before the input is waited for.
    let config = service.status(&command.name)?;
    if command.value {
        value::require(&config)?;
    }
    service.assign_many(&AssignManyRequest {
        experiment: &command.name,
        actors: &["-"],
        keep: Keep::Nothing,
    })?;
    let mut input = Input::open(file, command.raw)?;
    let progress = progress(&input, context);
    let mut output = Output {
        writer: BufWriter::with_capacity(1 << 16, io::stdout().lock()),
        format: context.format(),
        allocation: config.allocation(),
        experiment: &command.name,
        prints_values: command.value,
        line: String::new(),
    };
    let mut summary = Summary::default();
    let mut bad = BadLines::default();
    let mut repeated = command.dry_run.then(Repeated::default);
    if context.wants_header() && output.format != Format::Json {
        output
            .writer
            .write_all(if command.value {
                b"actor\tvalue\n"
            } else {
                b"actor\tvariant\n"
            })
            .context("cannot write to standard output")?;
    }
    while let Some(batch) = input.next_batch()? {
        let actors = batch.actors();
        let mut answers = service.assign_many(&AssignManyRequest {
            experiment: &command.name,
            actors: &actors,
            keep,
        })?;
        if let Some(repeated) = &mut repeated {
            answers = repeated.answers(&actors, &answers);
        }
        bad.take(&batch, context);
        summary.blank += batch.blank;
        summary.take(&answers);
        output.write(&actors, &answers)?;
        // It moves with the batches, not by a thread of its own, which may not be to be had.
        progress.set_position(input.taken);
    }
    progress.finish_and_clear();
    context.say(&summary);
    bad.into_result()
}

fn progress(input: &Input, context: &Context) -> ProgressBar {
    // On a terminal the lines themselves show how it goes.
    if context.is_quiet() || io::stdout().is_terminal() {
        return ProgressBar::hidden();
    }
    let (bar, template) = match input.size {
        Some(size) => {
            let template = "{wide_bar} {percent}% {bytes_per_sec} {eta}";
            (ProgressBar::new(size), template)
        }
        None => (
            ProgressBar::new_spinner(),
            "{spinner} {bytes} {bytes_per_sec}",
        ),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr());
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

struct Output<'a, W> {
    writer: W,
    format: Format,
    allocation: Allocation,
    experiment: &'a str,
    prints_values: bool,
    line: String,
}

impl<W: Write> Output<'_, W> {
    fn write(&mut self, actors: &[&str], answers: &Answers) -> anyhow::Result<()> {
        const FAILED: &str = "cannot write to standard output";
        for (actor, verdict) in actors.iter().zip(answers.iter()) {
            self.line.clear();
            match self.format {
                Format::Json => {
                    let bucket = self.allocation.bucket(actor);
                    json_line(&mut self.line, actor, &verdict, bucket)?;
                }
                _ if self.prints_values => {
                    let shown = match (verdict.variant, verdict.value) {
                        (None, _) => String::new(),
                        (Some(_), Some(value)) => value::text(value)?,
                        // Somebody has taken it away meanwhile.
                        (Some(variant), None) => {
                            return Err(value::missing(self.experiment, variant));
                        }
                    };
                    tsv_line(&mut self.line, actor, &shown);
                }
                _ => tsv_line(&mut self.line, actor, verdict.variant.unwrap_or_default()),
            }
            let line = self.line.as_bytes();
            self.writer.write_all(line).context(FAILED)?;
        }
        self.writer.flush().context(FAILED)
    }
}

/// A line of JSON. It is written by hand, as there are many; this says what is in it.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is needed")]
pub(in crate::commands) struct Line {
    /// Who is assigned.
    actor: String,
    /// The variant; `null` for who is refused.
    variant: Option<String>,
    /// What the variant stands for, if it has a value.
    value: Option<Value>,
    /// The rule that decided.
    reason: AssignmentReason,
    /// The actor's bucket.
    bucket: u64,
}

fn tsv_line(line: &mut String, actor: &str, shown: &str) {
    tsv::field(line, actor);
    line.push('\t');
    tsv::field(line, shown);
    line.push('\n');
}

fn json_line(
    line: &mut String,
    actor: &str,
    verdict: &Verdict<'_>,
    bucket: u64,
) -> anyhow::Result<()> {
    use std::fmt::Write as _;
    line.push_str("{\"actor\":");
    json::string(line, actor);
    line.push_str(",\"variant\":");
    match verdict.variant {
        Some(variant) => json::string(line, variant),
        None => line.push_str("null"),
    }
    if let Some(value) = verdict.value {
        line.push_str(",\"value\":");
        line.push_str(json::safe_line(value)?.trim_end());
    }
    writeln!(
        line,
        ",\"reason\":\"{}\",\"bucket\":{bucket}}}",
        verdict.reason.as_str()
    )?;
    Ok(())
}

/// What came of it all.
#[derive(Default)]
struct Summary {
    by_reason: [u64; AssignmentReason::ALL.len()],
    blank: u64,
}

impl Summary {
    fn take(&mut self, answers: &Answers) {
        for verdict in answers.iter() {
            let place = AssignmentReason::ALL
                .iter()
                .position(|known| *known == verdict.reason);
            self.by_reason[place.unwrap_or_default()] += 1;
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let total: u64 = self.by_reason.iter().sum();
        let actors = if total == 1 { "actor" } else { "actors" };
        write!(f, "{total} {actors}")?;
        let reasons = AssignmentReason::ALL.iter().zip(self.by_reason);
        for (index, (reason, count)) in reasons.filter(|(_, count)| *count > 0).enumerate() {
            let separator = if index == 0 { ": " } else { ", " };
            write!(f, "{separator}{count} {}", reason.as_str())?;
        }
        match self.blank {
            0 => Ok(()),
            1 => write!(f, "; 1 blank line"),
            blank => write!(f, "; {blank} blank lines"),
        }
    }
}
