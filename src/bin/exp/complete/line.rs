//! The line that was typed: its words, and in bash what of the last one stays as it is.

use std::ffi::OsString;

use clap_complete::Shell;

use super::quote::unquoted;

/// A line up to the cursor.
pub(super) struct Line {
    /// Its words without their quotes. The last one is completed.
    pub(super) words: Vec<String>,
    /// Of the last word as it was typed, what stands before the part that bash replaces.
    kept: String,
    /// Whether the last word begins with the home directory.
    in_home: bool,
}

impl Line {
    /// Takes apart what the shell's script has asked for. Bash gives the line itself and the part of it that a
    /// candidate replaces, since its own words break at every `:` and `=`. The others give words; fish
    /// has not taken the quotes from the last one.
    pub(super) fn new(shell: Shell, asked: &[OsString]) -> Self {
        let asked = asked.iter().map(|word| word.to_string_lossy().into_owned());
        let mut words: Vec<String> = asked.collect();
        let (mut kept, mut in_home) = (String::new(), false);
        match (shell, words.as_mut_slice()) {
            (Shell::Bash, [line, replaced]) => {
                let (typed, _) = unquoted(line, false);
                let last = typed.last().map_or("", |word| &line[word.start..]);
                last.strip_suffix(replaced.as_str())
                    .unwrap_or_default()
                    .clone_into(&mut kept);
                in_home = last.starts_with("~/");
                words = typed.into_iter().map(|word| word.text).collect();
            }
            (Shell::Fish, [.., last]) => {
                let text = unquoted(last, true).0.pop().map(|word| word.text);
                *last = text.unwrap_or_default();
            }
            _ => {}
        }
        Self {
            words,
            kept,
            in_home,
        }
    }

    /// What takes the place of the part that bash replaces, so that the word becomes `value`.
    pub(super) fn rest_of(&self, value: &str) -> Option<String> {
        let (kept, quote) = unquoted(&self.kept, false);
        let kept = kept.first().map_or("", |word| &word.text);
        let rest = value.strip_prefix(kept)?;
        match rest.strip_prefix("~/") {
            Some(rest) if self.in_home && kept.is_empty() => {
                Some(format!("~/{}", quote.write(rest)))
            }
            _ => Some(quote.write(rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is inserted where a line ends, if bash replaces `replaced` and the word becomes `value`.
    fn inserted(line: &str, replaced: &str, value: &str) -> Option<String> {
        let asked = [line.into(), replaced.into()];
        Line::new(Shell::Bash, &asked).rest_of(value)
    }

    #[test]
    fn a_line_is_taken_apart_as_bash_does() {
        let line = r#"exp --store 'a b'/c\ d start "x $y"z $'it\'s' "un"#;
        let line = Line::new(Shell::Bash, &[line.into(), "un".into()]);
        let words = ["exp", "--store", "a b/c d", "start", "x $yz", "it's", "un"];
        assert_eq!(line.words, words);
    }

    #[test]
    fn the_rest_of_a_word_is_quoted_as_it_was_begun() {
        let some = |text: &str| Some(text.to_owned());
        let name = "it's $(x) `y` \"z\" \\ !";
        let plain = r#"it\'s\ \$\(x\)\ \`y\`\ \"z\"\ \\\ \!"#;
        assert_eq!(inserted("exp start ", "", name), some(plain));
        let double = r#"it's \$(x) \`y\` \"z\" \\ "\!"""#;
        assert_eq!(inserted("exp start \"it", "it", name), some(double));
        let single = r#"it'\''s $(x) `y` "z" \ !"#;
        assert_eq!(inserted("exp start 'it", "it", name), some(single));
    }

    #[test]
    fn what_bash_keeps_is_left_out() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(inserted("exp start team:a", "a", "team:a b"), some("a\\ b"));
        assert_eq!(inserted("exp start team:", "", "team:ab"), some("ab"));
        assert_eq!(inserted("exp start team:", "", "other"), None);
        assert_eq!(inserted("exp start 'team x':", "", "team x:b"), some("b"));
        let path = inserted("exp --store ~/x", "~/x", "~/x y.db");
        assert_eq!(path, some("~/x\\ y.db"));
    }
}
