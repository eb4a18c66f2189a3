//! A plan as a comment of a pull request, in the Markdown that GitHub reads. Whatever names and descriptions
//! hold, it stays text: it formats nothing, mentions nobody, and ends neither a cell nor the block it is in.

use std::fmt::Write as _;

use experiments::ChangeSide;
use experiments::declare::{Action, Plan, PlannedExperiment};

use super::change::differences;
use super::difference::Difference;
use super::plan::{affected, shown, summary};
use super::text::safe;

/// GitHub takes 65536 characters in a comment.
const MAX_TABLE_BYTES: usize = 14_000;
const MAX_WARNINGS_BYTES: usize = 10_000;
const MAX_DETAILS_BYTES: usize = 40_000;
/// How many changes of an experiment its row shows, and how many characters of a value.
const MAX_CHANGES: usize = 6;
const MAX_CHARACTERS: usize = 80;

/// The comment. `details` is the plan as people read it on a terminal, `warnings` are sentences.
pub(crate) fn comment(plan: &Plan, details: &str, warnings: &[String]) -> String {
    let mut text = format!("### Experiments: {}\n", summary(plan));
    if !plan.has_changes() {
        text.push_str(&section(warnings));
        return text;
    }
    text.push_str("\n| | experiment | changes | who is affected |\n|---|---|---|---|\n");
    let changing = || {
        let planned = plan.experiments.iter();
        planned.filter(|planned| planned.action != Action::Nothing)
    };
    let mut rows = 0;
    for planned in changing() {
        let row = row(planned);
        if text.len() + row.len() > MAX_TABLE_BYTES {
            break;
        }
        text.push_str(&row);
        rows += 1;
    }
    let left = changing().count() - rows;
    if left > 0 {
        let _ = writeln!(text, "\n{left} more are not shown here.");
    }
    text.push_str(&section(warnings));
    text.push_str("\n<details><summary>The whole plan</summary>\n\n");
    text.push_str(&fenced(details));
    text.push_str("\n</details>\n");
    text
}

/// The warnings, an item each; nothing if there are none.
fn section(warnings: &[String]) -> String {
    let mut text = String::new();
    if warnings.is_empty() {
        return text;
    }
    text.push_str("\n#### Warnings\n\n");
    let mut shown = 0;
    for warning in warnings {
        let item = format!("- {}\n", plain(&safe(warning)));
        if text.len() + item.len() > MAX_WARNINGS_BYTES {
            break;
        }
        text.push_str(&item);
        shown += 1;
    }
    let left = warnings.len() - shown;
    if left > 0 {
        let _ = writeln!(text, "\n{left} more are not shown here.");
    }
    text
}

fn row(planned: &PlannedExperiment) -> String {
    let (sign, words) = shown(planned.action);
    let before = planned.before.as_ref();
    let before = before.map(ChangeSide::from).unwrap_or_default();
    // A plan sets no overrides, and nothing else has a moment.
    let time = |secs: u64| secs.to_string();
    let differences = differences(&before, &ChangeSide::from(&planned.after), time);
    let mut changes = vec![plain(words)];
    changes.extend(differences.iter().take(MAX_CHANGES).map(change));
    if differences.len() > MAX_CHANGES {
        changes.push(format!("and {} more", differences.len() - MAX_CHANGES));
    }
    for metric in &planned.exploratory {
        let metric = code(&safe(metric));
        changes.push(format!(
            "{metric}: hypothesis changed after the start: exploratory"
        ));
    }
    let mut affected: Vec<String> = affected(planned).map(|line| plain(&line)).collect();
    if affected.is_empty() {
        affected.push("–".to_owned());
    }
    let name = code(&safe(&planned.experiment));
    format!(
        "| `{sign}` | {name} | {} | {} |\n",
        changes.join("<br>"),
        affected.join("<br>")
    )
}

fn change(difference: &Difference) -> String {
    let Difference {
        what,
        before,
        after,
    } = difference;
    format!("{}: {} → {}", code(what), code(before), code(after))
}

/// Text in a code span. What could end the span or the cell goes into an element instead, where there are
/// references for such characters.
fn code(text: &str) -> String {
    let mut shown: String = text.chars().take(MAX_CHARACTERS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    let is_dangerous = shown.contains(['`', '|', '\\']) || shown != shown.trim();
    if is_dangerous || shown.is_empty() {
        format!("<code>{}</code>", plain(&shown))
    } else {
        format!("`{shown}`")
    }
}

/// Text of which nothing is markup: punctuation that may mean something is a character reference.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            // Only a break keeps GitHub from taking it for a mention: it looks for them in what is shown.
            '@' | '#' => {
                let _ = write!(plain, "&#{};<!-- -->", u32::from(c));
            }
            // Nor does it make an address of www.
            '.' if plain.ends_with(['w', 'W']) => plain.push_str("&#46;"),
            '.' | ',' | ';' | ':' | '%' | ' ' => plain.push(c),
            _ if c.is_ascii_punctuation() => {
                let _ = write!(plain, "&#{};", u32::from(c));
            }
            _ => plain.push(c),
        }
    }
    plain
}

/// A block of code that ends where it is said to end: its fence is longer than any row of backticks in it.
fn fenced(text: &str) -> String {
    let mut kept = String::new();
    let mut lines = text.lines();
    let mut left = 0;
    for line in lines.by_ref() {
        if kept.len() + line.len() > MAX_DETAILS_BYTES {
            left = 1;
            break;
        }
        kept.push_str(line);
        kept.push('\n');
    }
    left += lines.count();
    let longest = kept.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(3.max(longest + 1));
    let mut block = format!("{fence}diff\n{kept}{fence}\n");
    if left > 0 {
        let _ = writeln!(block, "\n{left} more lines are not shown here.");
    }
    block
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_markup_is_text() {
        assert_eq!(code("checkout_v2"), "`checkout_v2`");
        assert_eq!(code("a|b"), "<code>a&#124;b</code>");
        assert_eq!(code("``"), "<code>&#96;&#96;</code>");
        assert_eq!(code(""), "<code></code>");
        assert_eq!(code(&"x".repeat(81)), format!("`{}…`", "x".repeat(80)));
        assert_eq!(plain("<b>"), "&#60;b&#62;");
        assert_eq!(plain("www.example.org"), "www&#46;example.org");
        assert_eq!(plain("@ann: 50.5%"), "&#64;<!-- -->ann: 50.5%");
    }

    #[test]
    fn warnings_are_text_and_have_an_end() {
        assert_eq!(section(&[]), "");
        let warning = "'<b>' and '@ann' (phi 0.70)".to_owned();
        assert_eq!(
            section(&[warning]),
            "\n#### Warnings\n\n- &#39;&#60;b&#62;&#39; and &#39;&#64;<!-- -->ann&#39; &#40;phi 0.70&#41;\n"
        );
        let many = section(&vec!["w".repeat(1000); 50]);
        assert!(many.len() < 11_000);
        assert!(
            many.ends_with("\n\n41 more are not shown here.\n"),
            "{many}"
        );
    }

    #[test]
    fn a_block_ends_where_it_is_said_to_end() {
        assert_eq!(fenced("a\n"), "```diff\na\n```\n");
        assert_eq!(fenced("a ```` b\n"), "`````diff\na ```` b\n`````\n");
        let long = format!("{}\n", "y".repeat(1000)).repeat(50);
        let block = fenced(&long);
        assert!(block.len() < 41_000);
        assert!(block.ends_with("```\n\n11 more lines are not shown here.\n"));
    }
}
