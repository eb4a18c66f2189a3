//! A database as a source and as a target of a copy.

mod append;
mod source;
mod target;

pub use self::target::PgCopy;
