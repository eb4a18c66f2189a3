//! What shows that input is no list of actors, one a line. The first lines are looked at before anybody is
//! assigned, as that is for good.

use crate::context::Context;
use crate::exit::{Hint, Invalid};

/// How many lines are looked at.
const SAMPLE: usize = 1000;
/// What columns of ids are called, besides what ends in `_id`.
const HEADERS: &[&str] = &[
    "actor", "actorid", "email", "guid", "id", "uid", "user", "userid", "uuid",
];

/// Refuses what looks like something else.
pub(super) fn require_list(text: &[u8]) -> anyhow::Result<()> {
    let Some((message, hint)) = mistake(text) else {
        return Ok(());
    };
    let hint = format!("{hint}; --raw takes every line as it is");
    Err(anyhow::Error::new(Invalid(message)).context(Hint(hint)))
}

/// Warns of the same where the list is only measured.
pub(super) fn warn(ids: &[String], context: &Context) {
    let sample = ids.iter().take(SAMPLE).map(String::as_str);
    let text = sample.collect::<Vec<_>>().join("\n");
    if let Some((message, hint)) = mistake(text.as_bytes()) {
        context.warn(format_args!("{message}; {hint}"));
    }
}

fn mistake(text: &[u8]) -> Option<(String, String)> {
    if ends_lines_in_carriage_returns(text) {
        let message =
            "the lines end in carriage returns only, so they are all one actor".to_owned();
        return Some((message, r"convert them with tr '\r' '\n'".to_owned()));
    }
    let lines = text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let lines: Vec<&[u8]> = lines.filter(|line| !line.is_empty()).take(SAMPLE).collect();
    // A line alone may have come from a program that writes one at a time.
    let [first, _, ..] = &lines[..] else {
        return None;
    };
    for (separator, name, cut) in [
        (b',', "comma", "cut -d , -f 1"),
        (b';', "semicolon", "cut -d ';' -f 1"),
        (b'\t', "tab", "cut -f 1"),
    ] {
        if lines.iter().all(|line| line.contains(&separator)) {
            let message = format!(
                "every line has a {name}: this looks like a table, not like one actor a line"
            );
            return Some((
                message,
                format!("give the column of actors alone, without a header: {cut}"),
            ));
        }
    }
    let first = String::from_utf8_lossy(first);
    is_header(&first).then(|| {
        let message = format!("the first line, '{first}', looks like the header of a table");
        (message, "leave it out with tail -n +2".to_owned())
    })
}

/// Whether there are lines only if a carriage return ends one.
fn ends_lines_in_carriage_returns(text: &[u8]) -> bool {
    let ends = memchr::memchr2(b'\n', b'\r', text);
    ends.is_some_and(|at| at + 1 < text.len()) && memchr::memchr(b'\n', text).is_none()
}

fn is_header(line: &str) -> bool {
    let name = line.trim_matches('"').to_lowercase();
    let name = name.replace(['-', ' '], "_");
    HEADERS.contains(&&*name) || name.ends_with("_id") && !name.contains(':')
}

/// Whether a line begins or ends with what nobody sees.
pub(super) fn has_blank_at_edge(line: &[u8]) -> bool {
    let edges = [line.first(), line.last()];
    if edges.into_iter().flatten().all(u8::is_ascii_graphic) {
        return false;
    }
    std::str::from_utf8(line).is_ok_and(|line| line != line.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_no_mistake() {
        for list in [
            "user:1\nuser:2\n",
            "a,b",
            "a,b\nc\n",
            "id",
            "crlf\r\ncrlf\r\n",
            "crlf\r",
            "user:a_id\nuser:b_id\n",
            "",
            "\n\n",
        ] {
            assert_eq!(mistake(list.as_bytes()), None, "{list:?}");
        }
    }

    #[test]
    fn a_table_is_one() {
        for (table, word) in [
            ("id,plan\n1,free\n2,paid\n", "comma"),
            ("1;free\r\n\r\n2;paid\r\n", "semicolon"),
            ("user:1\tcontrol\nuser:2\ttreatment", "tab"),
            ("\"User ID\"\n1\n2\n", "header"),
            ("email\r\na@example.com\r\n", "header"),
            ("user:1\ruser:2\r", "carriage"),
        ] {
            let (message, _) = mistake(table.as_bytes()).unwrap();
            assert!(message.contains(word), "{table:?}: {message}");
        }
    }

    #[test]
    fn blanks_count_at_the_edges_only() {
        for (line, is_blank) in [
            ("user 1", false),
            (" user", true),
            ("user\t", true),
            ("user\u{a0}", true),
            ("ü", false),
        ] {
            assert_eq!(has_blank_at_edge(line.as_bytes()), is_blank, "{line:?}");
        }
    }
}
