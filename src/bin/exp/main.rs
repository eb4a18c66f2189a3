//! `exp`: A/B experiments from the shell. Here it parses, runs and reports; nothing else.

mod actor_word;
mod cli;
mod commands;
mod complete;
mod context;
mod environment;
mod exit;
mod hash;
mod input;
mod moment;
mod options;
mod output;
mod page;
mod panics;
mod secrets;
mod tips;
mod variables;
mod whole_number;

use std::process::ExitCode;

use clap::CommandFactory as _;

use crate::cli::Cli;
use crate::context::Context;

fn main() -> ExitCode {
    secrets::find_paths_with(cli::typed_paths);
    panics::install_hook();
    if let Some(code) = complete::answer_shell(Cli::command) {
        return code;
    }
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => return exit::report_parse_error(&error),
    };
    let context = Context::new(cli.global);
    match cli.command.run(&cli.name, &context) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exit::report(&error, context.format(), || context.known_names()),
    }
}
