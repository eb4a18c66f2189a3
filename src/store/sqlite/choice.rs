//! How a variant is kept with an assignment or an exposure.

use rusqlite::Row;

use super::experiments::contradiction;

/// A variant's `idx` and who chose it, as one integer: `idx`, or `-1 - idx` for an override.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) variant: usize,
    pub(super) is_override: bool,
}

impl Choice {
    fn decode(code: i64) -> rusqlite::Result<Self> {
        let is_override = code < 0;
        let index = if is_override { !code } else { code };
        let variant = usize::try_from(index)
            .map_err(|_| contradiction(format!("a variant is numbered {index}")))?;
        Ok(Self {
            variant,
            is_override,
        })
    }

    pub(super) fn encode(self) -> i64 {
        // An index counts the variants of one experiment.
        let index = i64::try_from(self.variant).unwrap_or(i64::MAX);
        if self.is_override { !index } else { index }
    }

    pub(super) fn read(row: &Row<'_>, column: usize) -> rusqlite::Result<Self> {
        Self::decode(row.get(column)?)
    }
}
