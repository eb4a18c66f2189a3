//! The store contract. The trait's docs say what must be atomic; `conformance` has one function for
//! each promise and runs against every store.

#[cfg(feature = "conformance")]
pub mod conformance;
mod memory;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "postgres", feature = "sqlite", feature = "stats"))]
mod query;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
mod survey;
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub mod transfer;

use std::sync::Arc;

pub use self::memory::InMemoryExperimentStore;
#[cfg(feature = "postgres")]
pub use self::postgres::{PgCopy, PgDefaults, PgExperimentStore, PgOptions};
#[cfg(any(feature = "postgres", feature = "sqlite", feature = "stats"))]
pub use self::query::{RowSink, SqlValue};
#[cfg(feature = "sqlite")]
pub use self::sqlite::{SqliteAccess, SqliteCopy, SqliteExperimentStore, SqliteRestore};
#[cfg(any(feature = "postgres", feature = "sqlite"))]
pub use self::survey::{StoreFault, StoreFinding, StoreInfo};

use crate::assignment::{
    AnsweredPart, Answers, AssignManyRequest, AssignRequest, Assigned, Candidate, EachPart,
    Gathered, Keep, Situation, Verdict,
};
use crate::clock::Clock;
use crate::error::ExperimentError;
use crate::experiment::{
    Assignment, AssignmentRecord, ChangeRecord, ChangeScan, ExperimentConfig, ExperimentState,
    Override, Unassigned, VariantConfig, VariantCount, WeightPeriod,
};
use crate::exposure::{ExposureRecord, ExposureScan, ExposureTotal, ExposureTotals};
use crate::lifecycle::Mutation;
use crate::outcome::{Outcome, OutcomeScan, Tracked};

/// What is done with each record of a scan. The scan ends with the first error. It may use the store.
pub type Each<'a, R> = &'a mut dyn FnMut(&R) -> Result<(), ExperimentError>;

