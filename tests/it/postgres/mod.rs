//! What only a database brings along, by subject.

mod access;
pub(crate) mod beside;
mod earlier;
mod lines;
mod many;
mod overtaken;
mod query;
mod versions;
