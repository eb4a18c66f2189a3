//! Experiments as code: files in TOML → declarations and findings → a plan → one step of the store.
//!
//! ```
//! use experiments::declare::{Source, check};
//!
//! let text = r#"
//!     [[experiment]]
//!     name = "checkout_v2"
//!     variants = [{ name = "control", weight = 50 }]
//!     stat = "running"
//! "#;
//! let checked = check(&[Source::new("experiments.toml", text)], &[]);
//! assert_eq!(checked.findings[0].help, "did you mean 'state'?");
//! ```

mod check;
mod declaration;
mod export;
mod finding;
mod lines;
mod moves;
mod plan;
mod planning;
mod read;
mod schema;
mod source;

pub use self::check::{Checked, MAX_MEASURED, check, check_descriptions, check_independence};
pub use self::declaration::Declaration;
pub use self::export::to_toml;
pub use self::finding::{Finding, MAX_KEPT, Place, Rule, Severity, sort};
pub use self::lines::{Lines, Position};
pub use self::plan::{Action, Moves, Plan, PlanStep, PlannedExperiment};
pub use self::planning::{Current, plan};
pub use self::schema::schema;
pub use self::source::Source;

/// The known name that `name` was probably meant to be.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let scored = known.into_iter();
    let scored = scored.map(|known| (strsim::jaro_winkler(name, known), known));
    scored
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
