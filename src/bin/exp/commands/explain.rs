use clap::Args;
use experiments::{Explanation, Outcome};

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::View;
use crate::output::text::{BOLD, DIM, Text, safe, styled};
use crate::output::tsv::Tsv;

/// Tell which rule decides what an actor gets, and with what numbers
///
/// Writes nothing. It tells what the next `exp assign` would do.
#[derive(Args)]
#[command(after_help = "TSV columns: actor, outcome, variant, number of the rule, bucket")]
pub(crate) struct Explain {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: String,

    /// Who, for example user:42
    actor: String,
}

impl Explain {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Use)?;
        context.show(&service.explain(&self.name, &self.actor)?)
    }
}

impl View for Explanation {
    fn tsv(&self, tsv: &mut Tsv) {
        tsv.line(&[
            &self.actor,
            self.outcome.as_str(),
            self.variant.as_deref().unwrap_or_default(),
            &self.outcome.rule().to_string(),
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
                refusal(self.outcome)
            ),
        });
        text.line("");
        for (number, (rule, finding)) in (1..).zip(self.rules()) {
            let decides = number == self.outcome.rule();
            let mark = if decides { "→" } else { " " };
            let line = format!("{mark} {number} {rule:<10}  {finding}");
            text.line(match number.cmp(&self.outcome.rule()) {
                std::cmp::Ordering::Less => line,
                std::cmp::Ordering::Equal => styled(BOLD, line),
                std::cmp::Ordering::Greater => styled(DIM, line),
            });
        }
    }
}

fn refusal(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Archived => "it is archived",
        Outcome::NotRunning => "it is not running",
        Outcome::Excluded => "another experiment of the group has the actor",
        Outcome::NoVariant => "all weights are 0",
        Outcome::NoWinner => "it is concluded without a winner",
        Outcome::Concluded | Outcome::Override | Outcome::Sticky | Outcome::Assigned => "",
    }
}

/// What each rule found, whether it was asked or not.
trait Rules {
    fn rules(&self) -> [(&'static str, String); 7];
}

impl Rules for Explanation {
    fn rules(&self) -> [(&'static str, String); 7] {
        let none = || "none".to_owned();
        let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        let pinned = self.pinned.as_ref().map_or_else(none, |pinned| {
            let variant = safe(&pinned.variant);
            if pinned.exists {
                variant
            } else {
                format!("{variant}, which was removed: ignored")
            }
        });
        let group = match (&self.exclusion_group, &self.sibling) {
            (None, _) => none(),
            (Some(group), None) => format!("{}: the actor is free", safe(group)),
            (Some(group), Some(sibling)) => {
                format!("{}: the actor is in {}", safe(group), safe(sibling))
            }
        };
        let concluded = match (self.outcome, &self.variant) {
            (Outcome::Concluded, Some(winner)) => format!("yes, {} won", safe(winner)),
            (Outcome::NoWinner, _) => "yes, without a winner".to_owned(),
            _ => yes_or_no(false),
        };
        let trace = &self.bucketing;
        let salt = trace.salt.as_deref();
        let salt = salt.map_or_else(String::new, |salt| format!(" with salt {}", safe(salt)));
        let bucket = format!(
            "{} of 10000 ({}{salt}) × weight {} = {} → {}",
            trace.bucket,
            trace.hash,
            trace.total_weight,
            trace.threshold,
            trace
                .variant
                .as_deref()
                .map_or_else(|| "no variant".to_owned(), safe)
        );
        [
            ("archived", yes_or_no(self.outcome == Outcome::Archived)),
            ("concluded", concluded),
            ("draft", yes_or_no(self.outcome == Outcome::NotRunning)),
            ("override", pinned),
            (
                "assignment",
                self.assignment.as_deref().map_or_else(none, safe),
            ),
            ("group", group),
            ("bucket", bucket),
        ]
    }
}
