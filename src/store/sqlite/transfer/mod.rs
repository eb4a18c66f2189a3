//! A store as a source and as a target of a copy.

mod records;
mod source;
mod target;

pub use self::target::SqliteCopy;
