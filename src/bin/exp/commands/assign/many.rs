//! Every actor of a file. A line is printed once the transaction that holds it is committed.

use std::io::{self, BufWriter, Stdout};
use std::ops::ControlFlow;
use std::path::Path;

use experiments::{
    AnsweredPart, AssignManyRequest, ExperimentError, ExperimentService, Gathered, Keep, Verdict,
};

use super::arguments::Assign;
use super::input::{BadLines, Batch, Input};
use super::interruption::Interruption;
use super::lines::Output;
use super::progress::Progress;
use super::repeated::Repeated;
use super::summary::Summary;
use super::value;
use crate::context::{Context, Purpose};

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
    let request = AssignManyRequest {
        experiment: &command.name,
        actors: &["-"],
        keep: Keep::Nothing,
    };
    service.assign_many(&request)?;
    let mut input = Input::open(file, command.raw)?;
    let progress = Progress::begin(input.size, context);
    let mut run = Run {
        service,
        request: AssignManyRequest { keep, ..request },
        output: Output {
            writer: BufWriter::with_capacity(1 << 16, io::stdout()),
            format: context.format(),
            allocation: config.allocation(),
            experiment: &command.name,
            prints_values: command.value,
            line: String::new(),
        },
        summary: Summary::default(),
        repeated: command.dry_run.then(Repeated::default),
        // A dry run stores nothing that could be reported.
        interruption: (!command.dry_run)
            .then(|| Interruption::watch(keep, context.format(), progress.bar())),
        progress,
    };
    if context.wants_header() {
        run.output.header()?;
    }
    let mut bad = BadLines::default();
    let mut read = 0;
    while let Some(batch) = input.next_batch()? {
        bad.take(&batch, context);
        run.summary.blank += batch.blank;
        read += batch.len();
        let assigned = run.assign(&batch, input.is_read().then_some(read))?;
        run.progress.reach(input.handed_out());
        if let Err(error) = assigned {
            run.progress.end();
            if !run.summary.is_empty() {
                context.say(&run.summary);
            }
            return Err(error.into());
        }
    }
    run.progress.end();
    context.say(&run.summary);
    bad.into_result()
}

/// What is kept from batch to batch.
struct Run<'a> {
    service: ExperimentService,
    /// But for the actors.
    request: AssignManyRequest<'a>,
    output: Output<'a, BufWriter<Stdout>>,
    summary: Summary,
    repeated: Option<Repeated>,
    interruption: Option<Interruption>,
    progress: Progress,
}

impl Run<'_> {
    /// Assigns the actors of a batch and prints what is stored of it, also if the store fails in the middle. `total`
    /// is how many actors there are in all, if that is known.
    fn assign(
        &mut self,
        batch: &Batch,
        total: Option<u64>,
    ) -> anyhow::Result<Result<(), ExperimentError>> {
        if let Some(interruption) = &self.interruption {
            interruption.begin_work(total);
        }
        let service = self.service.clone();
        let actors = batch.actors();
        let request = AssignManyRequest {
            experiment: self.request.experiment,
            actors: &actors,
            keep: self.request.keep,
        };
        let mut answering = Answering {
            run: self,
            batch,
            actors: &actors,
            gathered: Gathered::of(actors.len()),
            printed: 0,
            failed: None,
        };
        let assigned = service.assign_many_in_parts(&request, &mut |part| answering.take(part));
        let printed = answering.print_rest();
        if let Some(interruption) = &self.interruption {
            interruption.end_work();
        }
        printed.map(|()| assigned)
    }

    fn print(&mut self, actor: &str, verdict: Verdict<'_>) -> anyhow::Result<()> {
        let verdict = match &mut self.repeated {
            Some(repeated) => repeated.verdict(actor, verdict),
            None => verdict,
        };
        self.summary.take(&verdict);
        self.output.write(actor, &verdict)
    }
}

/// The answers to a batch, as they come in.
struct Answering<'r, 'a> {
    run: &'r mut Run<'a>,
    batch: &'r Batch,
    actors: &'r [&'r str],
    gathered: Gathered,
    /// How many lines were printed: all up to the first actor whose answer has not come.
    printed: usize,
    failed: Option<anyhow::Error>,
}

impl Answering<'_, '_> {
    fn take(&mut self, part: &AnsweredPart<'_>) -> ControlFlow<()> {
        self.gathered.take(part);
        let bytes = part.places.iter().map(|place| self.batch.bytes(*place));
        self.run.progress.advance(bytes.sum());
        let count = part.places.len() as u64;
        let interruption = self.run.interruption.as_ref();
        let is_interrupted = interruption.is_some_and(|interruption| interruption.store(count));
        if self.failed.is_none() {
            self.failed = self.print_next().err();
        }
        if is_interrupted || self.failed.is_some() {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    }

    fn print_next(&mut self) -> anyhow::Result<()> {
        while let Some(verdict) = self.gathered.get(self.printed) {
            self.run.print(self.actors[self.printed], verdict)?;
            self.printed += 1;
        }
        self.run.output.flush()
    }

    /// Prints what has come of those after whom it failed or was broken off.
    fn print_rest(mut self) -> anyhow::Result<()> {
        if let Some(failed) = self.failed.take() {
            return Err(failed);
        }
        for place in self.printed..self.actors.len() {
            if let Some(verdict) = self.gathered.get(place) {
                self.run.print(self.actors[place], verdict)?;
            }
        }
        self.run.output.flush()
    }
}
