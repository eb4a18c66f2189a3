//! Every actor of a file. A line is printed once the transaction that holds it is committed.

use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::Path;

use anyhow::Context as _;
use experiments::{Allocation, Answers, AssignManyRequest, AssignmentReason, Keep, Verdict};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::arguments::Assign;
use super::input::{Batch, Input};
use super::repeated::Repeated;
use crate::context::{Context, Purpose};
use crate::exit::{Failed, Hint};
use crate::options::Format;
use crate::output::{json, tsv};

/// How many bad lines are reported one by one.
const BAD_LINES_TOLD: u64 = 20;

pub(super) fn run(command: &Assign, file: &Path, context: &Context) -> anyhow::Result<()> {
    let (keep, purpose) = match (command.dry_run, command.expose) {
        (true, _) => (Keep::Nothing, Purpose::Look),
        (false, false) => (Keep::Assignments, Purpose::Use),
        (false, true) => (Keep::AssignmentsAndExposures, Purpose::Use),
    };
    let service = context.service(purpose)?;
    // An experiment that assigns nobody is told before the input is waited for.
    let config = service.status(&command.name)?;
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
        line: String::new(),
    };
    let mut summary = Summary::default();
    let mut repeated = command.dry_run.then(Repeated::default);
    if context.wants_header() && output.format != Format::Json {
        output
            .writer
            .write_all(b"actor\tvariant\n")
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
        summary.take(&batch, &answers, context);
        output
            .write(&actors, &answers)
            .context("cannot write to standard output")?;
        // It moves with the batches, not by a thread of its own, which may not be to be had.
        progress.set_position(input.taken);
    }
    progress.finish_and_clear();
    context.say(&summary);
    let message = match summary.bad {
        0 => return Ok(()),
        1 => "1 line is no actor and was left out".to_owned(),
        bad => format!("{bad} lines are no actors and were left out"),
    };
    let error = anyhow::Error::new(Failed(message));
    Err(if summary.has_blank_edges {
        error.context(Hint(
            "remove the blanks, or keep them with --raw".to_owned(),
        ))
    } else {
        error
    })
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

struct Output<W> {
    writer: W,
    format: Format,
    allocation: Allocation,
    line: String,
}

impl<W: Write> Output<W> {
    fn write(&mut self, actors: &[&str], answers: &Answers) -> io::Result<()> {
        for (actor, verdict) in actors.iter().zip(answers.iter()) {
            self.line.clear();
            match self.format {
                Format::Json => {
                    let bucket = self.allocation.bucket(actor);
                    json_line(&mut self.line, actor, &verdict, bucket);
                }
                _ => tsv_line(&mut self.line, actor, verdict.variant),
            }
            self.writer.write_all(self.line.as_bytes())?;
        }
        self.writer.flush()
    }
}

fn tsv_line(line: &mut String, actor: &str, variant: Option<&str>) {
    tsv::field(line, actor);
    line.push('\t');
    tsv::field(line, variant.unwrap_or_default());
    line.push('\n');
}

fn json_line(line: &mut String, actor: &str, verdict: &Verdict<'_>, bucket: u64) {
    use std::fmt::Write as _;
    line.push_str("{\"actor\":");
    json::string(line, actor);
    line.push_str(",\"variant\":");
    match verdict.variant {
        Some(variant) => json::string(line, variant),
        None => line.push_str("null"),
    }
    let _ = writeln!(
        line,
        ",\"reason\":\"{}\",\"bucket\":{bucket}}}",
        verdict.reason.as_str()
    );
}

/// What came of it all.
#[derive(Default)]
struct Summary {
    by_reason: [u64; AssignmentReason::ALL.len()],
    blank: u64,
    bad: u64,
    has_blank_edges: bool,
}

impl Summary {
    fn take(&mut self, batch: &Batch, answers: &Answers, context: &Context) {
        self.blank += batch.blank;
        self.has_blank_edges |= batch.has_blank_edges;
        for line in &batch.bad {
            self.bad += 1;
            if self.bad <= BAD_LINES_TOLD {
                context.warn(format_args!("line {}: {}", line.number, line.problem));
            }
            if self.bad == BAD_LINES_TOLD + 1 {
                context.warn("further lines that are no actors are only counted");
            }
        }
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
