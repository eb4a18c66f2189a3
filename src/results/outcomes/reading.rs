//! The front door of outcomes: what is asked of them, and the three places where they come from: a text, a
//! query's rows, and what the store keeps.

use std::io::Read;

use super::error::OutcomesError;
use super::merge::totals;
use super::plan::{ColumnNames, Plan, Role};
use super::scan::{Keys, Scanner, Written};
use super::tally::{Frame, Tally};
use super::threads::deal;
use crate::metric::{MetricConfig, Population};
use crate::outcome::OutcomeScan;
use crate::results::members::Members;
use crate::results::totals::Totals;
use crate::rows::{
    Block, Blocks, Cell, Format, RowsError, Time, next_line, other_separator, read_header,
    read_object,
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
            let roles = frame.plan.find(&header).map_err(|refused| {
                let separator = other_separator(&header);
                separator.map_or(refused, OutcomesError::OtherSeparator)
            })?;
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
            if *role != Role::Time && keys.iter().any(Keys::has_any) {
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

    pub(super) fn frame(&self) -> Frame<'a> {
        let secs = |secs: u64| i64::try_from(secs).unwrap_or(i64::MAX);
        Frame {
            plan: Plan::new(self.metrics, &self.columns),
            members: self.members,
            population: self.population,
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fmt::Write as _;

    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;
    use crate::metric::{MetricKind, Window};
    use crate::results::members::Member;
    use crate::results::totals::MetricTotals;
    use crate::store::SqlValue;

    const COLUMNS: [&str; 5] = ["actor", "unused", "timestamp", "bought", "revenue"];
    const TO: i64 = 1040;

    /// The cells of a row, as text.
    type Row = [String; 5];

    fn members() -> Members {
        let mut members = Members::default();
        // The third is assigned late, and the fourth after the end.
        for (actor, assigned) in [("a", 1000), ("b", 1010), ("c", 1030), ("d", 1041)] {
            let member = Member {
                variant: 0,
                period: 0,
                assigned_at_secs: assigned,
                exposed_at_secs: assigned + 5,
            };
            members.push(actor, member);
        }
        members.members[1].exposed_at_secs = u64::MAX;
        members
    }

    fn metrics() -> [MetricConfig; 3] {
        let window = Window::of_secs(20);
        [
            MetricConfig {
                window,
                ..MetricConfig::new("bought", MetricKind::Conversion)
            },
            MetricConfig::new("revenue", MetricKind::Mean),
            MetricConfig {
                denominator: Some("bought".to_owned()),
                window,
                ..MetricConfig::new("revenue", MetricKind::Ratio)
            },
        ]
    }

    fn row() -> impl Strategy<Value = Row> {
        let actor = prop_oneof![6 => "[abcd]", 1 => " a|e", 1 => "\u{e4}{0,1}"];
        let time = prop_oneof![
            12 => (990..1050_i64).prop_map(|time| time.to_string()),
            1 => Just("1970-01-01T00:17:05Z".to_owned()),
            1 => Just("1012.75".to_owned()),
            1 => "x{0,1}",
        ];
        // Quarters, whose sums are exact in any order.
        let revenue = prop_oneof![
            6 => (-40..400_i32).prop_map(|quarters| (f64::from(quarters) / 4.0).to_string()),
            1 => "( 2\\.5)?",
            1 => "NaN|1e999|five",
        ];
        (actor, "[x]{0,9}", time, "(0|1|-1)?", revenue).prop_map(
            |(actor, unused, time, bought, revenue)| [actor, unused, time, bought, revenue],
        )
    }

    /// What the rows add up to, said once more and as plainly as can be. What is broken is counted only.
    fn model(rows: &[Row], population: Population) -> Totals {
        let members = members();
        let number = |text: &str| match text.trim() {
            "" => Some(None),
            text => text.parse().ok().filter(|n: &f64| n.is_finite()).map(Some),
        };
        let time_of = |text: &str| match text {
            "1970-01-01T00:17:05Z" => Some(1025),
            "1012.75" => Some(1012),
            text => text.parse::<i64>().ok(),
        };
        let mut totals = Totals {
            timed: true,
            rows: rows.len() as u64,
            ..Totals::default()
        };
        let mut readable = Vec::new();
        for [actor, _, time, bought, revenue] in rows {
            match (time_of(time), number(bought), number(revenue)) {
                (Some(time), Some(bought), Some(revenue)) if !actor.is_empty() => {
                    readable.push((actor, time, bought, revenue));
                }
                _ => totals.broken_rows += 1,
            }
        }
        let latest = readable.iter().map(|row| row.1).max();
        let first = members.members.iter().map(|member| member.assigned_at_secs);
        let first: i64 = first.min().unwrap().try_into().unwrap();
        let to = latest
            .filter(|latest| *latest >= first)
            .unwrap_or(TO)
            .min(TO);
        totals.to_secs = to.try_into().unwrap();
        totals.latest_secs = latest.map(|latest| latest.try_into().unwrap());
        let mut sums: BTreeMap<(usize, u32), Vec<(f64, f64)>> = BTreeMap::new();
        let mut after_window = [0; 3];
        for (actor, time, bought, revenue) in readable {
            totals.in_future += u64::from(time > TO + 2);
            let number = members.number(actor);
            let member = number.map(|number| members.members[number as usize]);
            let assigned = member.filter(|member| member.assigned_at_secs <= totals.to_secs);
            let (Some(member), Some(number)) = (assigned, number) else {
                totals.unknown_actors += 1;
                totals.blank_ids += u64::from(actor == " a");
                continue;
            };
            let start = i64::try_from(member.start_secs(population)).unwrap_or(i64::MAX);
            if time > to {
                totals.after_end += 1;
            } else if time < start {
                totals.before_start += u64::from(start < i64::MAX);
            } else {
                let cells = [(bought, None), (revenue, None), (revenue, bought)];
                for (metric, (value, denominator)) in cells.into_iter().enumerate() {
                    if value.is_none() && denominator.is_none() {
                    } else if metric != 1 && time - start >= 20 {
                        after_window[metric] += 1;
                    } else {
                        let cell = (value.unwrap_or(0.0), denominator.unwrap_or(0.0));
                        sums.entry((metric, number)).or_default().push(cell);
                    }
                }
            }
        }
        for (metric, after_window) in after_window.into_iter().enumerate() {
            let of = |number| sums.get(&(metric, number)).map_or(&[][..], |cells| cells);
            let sum = |side: fn(&(f64, f64)) -> f64| {
                let sums = (0..4).map(|number| of(number).iter().map(side).sum::<f64>() + 0.0);
                sums.collect::<Vec<f64>>()
            };
            let any = |number| of(number).iter().any(|cell| cell.0 != 0.0);
            let conversions = (0..4).map(|number| f64::from(u8::from(any(number))));
            totals.metrics.push(MetricTotals {
                values: match metric {
                    0 => conversions.collect(),
                    _ => sum(|cell| cell.0),
                },
                denominators: match metric {
                    2 => sum(|cell| cell.1),
                    _ => Vec::new(),
                },
                seen: (0..4).map(|number| !of(number).is_empty()).collect(),
                covariates: Vec::new(),
                after_window,
            });
        }
        totals
    }

    fn table(rows: &[Row], delimiter: &str, end: &str, quote: &str) -> String {
        let header = COLUMNS.map(str::to_owned);
        let lines = std::iter::once(&header).chain(rows);
        let lines = lines.map(|row| row.clone().map(|cell| format!("{quote}{cell}{quote}")));
        lines.map(|row| row.join(delimiter) + end).collect()
    }

    fn objects(rows: &[Row]) -> String {
        let mut lines = String::new();
        for row in rows {
            let cells = COLUMNS.iter().zip(row);
            let cells = cells.map(|(name, cell)| format!("{name:?}: {}", serde_json::json!(cell)));
            let cells: Vec<String> = cells.collect();
            let _ = writeln!(lines, "{{{}}}", cells.join(", "));
        }
        lines
    }

    /// The totals without where they are from: the lines of broken rows are their places among the rows.
    fn placed(mut totals: Totals, first_line: u64) -> Totals {
        for row in &mut totals.broken {
            row.line -= first_line;
        }
        totals
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        /// However rows are written, and wherever the blocks are cut.
        #[test]
        fn rows_add_up(
            rows in proptest::collection::vec(row(), 1..60),
            population in prop_oneof![Just(Population::Assigned), Just(Population::Exposed)],
            block_bytes in 30..300_usize,
        ) {
            let (members, metrics) = (members(), metrics());
            let reading = Reading {
                members: &members,
                metrics: &metrics,
                population,
                columns: ColumnNames::default(),
                now_secs: (TO + 2).try_into().unwrap(),
                to_secs: TO.try_into().unwrap(),
                until_latest: true,
            };
            let columns = COLUMNS.map(str::to_owned);
            let typed = reading.read_query(|sink| {
                sink.columns(&columns)?;
                for row in &rows {
                    sink.row(&row.each_ref().map(|cell| SqlValue::Text(cell)))?;
                }
                Ok(())
            });
            let typed = placed(typed.unwrap(), 1);
            prop_assert_eq!(typed.broken.len() as u64, typed.broken_rows.min(20));
            let counted = Totals { broken: Vec::new(), ..typed.clone() };
            prop_assert_eq!(counted, model(&rows, population));

            let texts = [
                (table(&rows, ",", "\n", ""), Format::Csv, 2),
                (table(&rows, ",", "\r\n", ""), Format::Csv, 2),
                (table(&rows, ",", "\r", ""), Format::Csv, 2),
                (table(&rows, ",", "\n", "\""), Format::Csv, 2),
                (table(&rows, "\t", "\n", ""), Format::Tsv, 2),
                (objects(&rows), Format::JsonLines, 1),
            ];
            for (text, format, first_line) in texts {
                let blocks = Blocks::new(text.as_bytes(), format).with_block_bytes(block_bytes);
                let read = reading.read_blocks(blocks, format.delimiter()).unwrap();
                prop_assert_eq!(placed(read, first_line), typed.clone(), "{}", text);
            }
        }
    }
}
