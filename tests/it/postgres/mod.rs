//! What only a database brings along, by subject.

mod access;
pub(crate) mod beside;
mod earlier;
mod entry;
mod lines;
mod many;
mod overtaken;
mod parts;
mod query;
mod versions;
