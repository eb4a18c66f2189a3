//! Experiments as code: files in TOML → declarations and findings → a plan → one step of the store.
//!
//! ```
//! use experiments::declare::{SourceFile, check};
//!
//! let text = r#"
//!     [[experiment]]
//!     name = "checkout_v2"
//!     variants = [{ name = "control", weight = 50 }]
//!     stat = "running"
//! "#;
//! let checked = check(&[SourceFile::new("experiments.toml", text)], &[]);
//! assert_eq!(checked.findings[0].help, "did you mean 'state'?");
//! ```

mod check;
mod current;
mod declaration;
mod export;
mod finding;
mod judge;
mod lines;
mod moves;
mod plan;
mod planning;
mod problems;
mod rationale;
mod read;
mod schema;
mod similar;
mod source;
mod steps;

pub use self::check::{Checked, MAX_MEASURED, check, check_descriptions, check_independence};
pub use self::current::Current;
pub use self::declaration::Declaration;
pub use self::export::to_toml;
pub use self::finding::{Finding, Lint, MAX_KEPT, Severity, SourceSpan, sort};
pub use self::lines::{Lines, Position};
pub use self::moves::Moves;
pub use self::plan::{Action, Plan, PlanStep, PlannedExperiment};
pub use self::planning::plan;
pub use self::schema::schema;
pub use self::source::SourceFile;
