//! The values of a statement's parameters, of types that are known without asking the server.

use tokio_postgres::types::{ToSql, Type};

/// A value, and its type.
pub(super) trait Value {
    fn kind(&self) -> Type;
    fn sql(&self) -> &(dyn ToSql + Sync);
}

/// Rust's types and the server's.
pub(super) trait Typed: ToSql + Sync {
    const TYPE: Type;
}

macro_rules! typed {
    ($($rust:ty => $server:ident),* $(,)?) => {
        $(impl Typed for $rust {
            const TYPE: Type = Type::$server;
        })*
    };
}

typed! {
    &str => TEXT,
    String => TEXT,
    bool => BOOL,
    i32 => INT4,
    i64 => INT8,
    &[&str] => TEXT_ARRAY,
    Vec<&str> => TEXT_ARRAY,
    Vec<String> => TEXT_ARRAY,
    Vec<Option<&str>> => TEXT_ARRAY,
    Vec<Option<i64>> => INT8_ARRAY,
    Vec<bool> => BOOL_ARRAY,
    Vec<i32> => INT4_ARRAY,
    Vec<i64> => INT8_ARRAY,
    Vec<f64> => FLOAT8_ARRAY,
    Vec<Option<String>> => TEXT_ARRAY,
}

impl<T: Typed> Typed for Option<T> {
    const TYPE: Type = T::TYPE;
}

impl<T: Typed> Typed for &T {
    const TYPE: Type = T::TYPE;
}

impl<T: Typed> Value for T {
    fn kind(&self) -> Type {
        T::TYPE
    }

    fn sql(&self) -> &(dyn ToSql + Sync) {
        self
    }
}

/// The values of a statement's parameters.
pub(super) type Values<'a> = &'a [&'a dyn Value];

/// The values as they are sent, each with its type.
pub(super) fn typed(values: Values<'_>) -> Vec<(&(dyn ToSql + Sync), Type)> {
    let values = values.iter();
    values.map(|value| (value.sql(), value.kind())).collect()
}

/// Columns of the records of one kind, as arrays.
macro_rules! arrays {
    ($records:expr, $($column:expr),+ $(,)?) => {
        &[$(&$records.iter().map($column).collect::<Vec<_>>()),+]
    };
}
pub(super) use arrays;
