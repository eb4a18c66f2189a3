//! Manual pages. What stands behind a command's help becomes sections of their own, so that its examples are
//! where `man` readers look for them.

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
        page.push_str(&format!(".SH \"{heading}\"\n.nf\n"));
        push_lines(&mut page, section.lines().skip(1));
        page.push_str(".fi\n");
    }
    Ok(page)
}

fn page_of(command: &Command) -> clap_mangen::Man {
    let source = concat!("exp ", env!("CARGO_PKG_VERSION"));
    clap_mangen::Man::new(command.clone()).source(source)
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
