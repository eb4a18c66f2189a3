//! Outcomes that a database's query gives.

use super::error::OutcomesError;
use super::merge::totals;
use super::plan::Role;
use super::reading::Reading;
use super::tally::{Frame, Tally};
use crate::error::{ExperimentError, ExperimentStoreError};
use crate::location::StoreLocation;
use crate::results::totals::Totals;
use crate::rows::Cell;
use crate::store::{RowSink, SqlValue};

impl Reading<'_> {
    /// Adds up the rows of a query, which is given what takes them.
    ///
    /// # Errors
    /// A column is missing, times are in two units, or the query fails.
    pub fn read_query(
        &self,
        query: impl FnOnce(&mut dyn RowSink) -> Result<(), ExperimentError>,
    ) -> Result<Totals, OutcomesError> {
        let frame = self.frame();
        let mut sink = Sink {
            frame: &frame,
            roles: Vec::new(),
            tally: Tally::new(&frame, true),
            is_timed: true,
            rows: 0,
            refused: None,
        };
        let answered = query(&mut sink);
        if let Some(refused) = sink.refused {
            return Err(refused);
        }
        answered?;
        totals(&frame, sink.is_timed, vec![sink.tally])
    }
}

struct Sink<'f> {
    frame: &'f Frame<'f>,
    roles: Vec<(usize, Role)>,
    tally: Tally<'f>,
    is_timed: bool,
    rows: u64,
    /// Why the columns are not those that are needed.
    refused: Option<OutcomesError>,
}

impl RowSink for Sink<'_> {
    fn columns(&mut self, names: &[String]) -> Result<(), ExperimentError> {
        match self.frame.plan.find(names) {
            Ok(roles) => self.roles = roles,
            Err(refused) => {
                self.refused = Some(refused);
                return Err(ended());
            }
        }
        self.is_timed = self.roles.iter().any(|(_, role)| *role == Role::Time);
        self.tally = Tally::new(self.frame, self.is_timed);
        Ok(())
    }

    fn row(&mut self, values: &[SqlValue<'_>]) -> Result<(), ExperimentError> {
        self.rows += 1;
        for (place, role) in &self.roles {
            let value = values.get(*place).copied().unwrap_or(SqlValue::Null);
            self.tally.typed_cell(*role, cell(value));
        }
        self.tally.end_row(self.rows, None);
        Ok(())
    }
}

fn cell(value: SqlValue<'_>) -> Cell<'_> {
    match value {
        SqlValue::Null => Cell::Empty,
        SqlValue::Integer(number) => Cell::Integer(number),
        SqlValue::Real(number) => Cell::Number(number),
        SqlValue::Text(text) => Cell::Text(text),
    }
}

/// Only ends the query; nobody reads it.
fn ended() -> ExperimentError {
    ExperimentStoreError::Backend {
        store: StoreLocation::Other("of the query".to_owned()),
        doing: "go on",
        source: "its columns are not those that are needed".into(),
    }
    .into()
}
