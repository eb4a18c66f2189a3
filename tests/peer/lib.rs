//! What docs/switching.md shows of a program that needs both crates. The tests run it, and see that the
//! page shows it.

pub mod visitor;
