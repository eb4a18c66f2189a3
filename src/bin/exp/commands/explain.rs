use clap::Args;
use experiments::{AssignmentReason, Coverage, Explanation, Rule};

use crate::context::{Context, Purpose};
use crate::output::View;
use crate::output::text::{BOLD, DIM, Text, safe, styled};
use crate::output::tsv::Tsv;
use crate::{actor_word, complete};

/// Tell which rule decides what an actor gets, and with what numbers
///
/// Writes nothing. It tells what the next `exp assign` would do.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp explain checkout_v2 user:42\n\n\
    TSV columns: actor, reason, variant, number of the rule, bucket")]
pub(crate) struct Explain {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: String,

    /// Who, for example user:42
    #[arg(value_parser = actor_word::text(), allow_hyphen_values = true)]
    actor: String,
}

impl Explain {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Use)?;
        context.show(&service.explain(&self.name, &self.actor)?)
    }
}

impl View for Explanation {
    fn columns(&self) -> &'static [&'static str] {
        &["actor", "reason", "variant", "rule", "bucket"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[
            &self.actor,
            self.reason.as_str(),
            self.variant.as_deref().unwrap_or_default(),
            &self.reason.rule().number().to_string(),
            &self.bucketing.bucket.to_string(),
        ]);
    }

    fn text(&self, text: &mut Text) {
        let actor = styled(BOLD, safe(&self.actor));
        let experiment = styled(BOLD, safe(&self.experiment));
        text.line(match &self.variant {
            Some(variant) => {
                format!(
                    "{actor} gets {} in {experiment}",
                    styled(BOLD, safe(variant))
                )
            }
            None => format!(
                "{actor} gets nothing in {experiment}: {}",
                refusal(self.reason)
            ),
        });
        text.line("");
        let deciding = self.reason.rule();
        let mut was_decided = false;
        for rule in Rule::all() {
            let mark = if rule == deciding { "→" } else { " " };
            let line = format!(
                "{mark} {} {:<10}  {}",
                rule.number(),
                rule.as_str(),
                found_by(rule, self)
            );
            text.line(if rule == deciding {
                styled(BOLD, line)
            } else if was_decided {
                styled(DIM, line)
            } else {
                line
            });
            was_decided |= rule == deciding;
        }
    }
}

fn refusal(reason: AssignmentReason) -> &'static str {
    match reason {
        AssignmentReason::Archived => "it is archived",
        AssignmentReason::NotRunning => "it is not running",
        AssignmentReason::Excluded => "another experiment of the group has the actor",
        AssignmentReason::NotCovered => "its coverage leaves the actor out",
        AssignmentReason::NoVariant => "all weights are 0",
        AssignmentReason::NoWinner => "it is concluded without a winner",
        AssignmentReason::Concluded
        | AssignmentReason::Override
        | AssignmentReason::Sticky
        | AssignmentReason::Assigned => "",
    }
}

/// What a rule found, whether it was asked or not.
fn found_by(rule: Rule, explained: &Explanation) -> String {
    let none = || "none".to_owned();
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    match rule {
        Rule::Archived => yes_or_no(explained.reason == AssignmentReason::Archived),
        Rule::Concluded => match (explained.reason, &explained.variant) {
            (AssignmentReason::Concluded, Some(winner)) => format!("yes, {} won", safe(winner)),
            (AssignmentReason::NoWinner, _) => "yes, without a winner".to_owned(),
            _ => yes_or_no(false),
        },
        Rule::Draft => yes_or_no(explained.reason == AssignmentReason::NotRunning),
        Rule::Override => match &explained.pinned {
            None => none(),
            Some(pinned) if pinned.exists => safe(&pinned.variant),
            Some(pinned) => format!("{}, which was removed: ignored", safe(&pinned.variant)),
        },
        Rule::Assignment => explained.assignment.as_deref().map_or_else(none, safe),
        Rule::Group => match (&explained.exclusion_group, &explained.sibling) {
            (None, _) => none(),
            (Some(group), None) => format!("{}: the actor is free", safe(group)),
            (Some(group), Some(sibling)) => {
                format!("{}: the actor is in {}", safe(group), safe(sibling))
            }
        },
        Rule::Coverage => {
            let trace = &explained.coverage;
            if trace.share == Coverage::FULL {
                return "everybody".to_owned();
            }
            let parts = trace.share.per_10000();
            let enters = if trace.covers { "enters" } else { "stays out" };
            format!("{} of 10000 (limit {parts}) → {enters}", trace.bucket)
        }
        Rule::Bucket => {
            let trace = &explained.bucketing;
            let variant = trace.variant.as_deref();
            let salt = trace.salt.as_deref();
            let salt = salt.map_or_else(String::new, |salt| format!(" with salt {}", safe(salt)));
            format!(
                "{} of 10000 ({}{salt}) × weight {} = {} → {}",
                trace.bucket,
                trace.hash,
                trace.total_weight,
                trace.threshold,
                variant.map_or_else(|| "no variant".to_owned(), safe)
            )
        }
    }
}
