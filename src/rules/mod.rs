//! Every rule, once, as pure functions: given what a store knows, what must happen?
//!
//! A store calls these inside its transaction, between reading and writing, so that the decision and
//! the write are one atomic step. Nothing here reads or writes anything itself.

pub mod assignment;
pub mod lifecycle;
