use clap::Args;
use clap::builder::NonEmptyStringValueParser;
use experiments::text::escape;
use experiments::{ChangeSide, ExperimentConfig, actor_problem};
use schemars::JsonSchema;
use serde::Serialize;
use unicode_width::UnicodeWidthStr as _;

use crate::context::{Context, Purpose};
use crate::environment;
use crate::exit::Invalid;
use crate::moment;
use crate::output::View;
use crate::output::change::Done;
use crate::output::text::{BOLD, Text, cell, safe, styled, wrapped};
use crate::output::tsv::Tsv;
use crate::{actor_word, complete};

/// Override the variant of an actor, for QA
///
/// An override bypasses weights, coverage, exp close and the exclusion group. Clearing it also drops
/// the assignment that it made, so that the actor is bucketed again. The same happens when it expires.
#[derive(Args)]
#[command(
    override_usage = "exp override [OPTIONS] <NAME> <ACTOR> <VARIANT>\n       \
    exp override [OPTIONS] <NAME> <ACTOR> --clear\n       \
    exp override [OPTIONS] <NAME> --list",
    after_help = "Examples:\n  \
    exp override checkout_v2 qa:ann treatment --expires 7d --reason 'screenshots'\n  \
    exp override checkout_v2 qa:ann --clear\n  \
    exp override checkout_v2 --list\n\n\
    TSV columns of --list: actor, variant, created_at_secs (since 1970), expires_at_secs, operator,\n\
    reason, exists (whether the variant does), has_expired"
)]
pub(crate) struct Override {
    /// The experiment's name
    #[arg(add = complete::live_experiments())]
    name: String,

    /// Whose variant it is
    #[arg(required_unless_present = "list",
          value_parser = actor_word::text(), allow_hyphen_values = true,
          add = complete::overridden_actors())]
    actor: Option<String>,

    /// The variant that the actor gets
    #[arg(required_unless_present_any = ["list", "clear"], add = complete::variants())]
    variant: Option<String>,

    /// When it expires: 7d (from now), a date, RFC 3339, or seconds since 1970
    #[arg(long, value_name = "TIME", allow_hyphen_values = true,
          conflicts_with_all = ["clear", "list"])]
    expires: Option<String>,

    /// What it is for
    #[arg(long, value_name = "TEXT", value_parser = NonEmptyStringValueParser::new(),
          conflicts_with_all = ["clear", "list"])]
    reason: Option<String>,

    /// Take the actor's override back
    #[arg(long, conflicts_with_all = ["variant", "list"])]
    clear: bool,

    /// Show all overrides
    #[arg(long, conflicts_with_all = ["actor", "variant"])]
    list: bool,
}

impl Override {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        match (&self.actor, &self.variant) {
            (Some(actor), Some(variant)) => self.set(actor, variant, context),
            (Some(actor), None) => clear(context, &self.name, actor),
            _ => list(context, &self.name),
        }
    }

    fn set(&self, actor: &str, variant: &str, context: &Context) -> anyhow::Result<()> {
        let expires = self.expires.as_deref();
        let expires =
            expires.map(|text| anyhow::Ok(moment::parse_ahead(text, environment::clock()?)?));
        let expires = expires.transpose()?;
        let opened = context.open(Purpose::Change)?;
        let service = opened.service();
        let reason = self.reason.as_deref();
        let change = service.set_override_until(&self.name, actor, variant, expires, reason)?;
        context.show(&Done::new(change.clone()))?;
        let (actor, name, variant) = (escape(actor), escape(&self.name), escape(variant));
        let until = until(expires, context);
        context.say(match change {
            Some(change) => {
                let before = replaced(change.detail.unwrap_or_default().before, context);
                format!("set the override of {actor} in {name}: {variant}{until}{before}")
            }
            None => format!(
                "{actor} has the override {variant}{until} in {name} already: nothing changed"
            ),
        });
        if expires.is_some() && opened.is_of_application()? {
            context.warn(format_args!(
                "the application that shares these tables does not know that the override of {actor} \
                 expires: it goes on giving {variant}"
            ));
        }
        let config = service.status(&self.name)?;
        if let Some(winner) = config.deciding_winner() {
            context.warn(format_args!(
                "{name} is concluded: everybody gets {}, and the override has no effect",
                escape(winner)
            ));
        }
        Ok(())
    }
}

fn until(expires: Option<u64>, context: &Context) -> String {
    expires.map_or_else(String::new, |secs| format!(" until {}", context.time(secs)))
}

/// The override that was there before, of which nothing is kept.
fn replaced(before: ChangeSide, context: &Context) -> String {
    let Some(variant) = before.pinned else {
        return String::new();
    };
    let reason = before.reason.as_deref().map(escape);
    let reason = reason.map_or_else(String::new, |reason| format!(", reason: {reason}"));
    let until = until(before.expires_at_secs, context);
    format!(" (before: {}{until}{reason})", escape(&variant))
}

