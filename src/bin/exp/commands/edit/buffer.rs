//! The text that is edited: a definition, below lines that say what to do or what is wrong.

/// What begins a line that is not part of the definition.
const MARK: &str = "#:";

/// The text as it is first shown.
pub(super) fn first(name: &str, definition: &str) -> String {
    let name = experiments::text::escape(name);
    marked(&format!(
        "The definition of {name}. Save it and leave the editor to see what would change.\n\
         Lines that begin with {MARK} are ignored."
    )) + definition
}

/// The definition in a text.
pub(super) fn definition(text: &str) -> &str {
    let mut definition = text;
    while definition.starts_with(MARK) {
        let (_, rest) = definition.split_once('\n').unwrap_or_default();
        definition = rest;
    }
    definition
}

/// What stands above the definition in a text.
pub(super) fn above(text: &str) -> String {
    let above = text.strip_suffix(definition(text)).unwrap_or(text);
    let lines = above.lines().map(|line| {
        let line = line.strip_prefix(MARK).unwrap_or(line);
        line.strip_prefix(' ').unwrap_or(line).to_owned() + "\n"
    });
    lines.collect()
}

/// Whether it holds nothing but comments.
pub(super) fn is_empty(definition: &str) -> bool {
    let mut lines = definition.lines().map(str::trim_start);
    lines.all(|line| line.is_empty() || line.starts_with('#'))
}

/// Has the definition judged. If something is wrong with it, the text to show next is returned: with that above
/// the definition.
pub(super) fn with_problems<T>(
    definition: &str,
    judge: impl Fn(&str) -> anyhow::Result<Result<T, String>>,
) -> anyhow::Result<Result<T, String>> {
    let mut above = String::new();
    loop {
        let problems = match judge(&format!("{above}{definition}"))? {
            Ok(judged) => return Ok(Ok(judged)),
            Err(problems) => problems,
        };
        let height = above.lines().count();
        above = marked(&format!("It can't be applied as it is.\n\n{problems}"));
        // What is wrong names lines of the whole text, and those move down by what is above.
        if above.lines().count() <= height {
            return Ok(Err(above + definition));
        }
    }
}

fn marked(text: &str) -> String {
    let lines = text.trim_end().lines();
    let lines = lines.map(|line| format!("{MARK} {line}").trim_end().to_owned() + "\n");
    lines.collect::<String>() + MARK + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_name_the_lines_of_the_text_that_is_shown() {
        let definition = "a = 1\nb = ?\n";
        let judge = |text: &str| {
            let line = text.lines().position(|line| line.contains('?')).unwrap() + 1;
            // Higher once the line has two digits.
            let more = if line > 9 { "\nmore" } else { "" };
            Ok::<_, anyhow::Error>(Err::<(), _>(format!("line {line}\n\n\n{more}")))
        };
        let shown = with_problems(definition, judge).unwrap().unwrap_err();
        let wrong = shown.lines().position(|line| line == "b = ?").unwrap() + 1;
        assert!(shown.contains(&format!("#: line {wrong}\n")), "{shown}");
        assert_eq!(super::definition(&shown), definition);
        assert!(above(&shown).contains(&format!("\nline {wrong}\n\n")));
    }

    #[test]
    fn comments_are_no_definition() {
        assert!(is_empty(definition(&first("e", "  # nothing\n\n"))));
        assert_eq!(definition("#: a\n#:\n# b\n#: c\n"), "# b\n#: c\n");
        assert_eq!(definition("#: a"), "");
    }
}
