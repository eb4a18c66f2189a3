use clap::Args;
use experiments::readiness::ConcernKind;
use experiments::text::escape;
use experiments::{
    Bucketing, ConfigField, Coverage, ExperimentConfig, ExperimentError, ExperimentService,
    ExperimentState, MetricConfig, VariantValues,
};
use serde_json::Value;

use super::ready::{self, Beside};
use super::set_coverage::parse_share;
use super::value::parse_value;
use super::weight::{TypedWeight, parse_variant};
use super::{dependence, proposal};
use crate::complete;
use crate::context::{Context, Purpose};
use crate::exit::{self, Hint, Invalid, UsageError};
use crate::output::change::Done;

/// Declare an experiment
///
/// It begins as a draft, which assigns nobody; --start makes it run at once. The order of the
/// variants decides who gets which. The store is made if there is none.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp create checkout_v2 --variant control=50 --variant treatment=50 --start")]
#[expect(clippy::doc_markdown, reason = "the docs are the help")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub(crate) struct Create {
    /// Its name, unique in the store
    name: String,

    /// A variant and its weight, relative to the other weights; repeat for each, or separate them by
    /// commas
    #[arg(long = "variant", required = true, value_name = "VARIANT=WEIGHT",
          value_parser = parse_variant)]
    variants: Vec<Vec<TypedWeight>>,

    /// What it is about
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Experiments of one group never share an actor
    #[arg(long, alias = "exclusion-group", value_name = "GROUP",
          add = complete::groups())]
    group: Option<String>,

    /// How actors become buckets, fnv1a unless it is given; cannot be changed once it has started
    ///
    /// Over ids of one length, plain fnv1a gives some pairs of experiments buckets that are shifted
    /// copies of each other; fnv1a_mixed does not. With --start and neither this nor --salt, the
    /// experiment is refused if it would form such a pair with one that is live.
    #[arg(long, value_enum, value_name = "HASH")]
    bucketing: Option<BucketingName>,

    /// Text to hash with an actor in place of the name; cannot be changed once it has started
    #[arg(long, value_name = "TEXT")]
    salt: Option<String>,

    /// The share of newcomers who enter, as 0.25 or 25%; the others are refused
    #[arg(
        long,
        value_name = "SHARE",
        default_value_t,
        allow_negative_numbers = true,
        value_parser = parse_share
    )]
    coverage: Coverage,

    /// Let no newcomer enter until exp open; overrides still work
    #[arg(long)]
    closed: bool,

    /// What a variant stands for, as JSON: control=12 or 'control="green"'; repeat for each
    ///
    /// Either every variant has a value or none, and all are of one type. exp assign --value prints it.
    #[arg(long = "value", value_name = "VARIANT=JSON", value_parser = parse_value)]
    values: Vec<(String, Value)>,

    /// What it is judged by: a name, which is also the column of the outcomes, one of conversion,
    /// mean, ratio and quantile, and how long after an actor's start outcomes count, as 7d or 12h;
    /// repeat for each
    ///
    /// The first metric decides, and names no winner without a window. A file, for exp apply, says more of
    /// each.
    #[arg(long = "metric", value_name = "NAME:KIND[:WINDOW]",
          add = complete::metric_kinds())]
    metrics: Vec<MetricConfig>,

    /// Start it at once
    #[arg(long)]
    start: bool,

    /// Refuse to start it if exp start would warn of anything that can be fixed
    #[arg(long, requires = "start")]
    strict: bool,

    /// Succeed if it exists already with the same definition
    #[arg(long)]
    if_not_exists: bool,
}

#[derive(Clone, Copy, Default, clap::ValueEnum)]
enum BucketingName {
    #[default]
    #[value(name = "fnv1a")]
    Fnv1a,
    #[value(name = "fnv1a_mixed", alias = "fnv1a-mixed")]
    Fnv1aMixed,
}

impl From<BucketingName> for Bucketing {
    fn from(name: BucketingName) -> Self {
        match name {
            BucketingName::Fnv1a => Self::Fnv1a,
            BucketingName::Fnv1aMixed => Self::Fnv1aMixed,
        }
    }
}

