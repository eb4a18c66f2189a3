//! The command that was typed, once more, to be pasted.

use crate::exit::quote;
use crate::secrets::mask;

/// The command with another option at its end. If there is a secret in its words, only what to add to it.
pub(super) fn with(option: &str) -> String {
    let words = std::env::args_os().skip(1);
    let words: Vec<String> = words
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    if words.iter().any(|word| mask(word) != *word) {
        return format!("the same command with {option}");
    }
    // Behind -- there are no options.
    let end = words.iter().position(|word| word == "--");
    let (front, behind) = words.split_at(end.unwrap_or(words.len()));
    let quoted = |words: &[String]| words.iter().map(|word| quote(word)).collect::<Vec<_>>();
    let mut command = vec!["exp".to_owned()];
    command.extend(quoted(front));
    command.push(option.to_owned());
    command.extend(quoted(behind));
    command.join(" ")
}
