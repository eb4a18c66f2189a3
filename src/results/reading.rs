//! The front door of outcomes: what is asked of them, and the three places where they come from: a text, a
//! query's rows, and what the store keeps.

use std::io::Read;

use super::error::OutcomesError;
use super::members::Members;
use super::merge::totals;
use super::plan::{ColumnNames, Plan, Role};
use super::scan::{Keys, Scanner, Written};
use super::tally::{Frame, Tally};
use super::threads::deal;
use super::totals::Totals;
use crate::metric::{MetricConfig, Population};
use crate::outcome::OutcomeScan;
use crate::rows::{
    Block, Blocks, Cell, Format, RowsError, Time, next_line, read_header, read_object,
};
use crate::store::ExperimentStore;

/// What is asked of outcomes.
#[derive(Debug, Clone, Copy)]
pub struct Reading<'a> {
    /// Whose outcomes count.
    pub members: &'a Members,
    /// What they are counted for.
    pub metrics: &'a [MetricConfig],
    /// From when on they count.
    pub population: Population,
    /// The names of the columns that are no metric's. What the store keeps has its own.
    pub columns: ColumnNames<'a>,
    /// The present second, since the Unix epoch.
    pub now_secs: u64,
    /// The last second that counts, since the Unix epoch.
    pub to_secs: u64,
    /// Whether the second of the latest outcome is the last one that counts, if it is earlier.
    pub until_latest: bool,
}

impl<'a> Reading<'a> {
    /// Adds up the rows of a text. Times are as [`parse_time`](crate::rows::parse_time) reads them, numbers as
    /// [`parse_number`](crate::rows::parse_number) does.
    ///
    /// Two threads share the work, unless it matters which row is first. The totals are the same, bit for bit,
    /// each time.
    ///
    /// # Errors
    /// It can't be read, a column is missing, or times are in two units. What is wrong with single rows is in the
    /// [totals](Totals::broken).
    pub fn read_text(&self, input: impl Read, format: Format) -> Result<Totals, OutcomesError> {
        self.read_blocks(Blocks::new(input, format), format.delimiter())
    }

    pub(super) fn read_blocks(
        &self,
        mut blocks: Blocks<impl Read>,
        delimiter: Option<u8>,
    ) -> Result<Totals, OutcomesError> {
        let mut first = blocks.next(Vec::new())?.ok_or(RowsError::Empty)?;
        let frame = self.frame();
        if let Some(delimiter) = delimiter {
            let header = read_header(&mut first, delimiter)?;
            let roles = frame.plan.find(&header)?;
            let is_timed = roles.iter().any(|(_, role)| *role == Role::Time);
            let written = Written::Fields {
                delimiter,
                columns: header.len(),
                roles: &roles,
            };
            let read = read_all(&frame, is_timed, written, first, blocks)?;
            let tallies = read.into_iter().map(|read| read.tally).collect();
            return totals(&frame, is_timed, tallies);
        }
        let roles: Vec<_> = frame.plan.roles().collect();
        let is_timed = is_first_timed(&first, &frame.plan);
        frame.plan.require(Role::Time, is_timed, &[])?;
        let written = Written::Objects {
            roles: &roles,
            is_timed,
        };
        let read = read_all(&frame, is_timed, written, first, blocks)?;
        let (keys, tallies): (Vec<Keys>, _) =
            read.into_iter().map(|read| (read.keys, read.tally)).unzip();
        let totals = totals(&frame, is_timed, tallies)?;
        let others: Vec<_> = keys.iter().flat_map(Keys::others).cloned().collect();
        for (place, (_, role)) in roles.iter().enumerate() {
            let is_there = keys.iter().any(|keys| keys.has(place));
            if *role != Role::Time && totals.rows > totals.broken_rows {
                frame.plan.require(*role, is_there, &others)?;
            }
        }
        Ok(totals)
    }

