use clap::Args;
use experiments::ExperimentConfig;
use experiments::declare;
use experiments::{StoreInfo, Tracked};

use super::{
    actor, apply, assign, assignments, demo, explain, exposures, history, list, outcomes,
    overrides, power, results, simulate, status, store, unassign,
};
use crate::complete;
use crate::exit::{ErrorDocument, UsageError};
use crate::output::change::Done;
use crate::output::findings::Findings;
use crate::output::plan::PlanView;
use crate::output::schema::{any_of, of};
use crate::output::{rows, stream};

/// Print the JSON Schema of files of experiments, or of what a command prints
///
/// Editors complete and validate files with it. Name it in the first line of a file:
/// #:schema ./exp.schema.json
///
/// With --of it describes what a command prints with --format json: its document, or, of assign --actors,
/// assignments, exposures and outcomes, that of each row.
#[derive(Args)]
#[command(after_help = "\
Examples:
  exp schema > exp.schema.json
  exp schema --of status
  exp schema --of store info
  exp schema --of error")]
pub(crate) struct Schema {
    /// The command, as status or store info; or error, for what --format json prints on standard error
    #[arg(long, value_name = "COMMAND", num_args = 1..=2,
          add = complete::commands("of", |command| document(command).is_some()))]
    of: Vec<String>,
}

impl Schema {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let schema = if self.of.is_empty() {
            declare::schema()
        } else {
            let command = self.of.join(" ");
            let unknown =
                || UsageError(format!("there is no command '{command}' that prints JSON"));
            let mut schema = document(&command).ok_or_else(unknown)?;
            let title = match &*command {
                "error" => "an error of exp --format json".to_owned(),
                _ => format!("exp {command} --format json"),
            };
            schema.insert("title".to_owned(), title.into());
            schema.to_value()
        };
        stream::print(&(serde_json::to_string_pretty(&schema)? + "\n"))
    }
}

/// The schema of what a command prints.
fn document(command: &str) -> Option<schemars::Schema> {
    Some(match command {
        "create" | "start" | "pause" | "resume" | "conclude" | "archive" | "rename" | "delete"
        | "set-weights" | "set-coverage" | "close" | "open" => of::<Done>(),
        "edit" | "apply" => of::<apply::Applied>(),
        "override" => any_of(&[
            |schemas| schemas.subschema_for::<Done>(),
            |schemas| schemas.subschema_for::<overrides::Overrides>(),
        ]),
        "assign" => any_of(&[
            |schemas| schemas.subschema_for::<assign::one::Answer>(),
            |schemas| schemas.subschema_for::<assign::lines::Line>(),
        ]),
        "unassign" => of::<unassign::Gone>(),
        "explain" => of::<explain::Explained>(),
        "actor show" => of::<actor::Parts>(),
        "list" => of::<list::Experiments>(),
        "status" => of::<status::Shown>(),
        "history" => of::<history::Changes>(),
        "track" => of::<Tracked>(),
        "results" => of::<results::Shown<'_>>(),
        "power" => of::<power::Answer>(),
        "outcomes" => rows::schema(outcomes::COLUMNS),
        "assignments" => rows::schema(assignments::COLUMNS),
        "exposures" => any_of(&[
            |_| rows::schema(exposures::COLUMNS),
            |schemas| schemas.subschema_for::<exposures::Pruned>(),
        ]),
        "check" => of::<Findings<'_>>(),
        "plan" => of::<PlanView<'_>>(),
        "export" => of::<Vec<ExperimentConfig>>(),
        "simulate" => of::<simulate::Simulated<'_>>(),
        "store info" => of::<StoreInfo>(),
        "store check" => of::<store::check::Rows>(),
        "store backup" => of::<store::backup::Copied>(),
        "store copy" => of::<store::copy::Copied>(),
        "store migrate" | "store checkpoint" => of::<store::changed::Changed>(),
        "store restore" => of::<store::restore::Restored>(),
        "demo" => of::<demo::Tour>(),
        "error" => of::<ErrorDocument>(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::cli;

    #[test]
    fn every_command_that_prints_data_has_a_schema() {
        const OF_OTHER_FORMATS: [&str; 3] = ["completions", "man", "schema"];
        for (words, command) in cli::commands() {
            let words = words.trim_start_matches("exp ");
            if !command.has_subcommands() {
                let has_one = document(words).is_some();
                assert_eq!(has_one, !OF_OTHER_FORMATS.contains(&words), "{words}");
            }
        }
    }

    /// The properties without a description. A variant of an enum, as a step of a plan, describes what it holds.
    fn undescribed(schema: &Value, found: &mut Vec<String>) {
        match schema {
            Value::Object(object) => {
                let properties = object.get("properties").and_then(Value::as_object);
                let properties = properties.into_iter().flatten();
                // A tag has one value only, and what stands beside it is the rest.
                let has_tag = properties
                    .clone()
                    .any(|(_, property)| property.get("const").is_some());
                let is_one = has_tag || properties.clone().count() == 1;
                let is_described = object.contains_key("description") && is_one;
                for (name, property) in properties {
                    if property.get("description").is_none() && !is_described {
                        found.push(name.clone());
                    }
                }
                object.values().for_each(|part| undescribed(part, found));
            }
            Value::Array(parts) => parts.iter().for_each(|part| undescribed(part, found)),
            _ => {}
        }
    }

    #[test]
    fn every_property_has_a_description() {
        let commands = cli::commands().into_iter();
        let commands = commands.map(|(words, _)| words.trim_start_matches("exp ").to_owned());
        for command in commands.chain(["error".to_owned()]) {
            let Some(schema) = document(&command) else {
                continue;
            };
            let mut found = Vec::new();
            undescribed(&schema.to_value(), &mut found);
            assert_eq!(found, [""; 0], "{command}");
        }
    }
}