/// Keeps experiments, assignments, overrides, the audit log, exposures and outcomes.
///
/// # What an implementation promises
/// - **One step.** [`mutate_all`](Self::mutate_all), [`assign`](Self::assign) and [`record_assignment`](Self::record_assignment) read,
///   decide and write inside one transaction. What one caller has been told is true for every later
///   caller, in this process or another, and survives a killed process (the docs of a store say what
///   survives a power cut).
/// - **The rules are not the store's.** Decisions are made by [`assignment`](crate::assignment) and
///   [`lifecycle`](crate::lifecycle); a store only gathers the facts that those look at, and writes what
///   they decide. A store that repeats rules in its own language, to save a round trip, repeats no more than the
///   standing ones, which look at what is stored; whether a newcomer may enter, and with which variant, is
///   decided by the entry rules, here.
/// - **One change for each successful mutation**, in the same transaction, with the operator that the
///   call names, or else the handle's. A refused or failed one appends none and changes nothing.
/// - **Order.** [`list`](Self::list) is sorted by name, byte by byte; [`history`](Self::history) is
///   newest first, also within one second.
///
/// - **Scans.** A scan shows one view: what was there when it began. Others go on using the store meanwhile,
///   for reading and for writing, and so may whatever the records are shown to.
///
/// # What it need not promise
/// Two reads are two views: another process may write in between. Only
/// [`situation`](Self::situation) is one view of several things.
pub trait ExperimentStore: Send + Sync + 'static {
    /// The experiment of that name, or `None`.
    ///
    /// # Errors
    /// When the store fails.
    fn get(&self, experiment: &str) -> Result<Option<ExperimentConfig>, ExperimentError>;

    /// All experiments, sorted by name.
    ///
    /// # Errors
    /// When the store fails.
    fn list(&self) -> Result<Vec<ExperimentConfig>, ExperimentError>;

    /// Decides and writes some mutations, one after another, and appends their changes, all in one
    /// transaction: for each the experiment is read,
    /// [`lifecycle::decide`](crate::lifecycle::decide) is asked, its effect is written. Returns
    /// for each its change, or `None` if nothing had to change.
    ///
    /// Before that, in the same transaction, every experiment in `expected` must be as it says.
    ///
    /// The changes are logged as `operator`'s; with `None`, as those of the handle's own operator.
    ///
    /// # Errors
    /// An experiment is not [as expected](ExperimentError::ChangedMeanwhile); the rules refuse one of
    /// the mutations; or the store fails. Then nothing has changed.
    fn mutate_all(
        &self,
        expected: &[Expected<'_>],
        mutations: &[Mutation<'_>],
        operator: Option<&str>,
    ) -> Result<Vec<Option<ChangeRecord>>, ExperimentError>;

    /// All overrides of an experiment, also those that have expired, sorted by actor; empty if it is unknown.
    ///
    /// # Errors
    /// When the store fails.
    fn overrides(&self, experiment: &str) -> Result<Vec<Override>, ExperimentError>;

    /// Applies the rules to one actor, stores the assignment and keeps the exposure if asked to, all in
    /// one transaction. [`AssignRequest`] has the steps.
    ///
    /// It has no default in terms of the other methods: between two of them another caller may take
    /// an override back, change the weights or conclude the experiment.
    ///
    /// # Errors
    /// The refusal of the rule that decides, or the store fails.
    fn assign(&self, request: &AssignRequest<'_>) -> Result<Assigned, ExperimentError>;

    /// All that decides an actor's assignment, read as one view.
    ///
    /// # Errors
    /// When the store fails.
    fn situation(&self, experiment: &str, actor: &str) -> Result<Situation, ExperimentError>;

    /// Entries of the audit log, newest first, also within one second: of an experiment of that name, also one that
    /// was deleted, or of all.
    ///
    /// # Errors
    /// When the store fails.
    fn changes(&self, scan: &ChangeScan<'_>) -> Result<Vec<ChangeRecord>, ExperimentError>;

    /// Keeps one exposure. Within [`assign`](Self::assign) a store keeps it in the transaction of
    /// the assignment; this is for exposures that happen elsewhere.
    ///
    /// # Errors
    /// The experiment or the variant is unknown, or the store fails.
    fn record_exposure(&self, exposure: &ExposureRecord) -> Result<(), ExperimentError>;

    /// Shows the assignments of an experiment one after another, in one view and in constant memory, sorted by
    /// actor, byte by byte; none if it is unknown.
    ///
    /// # Errors
    /// When the store or `each` fails.
    fn scan_assignments(
        &self,
        experiment: &str,
        each: Each<'_, AssignmentRecord>,
    ) -> Result<(), ExperimentError>;

    /// Shows the kept exposures of an experiment one after another, in one view and in constant memory, in the
    /// order in which they were kept; none if it is unknown. With
    /// [`first_only`](ExposureScan::first_only) the order is that of the first ones.
    ///
    /// # Errors
    /// When the store or `each` fails.
    fn scan_exposures(
        &self,
        experiment: &str,
        scan: &ExposureScan,
        each: Each<'_, ExposureRecord>,
    ) -> Result<(), ExperimentError>;

    /// Removes the kept exposures of an experiment from before that second, but for what they say of an
    /// actor: the first exposure of each actor to each variant, by an override and without one, stays, by its
    /// second and then by the order in which it was kept.
    /// Returns how many went, and logs `exposures_pruned=<count>` if any did, in the same transaction.
    ///
    /// # Errors
    /// The experiment is unknown, or the store fails. Then nothing has changed.
    fn prune_exposures(
        &self,
        experiment: &str,
        before_secs: u64,
        operator: Option<&str>,
    ) -> Result<u64, ExperimentError>;

    /// Takes the assignments of some actors back, of either kind, with their kept exposures, all in one
    /// transaction: whoever has no override is a newcomer again. Actors of whom nothing is stored are passed over.
    /// Logs `unassigned=<count>`, with the count of the assignments, if anything went.
    ///
    /// # Errors
    /// The experiment is unknown, concluded or archived; or the store fails. Then nothing has changed.
    fn unassign(
        &self,
        experiment: &str,
        actors: &[&str],
        operator: Option<&str>,
    ) -> Result<Unassigned, ExperimentError>;

    /// The periods of an experiment's weights, in order, each with the counts of its assignments; empty if it is
    /// unknown. The time that it takes does not grow with the assignments in a store that keeps counts.
    ///
    /// # Errors
    /// When the store fails.
    fn weight_periods(&self, experiment: &str) -> Result<Vec<WeightPeriod>, ExperimentError>;

    /// Keeps outcomes, all of them in one transaction. Of several with one id, only the first of a metric
    /// is kept, whatever its actor and its value.
    ///
    /// # Errors
    /// One of them [can't be stored](ExperimentError::InvalidOutcome), or the store fails; then none is kept.
    fn track(&self, outcomes: &[Outcome]) -> Result<Tracked, ExperimentError>;

    /// Shows the kept outcomes one after another, in one view and in constant memory, in the order in which
    /// they were kept.
    ///
    /// # Errors
    /// When the store or `each` fails.
    fn scan_outcomes(
        &self,
        scan: &OutcomeScan<'_>,
        each: Each<'_, Outcome>,
    ) -> Result<(), ExperimentError>;

    // What follows is given in terms of the above.

    /// Makes ready for the first call, so that it is as fast as the others: a store that is reached over a
    /// network connects.
    ///
    /// # Errors
    /// When the store fails.
    fn preload(&self) -> Result<(), ExperimentError> {
        Ok(())
    }

    /// The clock that stamps what this handle writes.
    fn clock(&self) -> Clock {
        Clock::System
    }

    /// [`mutate_all`](Self::mutate_all) for one, whatever the experiment was before.
    ///
    /// # Errors
    /// The refusal of the rules, or the store fails; then nothing has changed.
    fn mutate(
        &self,
        mutation: &Mutation<'_>,
        operator: Option<&str>,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let changes = self.mutate_all(&[], std::slice::from_ref(mutation), operator)?;
        Ok(changes.into_iter().next().flatten())
    }

    /// Applies the rules to many actors, as [`assign`](Self::assign) would one after another, and
    /// stores what the request says. What is answered is stored.
    ///
    /// It need not be one step: others may be served in between, and when it fails or the process is
    /// killed, a part is stored; make the same request again to resume.
    ///
    /// A store that has a faster way overrides [`assign_many_in_parts`](Self::assign_many_in_parts), which this asks.
    ///
    /// # Errors
    /// The experiment is unknown, archived or a draft; an actor can't be stored; or the store fails.
    fn assign_many(&self, request: &AssignManyRequest<'_>) -> Result<Answers, ExperimentError> {
        Gathered::all(request, |each| self.assign_many_in_parts(request, each))
    }

    /// The same, part by part: shows the answers to `each` as soon as they are stored, each actor's once. Parts
    /// may come in any order of the actors. While one is shown, others may be served, and `each` may use the store.
    ///
    /// `Ok` if `each` ends it early.
    ///
    /// # Errors
    /// As [`assign_many`](Self::assign_many). What was stored before has been shown, unless it is
    /// [not known](crate::ExperimentStoreError::Unconfirmed) whether it was.
    fn assign_many_in_parts(
        &self,
        request: &AssignManyRequest<'_>,
        each: EachPart<'_>,
    ) -> Result<(), ExperimentError> {
        request.validate()?;
        for (place, &actor) in (0..).zip(request.actors) {
            let mut answers = Answers::default();
            let single = AssignRequest::new(request.experiment, actor);
            let single = match request.keep {
                Keep::Nothing => None,
                Keep::Assignments => Some(single),
                Keep::AssignmentsAndExposures => Some(single.keep_exposure(None)),
            };
            match single.map(|single| self.assign(&single)) {
                None => {
                    let situation = self.situation(request.experiment, actor)?;
                    let verdict = situation.verdict()?;
                    verdict.require_answer_to_one(situation.known()?)?;
                    answers.push(&verdict);
                }
                Some(Ok(assigned)) => answers.push(&assigned.verdict()),
                Some(Err(refusal)) => answers.push(&Verdict::of_one(refusal)?),
            }
            let part = AnsweredPart {
                places: &[place],
                answers: &answers,
            };
            if each(&part).is_break() {
                break;
            }
        }
        Ok(())
    }

    /// The kept exposures of an experiment, oldest first; empty if it is unknown.
    ///
    /// # Errors
    /// When the store fails.
    fn exposures(&self, experiment: &str) -> Result<Vec<ExposureRecord>, ExperimentError> {
        let mut all = Vec::new();
        self.scan_exposures(experiment, &ExposureScan::default(), &mut |exposure| {
            all.push(exposure.clone());
            Ok(())
        })?;
        Ok(all)
    }

    /// The audit log of an experiment, newest first; `limit` 0 means all. Empty if it is unknown.
    ///
    /// # Errors
    /// When the store fails.
    fn history(
        &self,
        experiment: &str,
        limit: usize,
    ) -> Result<Vec<ChangeRecord>, ExperimentError> {
        self.changes(&ChangeScan {
            experiment: Some(experiment),
            since_secs: 0,
            limit,
        })
    }

    /// How often the actor was shown what, in all experiments, sorted by experiment, variant, and whether an
    /// override was behind it.
    ///
    /// # Errors
    /// When the store fails.
    fn exposure_totals(&self, actor: &str) -> Result<Vec<ExposureTotal>, ExperimentError> {
        let mut totals = ExposureTotals::default();
        for config in self.list()? {
            self.scan_exposures(&config.name, &ExposureScan::default(), &mut |exposure| {
                if exposure.actor == actor {
                    totals.add(exposure);
                }
                Ok(())
            })?;
        }
        Ok(totals.into_sorted())
    }

    /// How many assignments each variant has, in the variants' order; empty if the experiment is
    /// unknown.
    ///
    /// # Errors
    /// When the store fails.
    fn variant_counts(&self, experiment: &str) -> Result<Vec<VariantCount>, ExperimentError> {
        let Some(config) = self.get(experiment)? else {
            return Ok(Vec::new());
        };
        let periods = self.weight_periods(experiment)?;
        Ok(VariantCount::totals(&config.variants, &periods))
    }

    /// The stored assignment of an actor, or `None`.
    ///
    /// # Errors
    /// When the store fails.
    fn get_assignment(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<Assignment>, ExperimentError> {
        Ok(self.situation(experiment, actor)?.assignment)
    }

    /// Stores an assignment and returns the variant that is stored: the existing one on conflict,
    /// unless the new one is an override, which replaces it. Its time is that of the store's clock.
    ///
    /// It is one step: [`assign`](Self::assign) with a [candidate](Candidate) in place of the override and
    /// of the entry rules.
    ///
    /// # Errors
    /// The experiment is unknown, archived or not running, or has no such variant; unless it is an
    /// override, the group forbids it; or the store fails. Then nothing has changed.
    fn record_assignment(&self, assignment: Assignment) -> Result<String, ExperimentError> {
        let Assignment {
            experiment, actor, ..
        } = &assignment;
        let candidate = Candidate {
            variant: &assignment.variant,
            is_override: assignment.is_override,
        };
        let recorded = self.assign(&AssignRequest::new(experiment, actor).candidate(candidate));
        recorded.map(|assigned| assigned.variant)
    }

    /// The variant that an override gives an actor, or `None`, also if it has expired. The variant may have been
    /// removed since.
    ///
    /// # Errors
    /// When the store fails.
    fn get_override(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<String>, ExperimentError> {
        let situation = self.situation(experiment, actor)?;
        Ok(situation.facts().pinned.map(str::to_owned))
    }

    /// Whether the actor has an assignment that [counts](crate::Facts::at), of either kind, in an experiment of the
    /// group other than `exclude_experiment`, whatever that experiment's state.
    ///
    /// # Errors
    /// When the store fails.
    fn has_assignment_in_group(
        &self,
        actor: &str,
        group: &str,
        exclude_experiment: &str,
    ) -> Result<bool, ExperimentError> {
        for config in self.list()? {
            if config.exclusion_group.as_deref() == Some(group)
                && config.name != exclude_experiment
                && self
                    .situation(&config.name, actor)?
                    .facts()
                    .stored
                    .is_some()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Creates an experiment, or replaces the draft of that name.
    ///
    /// # Errors
    /// It is invalid, or exists and is not a draft; the draft has assignments, and a variant of them would go
    /// or the exclusion group would change; or the store fails.
    fn upsert(&self, config: ExperimentConfig) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.mutate(&Mutation::Upsert(&config), None)
    }

    /// Creates an experiment that must not exist yet, in any state.
    ///
    /// # Errors
    /// It is invalid or exists already; or the store fails.
    fn insert(&self, config: ExperimentConfig) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.mutate(&Mutation::Insert(&config), None)
    }

    /// Moves an experiment to a state. `winner` is needed for [`ExperimentState::Concluded`] and
    /// ignored otherwise.
    ///
    /// # Errors
    /// It is unknown or archived, the winner is missing or unknown; or the store fails.
    fn set_state(
        &self,
        experiment: &str,
        state: ExperimentState,
        winner: Option<&str>,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let mutation = Mutation::SetState {
            experiment,
            state,
            winner,
        };
        self.mutate(&mutation, None)
    }

    /// Replaces the variants. Nobody who is assigned is moved. Without an operator the change is logged as
    /// that of the handle's own.
    ///
    /// # Errors
    /// It is unknown, concluded or archived; the variants are invalid; one that has assignments
    /// would go; or the store fails.
    fn set_variants(
        &self,
        experiment: &str,
        variants: Vec<VariantConfig>,
        operator: Option<&str>,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let variants = &variants;
        let mutation = Mutation::SetVariants {
            experiment,
            variants,
            values: None,
        };
        self.mutate(&mutation, operator)
    }

    /// Overrides the variant of an actor, from the next assignment on and without end.
    ///
    /// # Errors
    /// The experiment or the variant is unknown, or it is archived; or the store fails.
    fn set_override(
        &self,
        experiment: &str,
        actor: &str,
        variant: &str,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        let mutation = Mutation::SetOverride {
            experiment,
            actor,
            variant,
            expires_at_secs: None,
            reason: None,
        };
        self.mutate(&mutation, None)
    }

    /// Takes an override back, and drops the assignment that it made. `None` if there was none.
    ///
    /// # Errors
    /// The experiment is unknown or archived; or the store fails.
    fn clear_override(
        &self,
        experiment: &str,
        actor: &str,
    ) -> Result<Option<ChangeRecord>, ExperimentError> {
        self.mutate(&Mutation::ClearOverride { experiment, actor }, None)
    }
}

/// What an experiment must be for [`ExperimentStore::mutate_all`] to go on.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The experiment's name.
    pub experiment: &'a str,
    /// The whole of it, or `None` if there must be none of that name.
    pub config: Option<&'a ExperimentConfig>,
}

impl Expected<'_> {
    /// Compares it with what is there.
    ///
    /// # Errors
    /// [`ChangedMeanwhile`](ExperimentError::ChangedMeanwhile) if they differ, or
    /// [`DeletedMeanwhile`](ExperimentError::DeletedMeanwhile) if there is none any more.
    pub fn verify(&self, found: Option<&ExperimentConfig>) -> Result<(), ExperimentError> {
        if self.config == found {
            return Ok(());
        }
        let name = self.experiment.to_owned();
        Err(match found {
            Some(_) => ExperimentError::ChangedMeanwhile(name),
            None => ExperimentError::DeletedMeanwhile(name),
        })
    }
}

macro_rules! delegate {
    ($($name:ident($($arg:ident: $type:ty),*) -> $result:ty;)*) => {
        $(fn $name(&self, $($arg: $type),*) -> $result {
            (**self).$name($($arg),*)
        })*
    };
}

#[deny(clippy::missing_trait_methods)]
impl<T: ExperimentStore + ?Sized> ExperimentStore for Arc<T> {
    delegate! {
        get(experiment: &str) -> Result<Option<ExperimentConfig>, ExperimentError>;
        list() -> Result<Vec<ExperimentConfig>, ExperimentError>;
        preload() -> Result<(), ExperimentError>;
        mutate_all(expected: &[Expected<'_>], mutations: &[Mutation<'_>], operator: Option<&str>)
            -> Result<Vec<Option<ChangeRecord>>, ExperimentError>;
        mutate(mutation: &Mutation<'_>, operator: Option<&str>)
            -> Result<Option<ChangeRecord>, ExperimentError>;
        get_assignment(experiment: &str, actor: &str)
            -> Result<Option<Assignment>, ExperimentError>;
        record_assignment(assignment: Assignment) -> Result<String, ExperimentError>;
        get_override(experiment: &str, actor: &str) -> Result<Option<String>, ExperimentError>;
        overrides(experiment: &str) -> Result<Vec<Override>, ExperimentError>;
        has_assignment_in_group(actor: &str, group: &str, exclude_experiment: &str)
            -> Result<bool, ExperimentError>;
        situation(experiment: &str, actor: &str) -> Result<Situation, ExperimentError>;
        variant_counts(experiment: &str) -> Result<Vec<VariantCount>, ExperimentError>;
        changes(scan: &ChangeScan<'_>) -> Result<Vec<ChangeRecord>, ExperimentError>;
        history(experiment: &str, limit: usize) -> Result<Vec<ChangeRecord>, ExperimentError>;
        exposure_totals(actor: &str) -> Result<Vec<ExposureTotal>, ExperimentError>;
        unassign(experiment: &str, actors: &[&str], operator: Option<&str>)
            -> Result<Unassigned, ExperimentError>;
        record_exposure(exposure: &ExposureRecord) -> Result<(), ExperimentError>;
        exposures(experiment: &str) -> Result<Vec<ExposureRecord>, ExperimentError>;
        scan_assignments(experiment: &str, each: Each<'_, AssignmentRecord>)
            -> Result<(), ExperimentError>;
        scan_exposures(experiment: &str, scan: &ExposureScan, each: Each<'_, ExposureRecord>)
            -> Result<(), ExperimentError>;
        prune_exposures(experiment: &str, before_secs: u64, operator: Option<&str>)
            -> Result<u64, ExperimentError>;
        weight_periods(experiment: &str) -> Result<Vec<WeightPeriod>, ExperimentError>;
        track(outcomes: &[Outcome]) -> Result<Tracked, ExperimentError>;
        scan_outcomes(scan: &OutcomeScan<'_>, each: Each<'_, Outcome>)
            -> Result<(), ExperimentError>;
        clock() -> Clock;
        upsert(config: ExperimentConfig) -> Result<Option<ChangeRecord>, ExperimentError>;
        insert(config: ExperimentConfig) -> Result<Option<ChangeRecord>, ExperimentError>;
        set_state(experiment: &str, state: ExperimentState, winner: Option<&str>)
            -> Result<Option<ChangeRecord>, ExperimentError>;
        set_variants(experiment: &str, variants: Vec<VariantConfig>, operator: Option<&str>)
            -> Result<Option<ChangeRecord>, ExperimentError>;
        set_override(experiment: &str, actor: &str, variant: &str)
            -> Result<Option<ChangeRecord>, ExperimentError>;
        clear_override(experiment: &str, actor: &str)
            -> Result<Option<ChangeRecord>, ExperimentError>;
        assign(request: &AssignRequest<'_>) -> Result<Assigned, ExperimentError>;
        assign_many(request: &AssignManyRequest<'_>) -> Result<Answers, ExperimentError>;
        assign_many_in_parts(request: &AssignManyRequest<'_>, each: EachPart<'_>)
            -> Result<(), ExperimentError>;
    }
}
