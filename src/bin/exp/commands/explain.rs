use clap::Args;
use experiments::{
    AssignmentReason, Coverage, ExperimentError, ExperimentState, Explanation, PinnedVariant, Rule,
    Situation,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::context::{Context, Purpose};
use crate::output::View;
use crate::output::text::{BOLD, DIM, Text, line_or_wrapped, safe, styled};
use crate::output::tsv::Tsv;
use crate::{actor_word, complete};

/// Show which rule decides what an actor gets, and with what numbers
///
/// Writes nothing. It shows what the next `exp assign` would do; for a draft or a paused experiment
/// also what it would do if the experiment ran.
#[derive(Args)]
#[command(after_help = "Examples:\n  \
    exp explain checkout_v2 user:42\n\n\
    TSV columns: actor, reason, variant, rule (its number), bucket")]
pub(crate) struct Explain {
    /// The experiment's name
    #[arg(add = complete::experiments())]
    name: String,

    /// The actor, for example user:42
    #[arg(value_parser = actor_word::text(), allow_hyphen_values = true)]
    actor: String,
}

impl Explain {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Use)?;
        let situation = service.store().situation(&self.name, &self.actor)?;
        let explanation = Explanation::of(situation.clone())?;
        let if_running = match explanation.state {
            ExperimentState::Draft | ExperimentState::Paused => {
                Some(IfRunning::of(&situation.clone().as_if_running())?)
            }
            ExperimentState::Running | ExperimentState::Concluded | ExperimentState::Archived => {
                None
            }
        };
        let sibling = explanation.sibling.as_deref();
        let sibling = sibling.and_then(|sibling| service.status(sibling).ok());
        let config = situation.config.as_ref();
        let past_winner = config.filter(|config| config.state == ExperimentState::Archived);
        context.show(&Explained {
            past_winner: past_winner.and_then(|config| config.winner.clone()),
            sibling_state: sibling.map(|sibling| sibling.state),
            if_running,
            explanation,
        })
    }
}

/// An explanation, with what the rules do not look at.
#[derive(Serialize, JsonSchema)]
pub(super) struct Explained {
    #[serde(flatten)]
    explanation: Explanation,
    /// The state of the other experiment of the group that holds the actor.
    sibling_state: Option<ExperimentState>,
    /// Of a draft or a paused experiment.
    if_running: Option<IfRunning>,
    /// The winner of an archived experiment, if it was concluded before.
    #[serde(skip)]
    past_winner: Option<String>,
}

/// What the actor would get if the experiment ran.
#[derive(Serialize, JsonSchema)]
struct IfRunning {
    /// Why.
    reason: AssignmentReason,
    /// The variant; null if none.
    variant: Option<String>,
    /// What the variant stands for; null if nothing.
    value: Option<Value>,
}

impl IfRunning {
    fn of(situation: &Situation) -> Result<Self, ExperimentError> {
        let verdict = situation.verdict()?;
        Ok(Self {
            reason: verdict.reason,
            variant: verdict.variant.map(str::to_owned),
            value: verdict.value.cloned(),
        })
    }
}

impl View for Explained {
    fn columns(&self) -> &'static [&'static str] {
        &["actor", "reason", "variant", "rule", "bucket"]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        let explained = &self.explanation;
        tsv.line(&[
            &explained.actor,
            explained.reason.as_str(),
            explained.variant.as_deref().unwrap_or_default(),
            &explained.reason.rule().number().to_string(),
            &explained.bucketing.bucket.to_string(),
        ]);
    }

    fn text(&self, text: &mut Text) {
        let explained = &self.explanation;
        write_answer(explained, self.if_running.as_ref(), text);
        text.line("");
        let deciding = explained.reason.rule();
        let mut was_decided = false;
        for rule in Rule::all() {
            let mark = if rule == deciding { "→" } else { " " };
            let mut lines = vec![format!(
                "{mark} {} {:<11}  {}",
                rule.number(),
                rule.as_str(),
                self.found_by(rule, text)
            )];
            if let (Rule::Override, Some(pinned)) = (rule, &explained.pinned) {
                let details = details(pinned, text).into_iter();
                lines.extend(details.map(|detail| format!("{:17}{detail}", "")));
            }
            for line in lines {
                let line = if rule == deciding {
                    styled(BOLD, line)
                } else if was_decided {
                    styled(DIM, line)
                } else {
                    line
                };
                line_or_wrapped(text, 17, &line);
            }
            was_decided |= rule == deciding;
        }
    }
}

/// What the actor gets, and its value.
fn write_answer(explained: &Explanation, if_running: Option<&IfRunning>, text: &mut Text) {
    let actor = styled(BOLD, safe(&explained.actor));
    let experiment = styled(BOLD, safe(&explained.experiment));
    // Nothing is stored of a newcomer until then.
    let gets = if explained.reason == AssignmentReason::Assigned {
        "would get"
    } else {
        "gets"
    };
    let answer = if let Some(variant) = &explained.variant {
        let variant = styled(BOLD, safe(variant));
        format!("{actor} {gets} {variant} in {experiment}")
    } else {
        let why = refusal(explained.reason, explained.state);
        format!("{actor} gets nothing in {experiment}: {why}")
    };
    line_or_wrapped(text, 2, &answer);
    if let Some(if_running) = if_running {
        let answer = match &if_running.variant {
            Some(variant) => format!(
                "if it ran, the actor would get {}",
                styled(BOLD, safe(variant))
            ),
            None => format!(
                "if it ran, the actor would get nothing: {}",
                refusal(if_running.reason, ExperimentState::Running)
            ),
        };
        line_or_wrapped(text, 2, &answer);
    }
    let value = explained.value.as_ref();
    let value = value.or_else(|| if_running.and_then(|would| would.value.as_ref()));
    if let Some(value) = value {
        text.line(format_args!("value: {}", safe(&value.to_string())));
    }
}

