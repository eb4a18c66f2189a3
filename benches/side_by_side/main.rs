//! Everything that is claimed to be fast, beside what a user would use instead, in one run:
//! `cargo bench`. A word after `--` picks figures by name (`cargo bench -- bulk`); `--long` adds the
//! ten million actors and a minute of waiting processes. `--against PATH` has another build of `exp` as
//! the rival in place of all these; a word after it picks figures too.
//!
//! Each figure is the median of interleaved rounds (ours, rival, ours, rival …), with the smallest and
//! the largest ratio of a round. The machine's own speed cancels out; so quote ratios only.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a benchmark is a script"
)]

mod builds;
mod declare;
mod library;
mod measure;
#[path = "../../tests/it/pgbouncer.rs"]
mod pgbouncer;
mod postgres;
mod process;
mod results;
#[path = "../../tests/it/server.rs"]
mod server;
mod waiting;

fn main() {
    // Cargo passes `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    if let [flag, side, what] = &*words
        && flag == library::MEMORY_ROUND
    {
        return library::memory_round(side, what);
    }
    let long = words.iter().any(|word| word == "--long");
    if let [flag, path, rest @ ..] = &*words
        && flag == "--against"
    {
        return builds::run(path.as_ref(), &report_of(rest), long);
    }
    let report = report_of(&words);
    library::run(&report, long);
    process::run(&report, long);
    declare::run(&report);
    postgres::run(&report);
}

fn report_of(words: &[String]) -> measure::Report {
    let wanted = words.iter().find(|word| !word.starts_with("--"));
    measure::Report::new(wanted.cloned())
}
