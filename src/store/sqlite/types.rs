//! How the parts of a configuration are kept in one column each.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::bucketing::Bucketing;
use crate::coverage::Coverage;
use crate::experiment::{ExperimentState, VariantValues};
use crate::metric::AnalysisConfig;

impl FromSql for ExperimentState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::named(text)
            .ok_or_else(|| FromSqlError::Other(format!("unknown state {text:?}").into()))
    }
}

impl FromSql for Bucketing {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let text = value.as_str()?;
        Self::named(text)
            .ok_or_else(|| FromSqlError::Other(format!("unknown bucketing {text:?}").into()))
    }
}

impl FromSql for Coverage {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        let parts = value.as_i64()?;
        let coverage = u64::try_from(parts).ok().and_then(Self::of_10000);
        coverage.ok_or(FromSqlError::OutOfRange(parts))
    }
}

impl ToSql for AnalysisConfig {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        json_or_null(self)
    }
}

impl FromSql for AnalysisConfig {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        from_json(value)
    }
}

impl ToSql for VariantValues {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        json_or_null(self)
    }
}

impl FromSql for VariantValues {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        from_json(value)
    }
}

/// As JSON; NULL if all of it is as by default.
fn json_or_null<T: Default + PartialEq + Serialize>(
    value: &T,
) -> rusqlite::Result<ToSqlOutput<'_>> {
    let set = (*value != T::default()).then(|| serde_json::to_string(value));
    let json = set
        .transpose()
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
    Ok(ToSqlOutput::Owned(json.into()))
}

fn from_json<T: DeserializeOwned>(value: ValueRef<'_>) -> FromSqlResult<T> {
    serde_json::from_str(value.as_str()?).map_err(|error| FromSqlError::Other(error.into()))
}
