use clap::Args;
use experiments::declare::to_toml;
use experiments::{ExperimentConfig, ExperimentError};

use crate::complete;
use crate::context::{Context, Purpose};
use crate::options::Format;
use crate::output::{json, stream};

/// Write the experiments of the store as a file
///
/// Applying that file to the same store changes nothing.
#[derive(Args)]
#[command(after_help = "Examples:\n  exp export > experiments.toml")]
pub(crate) struct Export {
    /// Only these experiments; all if none is named
    #[arg(value_name = "NAME", add = complete::experiments())]
    names: Vec<String>,
}

impl Export {
    pub(crate) fn run(self, context: &Context) -> anyhow::Result<()> {
        let all = context.service(Purpose::Use)?.list()?;
        let mut chosen: Vec<ExperimentConfig> = Vec::new();
        for name in &self.names {
            let found = all.iter().find(|config| config.name == *name);
            let found = found.ok_or_else(|| ExperimentError::NotFound(name.clone()))?;
            if !chosen.contains(found) {
                chosen.push(found.clone());
            }
        }
        let exported = if self.names.is_empty() { all } else { chosen };
        stream::print(&match context.format() {
            Format::Json => json::safe_line(&exported)?,
            _ => to_toml(&exported),
        })
    }
}