fn refusal(reason: AssignmentReason, state: ExperimentState) -> &'static str {
    match reason {
        AssignmentReason::Archived => "it is archived",
        AssignmentReason::NotRunning => match state {
            ExperimentState::Draft => "it is a draft",
            ExperimentState::Paused => "it is paused",
            ExperimentState::Running | ExperimentState::Concluded | ExperimentState::Archived => {
                "it is not running"
            }
        },
        AssignmentReason::Excluded => "the actor is in another experiment of the group",
        AssignmentReason::Closed => "it is closed to newcomers",
        AssignmentReason::NotCovered => "the actor is outside its coverage",
        AssignmentReason::NoVariant => "all weights are 0",
        AssignmentReason::NoWinner => "it is concluded without a winner",
        AssignmentReason::Concluded
        | AssignmentReason::Override
        | AssignmentReason::Sticky
        | AssignmentReason::Assigned => "",
    }
}

/// Who set an override, when, until when and what for.
fn details(pinned: &PinnedVariant, text: &Text) -> Vec<String> {
    let set = text.time(pinned.created_at_secs);
    let by = pinned.operator.as_deref().unwrap_or("(unknown)");
    let mut details = vec![format!("by {}, since {set}", safe(by))];
    details.extend(pinned.expires_at_secs.map(|expires_at| {
        let ends = if pinned.has_expired {
            "expired"
        } else {
            "expires"
        };
        format!("{ends} {}", text.time(expires_at))
    }));
    let reason = pinned.reason.as_deref();
    details.extend(reason.map(|reason| format!("reason: {}", safe(reason))));
    details
}

impl Explained {
    /// What a rule found, whether it was asked or not.
    fn found_by(&self, rule: Rule, text: &Text) -> String {
        let explained = &self.explanation;
        let none = || "none".to_owned();
        let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        match rule {
            Rule::Archived => yes_or_no(explained.reason == AssignmentReason::Archived),
            Rule::Concluded => match (explained.reason, &explained.variant, &self.past_winner) {
                (AssignmentReason::Concluded, Some(winner), _) => {
                    format!("yes, {} won", safe(winner))
                }
                (AssignmentReason::NoWinner, ..) => "yes, without a winner".to_owned(),
                (_, _, Some(winner)) => format!("it was, {} won", safe(winner)),
                _ => yes_or_no(false),
            },
            Rule::NotRunning => match explained.reason {
                AssignmentReason::NotRunning => format!("yes, {}", explained.state),
                _ => yes_or_no(false),
            },
            Rule::Override => match &explained.pinned {
                None => none(),
                Some(pinned) => {
                    let variant = safe(&pinned.variant);
                    if !pinned.exists {
                        format!("{variant}, which was removed: ignored")
                    } else if pinned.has_expired {
                        format!("{variant}, which has expired: ignored")
                    } else {
                        variant
                    }
                }
            },
            Rule::Assignment => assignment(explained, text).unwrap_or_else(none),
            Rule::Group => group(explained, self.sibling_state).unwrap_or_else(none),
            Rule::Enrolment => if explained.enrolling {
                "open"
            } else {
                "closed"
            }
            .to_owned(),
            Rule::Coverage => coverage(explained),
            Rule::Bucket => bucket(explained),
        }
    }
}

fn assignment(explained: &Explanation, text: &Text) -> Option<String> {
    let variant = safe(explained.assignment.as_deref()?);
    let pinned = explained.pinned.as_ref();
    if explained.assigned_by_override && pinned.is_some_and(|pinned| pinned.has_expired) {
        return Some(format!(
            "{variant}, by the override that has expired: ignored"
        ));
    }
    let by = if explained.assigned_by_override {
        ", by an override"
    } else {
        ""
    };
    let since = explained.assigned_at_secs.map(|since| text.time(since));
    let since = since.map_or_else(String::new, |since| format!(", since {since}"));
    Some(format!("{variant}{by}{since}"))
}

fn group(explained: &Explanation, sibling_state: Option<ExperimentState>) -> Option<String> {
    let group = safe(explained.exclusion_group.as_deref()?);
    let Some(sibling) = &explained.sibling else {
        return Some(format!("{group}: the actor is free"));
    };
    // It keeps the actor whatever its state is, which is easily overlooked.
    let state = match sibling_state {
        None | Some(ExperimentState::Running) => String::new(),
        Some(ExperimentState::Draft) => ", a draft".to_owned(),
        Some(state) => format!(", which is {state}"),
    };
    Some(format!("{group}: the actor is in {}{state}", safe(sibling)))
}

fn coverage(explained: &Explanation) -> String {
    let trace = &explained.coverage;
    if trace.share == Coverage::FULL {
        return "everybody".to_owned();
    }
    let parts = trace.share.per_10000();
    let enters = if trace.covers { "enters" } else { "stays out" };
    format!("{} of 10000 (limit {parts}) → {enters}", trace.bucket)
}

fn bucket(explained: &Explanation) -> String {
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