    /// Adds up the outcomes that a store keeps.
    ///
    /// # Errors
    /// The store fails, or actors are to be told apart by a column, which is kept for none.
    pub fn read_kept(&self, store: &dyn ExperimentStore) -> Result<Totals, OutcomesError> {
        let frame = self.frame();
        frame.plan.require(Role::By, frame.plan.by.is_none(), &[])?;
        let mut tally = Tally::new(&frame, true);
        let names: Vec<&str> = frame.plan.numbers.iter().map(|name| &**name).collect();
        let mut row = 0;
        store.scan_outcomes(&OutcomeScan { metrics: &names }, &mut |outcome| {
            row += 1;
            let secs = i64::try_from(outcome.timestamp_secs).unwrap_or(i64::MAX);
            tally.time(Time { secs, unit: None });
            tally.text_cell(Role::Actor, outcome.actor.as_bytes());
            if let Some(place) = names.iter().position(|name| *name == outcome.metric) {
                let value = outcome.value.get();
                tally.typed_cell(Role::Number(place), Cell::Number(value));
            }
            tally.end_row(row, None);
            Ok(())
        })?;
        totals(&frame, true, vec![tally])
    }

    /// Adds up rows that `read` gives one after another, such as those of a query with these columns.
    ///
    /// # Errors
    /// A column is missing, times are in two units, or `read` fails.
    pub fn read_rows<E: From<OutcomesError>>(
        &self,
        columns: &[String],
        read: impl FnOnce(&mut dyn FnMut(&[Cell<'_>])) -> Result<(), E>,
    ) -> Result<Totals, E> {
        let frame = self.frame();
        let roles = frame.plan.find(columns)?;
        let is_timed = roles.iter().any(|(_, role)| *role == Role::Time);
        let mut tally = Tally::new(&frame, is_timed);
        let mut row = 0;
        read(&mut |cells| {
            row += 1;
            for (place, role) in &roles {
                if let Some(cell) = cells.get(*place) {
                    tally.typed_cell(*role, *cell);
                }
            }
            tally.end_row(row, None);
        })?;
        Ok(totals(&frame, is_timed, vec![tally])?)
    }

    fn frame(&self) -> Frame<'a> {
        let secs = |secs: u64| i64::try_from(secs).unwrap_or(i64::MAX);
        let members = self.members.members.iter();
        let starts = members.map(|member| secs(member.start_secs(self.population)));
        Frame {
            plan: Plan::new(self.metrics, &self.columns),
            members: self.members,
            starts: starts.collect(),
            to_secs: secs(self.to_secs),
            until_latest: self.until_latest,
            now_secs: secs(self.now_secs),
        }
    }
}

/// Whether the first object of a block has a time.
fn is_first_timed(block: &Block, plan: &Plan) -> bool {
    let (mut at, mut line) = (0, block.line);
    while let Some((_, text)) = next_line(block.bytes(), &mut at, &mut line) {
        let mut has_time = false;
        let read = read_object(text, &mut |key, _| has_time |= key == plan.time);
        if read.is_ok() {
            return has_time;
        }
    }
    false
}

/// Reads all blocks, on two threads where there is more than one and the order of rows does not matter.
fn read_all<'f>(
    frame: &'f Frame<'_>,
    is_timed: bool,
    written: Written<'f>,
    first: Block,
    mut blocks: Blocks<impl Read>,
) -> Result<Vec<Scanner<'f>>, RowsError> {
    let scanner = || Scanner::new(written, Tally::new(frame, is_timed));
    let mut one = scanner();
    if !frame.plan.needs_order() && !blocks.is_ended() {
        let mut other = scanner();
        deal(
            first,
            &mut blocks,
            [&mut |block| one.scan(block), &mut |block| other.scan(block)],
        )?;
        return Ok(vec![one, other]);
    }
    let mut next = Some(first);
    while let Some(block) = next {
        one.scan(&block);
        next = blocks.next(block.into_buffer())?;
    }
    Ok(vec![one])
}
