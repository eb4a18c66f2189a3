//! A store as a source and as a target of a copy.

mod records;
mod source;
mod target;

pub(super) use self::source::Scan;
pub use self::target::SqliteCopy;
