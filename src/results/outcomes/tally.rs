//! Rows, one after another, become sums for each actor. Which rows count is decided here and nowhere else.

use std::collections::{BTreeMap, HashMap};

use super::batch::Batch;
use super::plan::{Fed, Plan, Role};
use crate::metric::Population;
use crate::results::members::Members;
use crate::results::totals::{BrokenRow, ByColumn, Totals};
use crate::rows::{Cell, CellProblem, Time, TimeUnit, parse_number, parse_time};
use crate::text::Quoted;

/// What all tallies of one reading have in common.
pub(super) struct Frame<'a> {
    pub(super) plan: Plan,
    pub(super) members: &'a Members,
    pub(super) population: Population,
    /// What is later does not count.
    pub(super) to_secs: i64,
    /// Whether the end is that of the latest outcome, if that is earlier.
    pub(super) until_latest: bool,
    pub(super) now_secs: i64,
}

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) rows: u64,
    pub(super) unknown_actors: u64,
    pub(super) blank_ids: u64,
    pub(super) before_start: u64,
    /// Rows before the start of actors who were assigned later than any row was so far, by when they were: of those
    /// who start, and of those who never do.
    pub(super) before_late_start: BTreeMap<i64, [u64; 2]>,
    pub(super) after_end: u64,
    pub(super) in_future: u64,
    pub(super) latest: Option<i64>,
    pub(super) broken_rows: u64,
    pub(super) broken: Vec<BrokenRow>,
    /// By metric.
    pub(super) after_window: Vec<u64>,
    /// The first lines with times in seconds and in milliseconds.
    pub(super) seconds_line: Option<u64>,
    pub(super) milliseconds_line: Option<u64>,
}

/// What one thread has added up.
pub(super) struct Tally<'a> {
    frame: &'a Frame<'a>,
    /// Whether rows have times.
    is_timed: bool,
    batch: Batch,
    /// What is wrong with the row that is being read.
    problem: Option<String>,
    /// Of each actor its start and its sums, one behind the other, because that is what a row looks at. Sums are
    /// NaN where there was no row.
    pub(super) accounts: Vec<f64>,
    /// By metric, then by actor. NaN where it is not known.
    pub(super) covariates: Vec<Vec<f64>>,
    pub(super) by: Option<ByColumn>,
    /// The places of its values.
    by_places: HashMap<String, u32>,
    pub(super) counts: Counts,
}

impl<'a> Tally<'a> {
    /// How many values the column may have that actors are told apart by.
    pub(super) const MOST_VALUES: usize = 1000;

    pub(super) fn new(frame: &'a Frame<'a>, is_timed: bool) -> Self {
        let (plan, actors) = (&frame.plan, frame.members.members.len());
        let covariates = plan.metrics.iter().map(|fed| match fed.covariate {
            Some(_) => vec![f64::NAN; actors],
            None => Vec::new(),
        });
        let by = plan.by.as_ref().map(|column| ByColumn {
            column: column.clone(),
            values: Vec::new(),
            of_actor: vec![u32::MAX; actors],
        });
        Self {
            frame,
            is_timed,
            batch: Batch::new(plan.numbers.len()),
            problem: None,
            accounts: frame.accounts(),
            covariates: covariates.collect(),
            by,
            by_places: HashMap::new(),
            counts: Counts {
                after_window: vec![0; plan.metrics.len()],
                ..Counts::default()
            },
        }
    }

    /// Takes a cell of the row that is being read.
    #[inline]
    pub(super) fn text_cell(&mut self, role: Role, text: &[u8]) {
        let problem = match role {
            Role::Actor => self.actor(text),
            Role::Number(place) => match parse_number(text) {
                Ok(Some(number)) => return self.batch.set_number(place, number),
                Ok(None) => return,
                Err(problem) => Err(problem),
            },
            Role::Time => match parse_time(text) {
                Ok(time) => return self.batch.set_time(time),
                Err(problem) => Err(problem),
            },
            Role::By => return self.batch.set_by(text),
        };
        if let Err(problem) = problem {
            self.cell_problem(role, problem, &String::from_utf8_lossy(text));
        }
    }

    /// Takes a cell of the row that is being read.
    pub(super) fn typed_cell(&mut self, role: Role, cell: Cell<'_>) {
        let taken = match role {
            Role::Number(place) => cell.number().map(|number| {
                if let Some(number) = number {
                    self.batch.set_number(place, number);
                }
            }),
            Role::Time => cell.time().map(|time| self.batch.set_time(time)),
            Role::Actor | Role::By => match cell.text() {
                Some(text) => return self.text_cell(role, text.as_bytes()),
                None => Err(CellProblem::NotAValue),
            },
        };
        if let Err(problem) = taken {
            self.cell_problem(role, problem, &cell.text().unwrap_or_default());
        }
    }