fn clear(context: &Context, name: &str, actor: &str) -> anyhow::Result<()> {
    let change = context
        .service(Purpose::Change)?
        .clear_override(name, actor)?;
    // One that was stored earlier can be taken back.
    if change.is_none()
        && let Some(problem) = actor_problem(actor)
    {
        return Err(Invalid(problem.to_string()).into());
    }
    context.show(&Done::new(change.clone()))?;
    let (actor, name) = (escape(actor), escape(name));
    context.say(match change {
        Some(_) => format!("cleared the override of {actor} in {name}"),
        None => format!("{actor} has no override in {name}: nothing changed"),
    });
    Ok(())
}

fn list(context: &Context, name: &str) -> anyhow::Result<()> {
    let now = environment::clock()?.now_secs();
    let service = context.service(Purpose::Use)?;
    let config = service.status(name)?;
    let overrides = service.overrides(name)?.into_iter();
    let listed = overrides.map(|set| Listed::new(set, &config, now));
    context.show(&Overrides(listed.collect()))
}

/// An override as it is shown.
#[derive(Serialize, JsonSchema)]
struct Listed {
    #[serde(flatten)]
    set: experiments::Override,
    /// Whether the experiment still has the variant.
    exists: bool,
    /// Whether it has expired, and so counts as none.
    has_expired: bool,
}

impl Listed {
    fn new(set: experiments::Override, config: &ExperimentConfig, now_secs: u64) -> Self {
        Self {
            exists: config.variant(&set.variant).is_some(),
            has_expired: set.has_expired(now_secs),
            set,
        }
    }

    /// The variant, and whether it was removed.
    fn variant(&self) -> String {
        let removed = if self.exists { "" } else { " (removed)" };
        format!("{}{removed}", safe(&self.set.variant))
    }

    /// What a table shows of it.
    fn cells(&self, text: &Text) -> [String; HEADER.len()] {
        let set = &self.set;
        let expired = if self.has_expired { "expired " } else { "" };
        let expiry = set.expires_at_secs;
        let expiry = expiry.map(|secs| format!("{expired}{}", text.time(secs)));
        [
            safe(&set.actor),
            self.variant(),
            text.time(set.created_at_secs),
            set.operator.as_deref().map(safe).unwrap_or_default(),
            expiry.unwrap_or_default(),
            set.reason.as_deref().map(safe).unwrap_or_default(),
        ]
    }

    /// The same below one another.
    fn write_lines(&self, text: &mut Text) {
        let set = &self.set;
        let actor = styled(BOLD, safe(&set.actor));
        text.line(format_args!("{actor}  {}", self.variant()));
        let since = text.time(set.created_at_secs);
        let by = set.operator.as_deref();
        let by = by.map_or_else(String::new, |by| format!(" by {}", safe(by)));
        wrapped(text, "  ", &format!("since {since}{by}"));
        if let Some(secs) = set.expires_at_secs {
            let ends = if self.has_expired {
                "expired"
            } else {
                "expires"
            };
            let line = format!("{ends} {}", text.time(secs));
            wrapped(text, "  ", &line);
        }
        if let Some(reason) = &set.reason {
            wrapped(text, "  ", &format!("reason: {}", safe(reason)));
        }
    }
}

const HEADER: [&str; 6] = ["ACTOR", "VARIANT", "SINCE", "BY", "EXPIRES", "REASON"];

#[derive(Serialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct Overrides(Vec<Listed>);

impl View for Overrides {
    fn columns(&self) -> &'static [&'static str] {
        &[
            "actor",
            "variant",
            "created_at_secs",
            "expires_at_secs",
            "operator",
            "reason",
            "exists",
            "has_expired",
        ]
    }

    fn tsv(&self, tsv: &mut Tsv) {
        for listed in &self.0 {
            let set = &listed.set;
            let expires_at = set.expires_at_secs.map(|secs| secs.to_string());
            tsv.line(&[
                &set.actor,
                &set.variant,
                &set.created_at_secs.to_string(),
                &expires_at.unwrap_or_default(),
                set.operator.as_deref().unwrap_or_default(),
                set.reason.as_deref().unwrap_or_default(),
                &listed.exists.to_string(),
                &listed.has_expired.to_string(),
            ]);
        }
    }

    /// A table if it fits the page, and otherwise a few lines for each.
    fn text(&self, text: &mut Text) {
        if self.0.is_empty() {
            return;
        }
        let rows: Vec<_> = self.0.iter().map(|listed| listed.cells(text)).collect();
        // What no override has gets no column.
        let is_shown = |column: &usize| rows.iter().any(|row| !row[*column].is_empty());
        let columns: Vec<usize> = (0..HEADER.len()).filter(is_shown).collect();
        let widths = columns.iter().map(|&column| {
            let cells = rows.iter().map(|row| row[column].width());
            cells.max().unwrap_or(0).max(HEADER[column].len()) + text.gap()
        });
        let width = widths.sum::<usize>() - text.gap();
        if text.width().is_some_and(|page| page < width) {
            for listed in &self.0 {
                listed.write_lines(text);
            }
            return;
        }
        let header: Vec<&str> = columns.iter().map(|&column| HEADER[column]).collect();
        let row = |row: &[String; HEADER.len()]| columns.iter().map(|&c| cell(&row[c])).collect();
        text.table(&header, rows.iter().map(row).collect());
    }
}
