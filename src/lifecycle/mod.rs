//! What a mutation does to an experiment: the table of states, what may be removed, what is logged.

mod decide;
mod effect;
mod mutation;
mod naming;
mod overrides;
mod parts;

pub use self::decide::{decide, require_unassignable};
pub use self::effect::{Effect, Write, pruned, unassigned};
pub use self::mutation::{Mutation, MutationFacts};
