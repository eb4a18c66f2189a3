use clap::Args;
use experiments::text::escape;

use crate::complete;
use crate::context::{Context, Purpose};
use crate::output::change::Done;

/// Give everybody the winner
///
/// From then on every actor gets it, and nothing is recorded any more.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp conclude checkout_v2 treatment")]
pub(crate) struct Conclude {
    /// The experiment's name
    #[arg(add = complete::live_experiments())]
    name: String,

    /// The variant that everybody gets
    #[arg(add = complete::variants())]
    winner: String,
}

impl Conclude {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let service = context.service(Purpose::Change)?;
        let change = service.conclude(&self.name, &self.winner)?;
        context.show(&Done::new(change.clone()))?;
        let (name, winner) = (escape(&self.name), escape(&self.winner));
        context.say(match change {
            Some(change) => {
                let before = change.detail.and_then(|detail| detail.before.winner);
                let before = before.map_or_else(String::new, |before| {
                    format!("; the winner was {} before", escape(&before))
                });
                format!("concluded {name}: everybody gets {winner}{before}")
            }
            None => format!("{name} is concluded with {winner} already: nothing changed"),
        });
        Ok(())
    }
}