    /// Takes the time of the row that is being read.
    pub(super) fn time(&mut self, time: Time) {
        self.batch.set_time(time);
    }

    #[inline]
    fn actor(&mut self, id: &[u8]) -> Result<(), CellProblem> {
        if id.is_empty() {
            return Err(CellProblem::Empty);
        }
        self.batch.set_id(id, self.frame.members.ids().hash(id));
        Ok(())
    }

    #[cold]
    fn cell_problem(&mut self, role: Role, problem: CellProblem, text: &str) {
        self.problem(|plan| {
            let name = plan.name(role);
            if text.is_empty() {
                format!("{name} is {problem}")
            } else {
                format!("{name} is {}: {problem}", Quoted(text))
            }
        });
    }

    /// Says what is wrong with the row that is being read.
    #[cold]
    pub(super) fn problem(&mut self, problem: impl FnOnce(&Plan) -> String) {
        if self.problem.is_none() {
            let problem = self.tells_of_broken().then(|| problem(&self.frame.plan));
            self.problem = Some(problem.unwrap_or_default());
        }
    }

    /// Ends the row that is being read; with a problem of its own it is broken for that.
    #[inline]
    pub(super) fn end_row(&mut self, line: u64, problem: Option<String>) {
        self.counts.rows += 1;
        if self.is_timed && !self.batch.has_time() {
            self.cell_problem(Role::Time, CellProblem::Empty, "");
        }
        if !self.batch.has_id() {
            self.cell_problem(Role::Actor, CellProblem::Empty, "");
        }
        if let Some(problem) = problem.or(self.problem.take()) {
            self.batch.drop_row();
            self.problem = None;
            if self.tells_of_broken() {
                // Rows that wait may turn out to be broken, and are earlier.
                self.flush();
            }
            self.broken(line, problem);
        } else {
            match self.batch.unit() {
                Some(TimeUnit::Seconds) => self.counts.seconds_line.get_or_insert(line),
                Some(TimeUnit::Milliseconds) => self.counts.milliseconds_line.get_or_insert(line),
                None => &mut 0,
            };
            if self.batch.end_row(line) {
                self.flush();
            }
        }
    }

    /// Whether it matters what is wrong with the next broken row.
    fn tells_of_broken(&self) -> bool {
        self.counts.broken.len() < Totals::MOST_BROKEN
    }

    #[cold]
    fn broken(&mut self, line: u64, problem: String) {
        self.counts.broken_rows += 1;
        if self.tells_of_broken() {
            self.counts.broken.push(BrokenRow { line, problem });
        }
    }

    /// Adds up the rows that wait.
    pub(super) fn flush(&mut self) {
        let mut batch = std::mem::take(&mut self.batch);
        let numbers = batch.look_up(self.frame.members.ids());
        self.fetch(numbers);
        for place in 0..batch.len() {
            self.add(&batch, place);
        }
        batch.clear();
        self.batch = batch;
    }

    /// Asks for the memory that the rows of these actors need, all at once.
    fn fetch(&self, numbers: &[u32]) {
        let width = self.frame.plan.account;
        let mut fetched = 0;
        for number in numbers {
            let account = *number as usize * width;
            // It may lie in two lines of memory.
            for end in [account, account + width - 1] {
                let value = self.accounts.get(end);
                fetched |= value.map_or(0, |value| value.to_bits());
            }
        }
        std::hint::black_box(fetched);
    }

    #[inline]
    fn add(&mut self, batch: &Batch, place: usize) {
        let number = batch.number(place);
        if number == u32::MAX {
            return self.add_stranger(batch, place);
        }
        if self.frame.plan.needs_order() && !self.add_properties(batch, place) {
            return;
        }
        let width = self.frame.plan.account;
        let account = number as usize * width;
        let mut since_start = 0.0;
        if self.is_timed {
            let time = batch.time(place);
            self.clock(time);
            since_start = seconds(time) - self.accounts[account];
            if time > self.frame.to_secs || since_start < 0.0 {
                return self.add_outside(number, time);
            }
        }
        let numbers = batch.numbers_of(place);
        let account = &mut self.accounts[account..][..width];
        let metrics = self.frame.plan.metrics.iter();
        for (fed, after_window) in metrics.zip(&mut self.counts.after_window) {
            let is_in = since_start < fed.window;
            *after_window += u64::from(!fed.add(numbers, account, is_in));
        }
    }

    /// Notes a row's time.
    #[inline]
    fn clock(&mut self, time: i64) {
        self.counts.latest = self.counts.latest.max(Some(time));
        self.counts.in_future += u64::from(time > self.frame.now_secs);
    }