impl Create {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let variants = self.variants.iter().flatten();
        let variants: anyhow::Result<_> = variants.map(TypedWeight::declared).collect();
        refuse_stored_edges(&self.name, self.group.as_deref(), context)?;
        let mut wanted = ExperimentConfig::new(trimmed(&self.name), variants?);
        wanted.description = self.description;
        wanted.exclusion_group = self.group.as_deref().map(trimmed);
        wanted.bucketing = self.bucketing.unwrap_or_default().into();
        wanted.salt = self.salt;
        wanted.coverage = self.coverage;
        wanted.enrolling = !self.closed;
        wanted.values = each_once(self.values)?;
        wanted.analysis.metrics = self.metrics;
        for metric in &mut wanted.analysis.metrics {
            metric.name = trimmed(&metric.name);
        }
        if self.start {
            wanted.state = ExperimentState::Running;
        }
        // Before a store is made for it.
        wanted.validate_new()?;
        let mut beside = Beside::default();
        if self.start {
            beside = proposal::found(context, |service| Beside::read(&wanted, service))?;
            // One that is there already is not started, but accepted or refused.
            if beside.all.iter().all(|config| config.name != wanted.name) {
                if self.bucketing.is_none() && wanted.salt.is_none() {
                    dependence::refuse(&wanted, &beside.all)?;
                }
                if self.strict {
                    let draft = ExperimentConfig {
                        state: ExperimentState::Draft,
                        ..wanted.clone()
                    };
                    ready::require(&draft, &beside, ready::sentence_of_new)?;
                }
            }
        }
        let opened = context.open(Purpose::Create)?;
        let service = opened.service();
        let name = escape(&wanted.name);
        let (change, told) = match service.create_new(wanted.clone()) {
            Err(error @ (ExperimentError::AlreadyExists(..) | ExperimentError::Archived(_)))
                if self.if_not_exists =>
            {
                let state = accept_existing(&service, &wanted, error)?;
                let told = format!("{name} exists already as declared ({state})");
                (None, format!("{told}: nothing changed"))
            }
            created if self.start => (created?, format!("created and started {name}")),
            created => (created?, format!("created {name} as a draft")),
        };
        let is_new = change.is_some();
        context.show(&Done::new(change))?;
        context.say(told);
        if is_new {
            context.warn_of_application(&opened, std::iter::once((None, &wanted)))?;
            if self.start {
                ready::warn(&wanted, &beside, context, |kind| {
                    matches!(
                        kind,
                        ConcernKind::NoWindow { .. }
                            | ConcernKind::Dependent { .. }
                            | ConcernKind::GroupTaken { .. }
                            | ConcernKind::GroupScarce { .. }
                            | ConcernKind::GroupHeld { .. }
                    )
                });
            } else {
                dependence::warn(&wanted, &service, context)?;
                ready::warn_of_windows(&wanted, context);
            }
        }
        Ok(())
    }
}

/// Refuses to trim a name that an older version has stored with white space at its edges: the trimmed one would be
/// another experiment, or another group, which shares actors with the stored one.
fn refuse_stored_edges(name: &str, group: Option<&str>, context: &Context) -> anyhow::Result<()> {
    let has_edges = |name: &&str| name.trim() != *name;
    let (name, group) = (Some(name).filter(has_edges), group.filter(has_edges));
    if name.or(group).is_none() {
        return Ok(());
    }
    let stored = proposal::found(context, ExperimentService::list)?;
    let is_stored = |config: &ExperimentConfig| {
        let names = [Some(&*config.name), config.exclusion_group.as_deref()];
        names
            .into_iter()
            .zip([name, group])
            .any(|(stored, typed)| typed.is_some() && stored == typed)
    };
    if !stored.iter().any(is_stored) {
        return Ok(());
    }
    let message =
        "that name is in the store with its white space, and trimmed it would be another one";
    let hint = "choose another name; exp list --format json shows the stored ones";
    Err(anyhow::Error::new(Invalid(message.to_owned())).context(Hint(hint.to_owned())))
}

/// A name that is declared. White space at its edges is a slip.
fn trimmed(name: &str) -> String {
    name.trim().to_owned()
}

fn each_once(values: Vec<(String, Value)>) -> Result<VariantValues, UsageError> {
    let count = values.len();
    let values = values.into_iter();
    let values = values.map(|(variant, value)| (trimmed(&variant), value));
    let collected: VariantValues = values.collect();
    if collected.iter().count() == count {
        return Ok(collected);
    }
    Err(UsageError("--value names a variant twice".to_owned()))
}

/// Accepts the experiment that is there if it is the one that is wanted, and tells its state.
fn accept_existing(
    service: &ExperimentService,
    wanted: &ExperimentConfig,
    refusal: ExperimentError,
) -> anyhow::Result<ExperimentState> {
    let found = service.status(&wanted.name)?;
    let mut differing: Vec<ConfigField> = ConfigField::differing(&found, wanted).collect();
    // What most often differs comes first.
    differing.sort_by_key(|field| *field != ConfigField::Variants);
    if found.state == ExperimentState::Archived {
        return Err(refusal.into());
    }
    if wanted.state == ExperimentState::Running && found.state != wanted.state {
        differing.push(ConfigField::State);
    }
    if differing.is_empty() {
        return Ok(found.state);
    }
    let hint = if differing == [ConfigField::State] {
        format!(
            "it is as declared but does not run: {}",
            exit::start(&wanted.name)
        )
    } else {
        let labels: Vec<&str> = differing.into_iter().map(ConfigField::label).collect();
        format!("the existing one differs in: {}", labels.join(", "))
    };
    Err(anyhow::Error::new(refusal).context(Hint(hint)))
}
