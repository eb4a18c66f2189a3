//! Manual pages. What stands behind a command's help becomes sections of their own, so that its examples are
//! where `man` readers look for them.

use std::fmt::Write as _;

use clap::Command;
use clap::builder::Resettable;

/// The name of the file of a command's page.
pub(crate) fn file_name(command: &Command) -> String {
    page_of(command).get_filename()
}

/// A command's page.
pub(crate) fn page(command: &Command) -> anyhow::Result<String> {
    let behind = command.get_after_long_help();
    let behind = behind.or_else(|| command.get_after_help());
    let behind = behind.map(ToString::to_string).unwrap_or_default();
    let mut roff = Vec::new();
    let bare = command.clone().after_help(Resettable::Reset);
    page_of(&bare.after_long_help(Resettable::Reset)).render(&mut roff)?;
    let mut page = String::from_utf8(roff)?;
    let (sections, notes): (Vec<_>, Vec<_>) = behind
        .split("\n\n")
        .filter(|part| !part.is_empty())
        .map(|part| (heading(part), part))
        .partition(|(heading, _)| heading.is_some());
    if !notes.is_empty() {
        page.push_str(".SH NOTES\n");
    }
    for (index, (_, note)) in notes.iter().enumerate() {
        if index > 0 {
            page.push_str(".PP\n");
        }
        push_lines(&mut page, note.lines());
    }
    for (heading, section) in sections {
        let heading = heading.unwrap_or_default().to_uppercase();
        let _ = write!(page, ".SH \"{heading}\"\n.nf\n");
        push_lines(&mut page, section.lines().skip(1));
        page.push_str(".fi\n");
    }
    Ok(page)
}

fn page_of(command: &Command) -> clap_mangen::Man {
    let source = concat!("exp ", env!("CARGO_PKG_VERSION"));
    // The page would leave out the text of an option that the short help leaves out.
    let command = command.clone().mut_args(|arg| arg.hide_short_help(false));
    clap_mangen::Man::new(command).source(source)
}

/// The heading of a part whose first line is one, and whose other lines are indented.
fn heading(part: &str) -> Option<&str> {
    let (first, others) = part.split_once('\n')?;
    let heading = first.strip_suffix(':')?;
    let is_indented = others.lines().all(|line| line.starts_with(' '));
    let heading = heading
        .split_once(" (")
        .map_or(heading, |(heading, _)| heading);
    is_indented.then_some(heading)
}

fn push_lines<'a>(page: &mut String, lines: impl Iterator<Item = &'a str>) {
    for line in lines {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        let line = line.replace('\'', "\\(aq");
        // A dot would begin a request.
        if line.starts_with('.') {
            page.push_str("\\&");
        }
        page.push_str(&line);
        page.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::commands;

    #[test]
    fn every_option_has_a_text_on_every_page() {
        for (words, command) in commands() {
            let page = page(&command).unwrap();
            let lines: Vec<&str> = page.lines().collect();
            for entry in lines.windows(3).filter(|lines| lines[0] == ".TP") {
                assert!(!entry[2].starts_with('.'), "{words}: {}", entry[1]);
            }
        }
    }

    #[test]
    fn every_command_has_an_example_and_every_option_a_text() {
        for (words, command) in commands() {
            let shown = command.get_arguments().filter(|one| !one.is_hide_set());
            for argument in shown {
                assert!(
                    argument.get_help().is_some(),
                    "{words}: {}",
                    argument.get_id()
                );
            }
            let short = command.get_after_help().map(ToString::to_string);
            let long = command.get_after_long_help().map(ToString::to_string);
            for help in [short.clone(), long.or(short)] {
                let help = help.unwrap_or_default();
                let examples = help.split("Examples:\n").nth(1).unwrap_or_default();
                let examples = examples.split("\n\n").next().unwrap_or_default();
                let is_example =
                    |line: &str| line.starts_with("  ") && line.contains(words.as_str());
                assert!(
                    command.has_subcommands() || examples.lines().any(is_example),
                    "{words}: no example"
                );
            }
        }
    }
}