    /// A row of a member from after the end, or from before its start.
    #[cold]
    fn add_outside(&mut self, number: u32, time: i64) {
        let member = self.frame.members.members[number as usize];
        let assigned = i64::try_from(member.assigned_at_secs).unwrap_or(i64::MAX);
        let never_starts = member.start_secs(self.frame.population) == u64::MAX;
        let counts = &mut self.counts;
        if assigned > self.frame.to_secs {
            counts.unknown_actors += 1;
        } else if time > self.frame.to_secs {
            counts.after_end += 1;
        } else if counts.latest >= Some(assigned) {
            // Who was never exposed has no start that it could be before.
            counts.before_start += u64::from(!never_starts);
        } else {
            let rows = counts.before_late_start.entry(assigned).or_default();
            rows[usize::from(never_starts)] += 1;
        }
    }

    /// A row of an actor who is no member.
    #[cold]
    fn add_stranger(&mut self, batch: &Batch, place: usize) {
        let id = batch.id(place);
        let problem = match std::str::from_utf8(id) {
            Err(_) => "is not UTF-8 text",
            Ok(text) if text.contains('\0') => "has a NUL byte",
            Ok(text) => {
                if self.is_timed {
                    self.clock(batch.time(place));
                }
                self.counts.unknown_actors += 1;
                let trimmed = text.trim();
                let is_known = || self.frame.members.number(trimmed).is_some();
                self.counts.blank_ids += u64::from(trimmed != text && is_known());
                return;
            }
        };
        let problem = format!("{} {problem}", self.frame.plan.actor);
        self.broken(batch.line(place), problem);
    }

    /// Notes what a row says of its actor, whenever it was. Returns whether that agrees with earlier rows.
    fn add_properties(&mut self, batch: &Batch, place: usize) -> bool {
        let number = batch.number(place) as usize;
        let plan = &self.frame.plan;
        let numbers = batch.numbers_of(place);
        for (fed, covariates) in plan.metrics.iter().zip(&self.covariates) {
            if let Some(column) = fed.covariate
                && let (value, known) = (numbers[column], covariates[number])
                && (value - known).abs() > 0.0
            {
                let name = plan.name(Role::Number(column));
                let problem =
                    format!("{name} is {value}, but {known} in an earlier row of this actor");
                self.broken(batch.line(place), problem);
                return false;
            }
        }
        for (fed, covariates) in plan.metrics.iter().zip(&mut self.covariates) {
            let value = fed.covariate.map_or(f64::NAN, |column| numbers[column]);
            if !value.is_nan() {
                covariates[number] = value;
            }
        }
        if let Some(by) = &mut self.by
            && let Ok(value) = std::str::from_utf8(batch.by(place))
            && !value.is_empty()
            && by.of_actor[number] == u32::MAX
            && by.values.len() <= Self::MOST_VALUES
        {
            let known = self.by_places.get(value).copied();
            by.of_actor[number] = known.unwrap_or_else(|| {
                let place = u32::try_from(by.values.len()).unwrap_or(u32::MAX);
                by.values.push(value.to_owned());
                self.by_places.insert(value.to_owned(), place);
                place
            });
        }
        true
    }
}

impl Frame<'_> {
    /// An account for each actor, with nothing in it but the start: infinite for who never starts.
    fn accounts(&self) -> Vec<f64> {
        let sums = std::iter::repeat_n(f64::NAN, self.plan.account - 1);
        let mut accounts = Vec::with_capacity(self.members.members.len() * self.plan.account);
        for member in &self.members.members {
            let start = i64::try_from(member.start_secs(self.population));
            accounts.push(start.map_or(f64::INFINITY, seconds));
            accounts.extend(sums.clone());
        }
        accounts
    }
}

/// A time as a number; seconds are few enough to be exact.
#[inline]
fn seconds(time: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "no time has so many seconds")]
    let seconds = time as f64;
    seconds
}

impl Fed {
    /// Adds the numbers of a row to an actor's account, unless it is after the window. Returns whether it did or had
    /// nothing to add.
    #[inline]
    fn add(&self, numbers: &[f64], account: &mut [f64], is_in_window: bool) -> bool {
        let value = numbers[self.value];
        let denominator = self.denominator.map_or(f64::NAN, |place| numbers[place]);
        if value.is_nan() && denominator.is_nan() {
            return true;
        }
        if !is_in_window {
            return false;
        }
        if self.is_conversion {
            let sum = &mut account[self.sum];
            *sum = f64::from(u8::from(value != 0.0 || *sum > 0.0));
            return true;
        }
        add(&mut account[self.sum], value);
        if self.denominator.is_some() {
            add(&mut account[self.sum + 1], denominator);
        }
        true
    }
}

/// Adds a value to a sum; either may be NaN for none.
#[inline]
pub(super) fn add(sum: &mut f64, value: f64) {
    if sum.is_nan() {
        *sum = value;
    } else if !value.is_nan() {
        *sum += value;
    }
}
