//! One file a command: its arguments, whose doc comments are the help, how it runs, and how its
//! result reads.

mod activity;
pub(crate) mod apply;
pub(crate) mod archive;
pub(crate) mod assign;
pub(crate) mod assignments;
pub(crate) mod check;
pub(crate) mod completions;
pub(crate) mod conclude;
pub(crate) mod create;
mod dependence;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod exposures;
mod files;
pub(crate) mod history;
pub(crate) mod list;
mod looks;
pub(crate) mod man;
pub(crate) mod outcomes;
pub(crate) mod overrides;
pub(crate) mod plan;
pub(crate) mod power;
pub(crate) mod results;
mod root;
pub(crate) mod schema;
pub(crate) mod set_weights;
pub(crate) mod simulate;
pub(crate) mod start;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod track;
mod weight;
