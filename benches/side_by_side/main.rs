//! Everything that is claimed to be fast, beside what a user would use instead, in one run:
//! `cargo bench`. A word after `--` picks figures by name (`cargo bench -- bulk`); `--long` adds the
//! ten million actors.
//!
//! Each figure is the median of interleaved rounds (ours, rival, ours, rival …), with the smallest and
//! the largest ratio of a round. The machine's own speed cancels out; so quote ratios only.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a script"
)]

mod library;
mod measure;
mod process;

fn main() {
    // Cargo passes `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let long = words.iter().any(|word| word == "--long");
    let wanted = words.iter().find(|word| !word.starts_with("--"));
    let mut report = measure::Report::new(wanted.cloned());
    library::run(&mut report, long);
    process::run(&mut report, long);
}
