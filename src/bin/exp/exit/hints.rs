//! What to do next. Each kind of error has a hint, or is said to have none: a new one does not compile before
//! that is decided.

use std::fmt::Write as _;

use experiments::results::OutcomesError;
use experiments::suggest::nearest;
use experiments::text::{escape, is_unsafe};
use experiments::{
    ErrorKind, ExperimentError, ExperimentState, ExperimentStoreError, StoreErrorKind,
    StoreLocation, SystemRefusal, UsedBy,
};

use super::errors::Hint;

/// What to do next, if there is anything to say.
pub(super) fn hint(
    error: &anyhow::Error,
    known_names: impl FnOnce() -> Vec<String>,
) -> Option<String> {
    if let Some(Hint(hint)) = error.downcast_ref::<Hint>() {
        return Some(hint.clone());
    }
    if let Some(error) = error.downcast_ref::<OutcomesError>() {
        return of_outcomes(error);
    }
    let error = error.downcast_ref::<ExperimentError>()?;
    let name = error.experiment().unwrap_or_default();
    Some(match error.kind() {
        ErrorKind::NotFound => match nearest(name, known_names().iter().map(String::as_str)) {
            Some(nearest) => format!("did you mean '{nearest}'?"),
            None => "exp list shows all experiments".to_owned(),
        },
        ErrorKind::NotRunning => {
            return match error {
                ExperimentError::NotRunning(_, ExperimentState::Draft) => {
                    Some(format!("start it: {}", start(name)))
                }
                ExperimentError::NotRunning(_, ExperimentState::Paused) => {
                    Some(format!("resume it: exp resume {}", positional(name)))
                }
                _ => None,
            };
        }
        ErrorKind::Concluded => format!("to reopen it, start it again: {}", start(name)),
        ErrorKind::Archived => {
            "archiving is for good; create an experiment with another name".to_owned()
        }
        ErrorKind::InUse if is_only_overridden(error) => {
            let name = positional(name);
            format!(
                "take them back: exp override --clear {name} ACTOR; exp override --list {name} shows them"
            )
        }
        ErrorKind::NotDraft | ErrorKind::InUse => {
            format!(
                "only a draft that was never used can be deleted or renamed; to end an experiment for good: exp archive {}",
                positional(name)
            )
        }
        ErrorKind::NameIsShared => {
            "create an experiment with the new name, and delete this one".to_owned()
        }
        ErrorKind::NoVariant => {
            format!(
                "give one a weight: exp set-weights --keep {} VARIANT=WEIGHT",
                positional(name)
            )
        }
        ErrorKind::UnknownVariant => return known_variant(error),
        ErrorKind::AlreadyExists => format!("exp status {} shows it", positional(name)),
        ErrorKind::VariantInUse => return keep_variant(error),
        ErrorKind::ChangedMeanwhile => {
            "nothing was applied; run exp plan or exp edit again to see what would change now"
                .to_owned()
        }
        ErrorKind::NoWinner => format!("name one: exp conclude {} WINNER", positional(name)),
        ErrorKind::GroupInUse => {
            "keep the group, or create a new experiment in the other group".to_owned()
        }
        // Of an actor who is refused, the command that asks for that one says more.
        ErrorKind::ExcludedByGroup
        | ErrorKind::NotEnrolled(_)
        | ErrorKind::InvalidConfig
        | ErrorKind::InvalidOutcome => return None,
        ErrorKind::Store(kind) => {
            let ExperimentError::Store(error) = error else {
                return None;
            };
            return of_store(kind, error);
        }
    })
}

fn is_only_overridden(error: &ExperimentError) -> bool {
    matches!(error, ExperimentError::InUse { used_by, .. } if *used_by == UsedBy::Overrides)
}

fn known_variant(error: &ExperimentError) -> Option<String> {
    let ExperimentError::UnknownVariant { variant, known, .. } = error else {
        return None;
    };
    Some(match nearest(variant, known.iter().map(String::as_str)) {
        Some(nearest) => format!("did you mean '{nearest}'?"),
        None => format!("it has {}", known.join(", ")),
    })
}

/// Proposes the weights that the variants have, and 0 for who wants them to go.
fn keep_variant(error: &ExperimentError) -> Option<String> {
    let ExperimentError::VariantInUse {
        variant,
        weight,
        others,
        ..
    } = error
    else {
        return None;
    };
    let others = others.iter().map(|other| (&*other.name, other.weight));
    let kept = std::iter::once((&**variant, weight.unwrap_or_default())).chain(others);
    let kept: Vec<(&str, u32)> = kept.collect();
    let them = if kept.len() == 1 { "it" } else { "them" };
    let without_newcomers = kept.iter().map(|(variant, _)| typed(variant, 0));
    let without_newcomers: Vec<String> = without_newcomers.collect();
    let without_newcomers = format!(
        "{}, so that nobody new gets {them}",
        without_newcomers.join(" ")
    );
    if kept.iter().all(|(_, weight)| *weight == 0) {
        return Some(format!("keep {them} with {without_newcomers}"));
    }
    let as_they_are = if kept.len() == 1 { "it is" } else { "they are" };
    let present = kept.iter().map(|(variant, weight)| typed(variant, *weight));
    let present: Vec<String> = present.collect();
    Some(format!(
        "keep {them} as {as_they_are} with {} or --keep, or keep {them} with {without_newcomers}",
        present.join(" ")
    ))
}

/// A variant and its weight, as exp set-weights takes them.
fn typed(variant: &str, weight: u32) -> String {
    // A comma separates two variants of one word.
    let option = if variant.contains(',') {
        "--variant "
    } else {
        ""
    };
    format!("{option}{}", quote(&format!("{variant}={weight}")))
}

fn of_store(kind: StoreErrorKind, error: &ExperimentStoreError) -> Option<String> {
    let is_database = matches!(error.location(), Some(StoreLocation::Database(_)));
    let hint = match kind {
        StoreErrorKind::Missing if is_database => {
            "exp create makes one in that database; exp store migrate makes only its tables"
        }
        StoreErrorKind::Missing => "exp create makes one; --store or EXP_STORE names another place",
        StoreErrorKind::Retired => {
            "name the copy that was made of it with --store or EXP_STORE; to begin anew here, move that \
             file away"
        }
        StoreErrorKind::OrphanedWriteAheadLog => {
            "put the store's file back beside it; or, to start over without its data, remove \
             the log"
        }
        StoreErrorKind::NotEmpty => match error.location()? {
            StoreLocation::Unfinished(_) => {
                "it holds a complete store: rename it to keep it, or remove it; then \
                 copy again"
            }
            StoreLocation::File(_) | StoreLocation::Database(_) | StoreLocation::Other(_) => {
                "the target must be a file that does not exist yet, or a database without experiments"
            }
        },
        StoreErrorKind::Occupied => {
            "name a file that does not exist yet, or for a backup a directory"
        }
        StoreErrorKind::Unfinished => {
            "run the same exp store copy again to resume, or add --restart to start over"
        }
        StoreErrorKind::OtherCopy => "to discard it and start over, add --restart",
        StoreErrorKind::NotAStore => {
            "--store and EXP_STORE must name an exp store, or a path where nothing exists yet"
        }
        StoreErrorKind::NewerSchema => "use the version of exp that wrote it",
        StoreErrorKind::Busy => "try again, or wait longer with --lock-timeout SECONDS",
        StoreErrorKind::ReadOnly if is_database => {
            "it is a replica, or set to read-only: use the address of the primary server"
        }
        StoreErrorKind::ReadOnly => "you need write permission for the file and for its directory",
        StoreErrorKind::Corrupt => "restore it from a backup: exp store restore FILE",
        StoreErrorKind::NotMigrated if is_database => {
            "exp store migrate adds it, and leaves the application's own tables as they are"
        }
        StoreErrorKind::NotMigrated => {
            "an older version wrote it: run exp store migrate where the file can be written"
        }
        StoreErrorKind::Denied => {
            "the owner of the tables can grant it: GRANT SELECT, INSERT, UPDATE, DELETE ON the \
             tables, USAGE ON their sequences, EXECUTE ON the functions; exp store migrate and copy also \
             need CREATE ON the schema"
        }
        StoreErrorKind::Lost | StoreErrorKind::Silent | StoreErrorKind::Unconfirmed => {
            "it may or may not have been done; it is safe to run the command again"
        }
        StoreErrorKind::Backend => match error.system_refusal()? {
            SystemRefusal::Denied if is_database => return None,
            SystemRefusal::Denied => "you need permission for the file and for its directory",
            SystemRefusal::TooManyFiles => {
                "raise the limit of open files (ulimit -n), or close programs that have many open"
            }
        },
        StoreErrorKind::Encoding => {
            "create a database for it with CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0"
        }
        StoreErrorKind::Replaced => {
            "what was written since may be lost with it; put the file back, or see what the store \
             holds now and run the command again"
        }
        StoreErrorKind::HardLinked => {
            "what is written through one name is lost through another: remove the other names \
             (find -samefile FILE prints them), or make them symbolic links"
        }
        StoreErrorKind::WrittenWhileRead => "run the command again",
        StoreErrorKind::MountedAlone => {
            "mount the directory that it is in, in place of the file; a backup that is only read can be \
             mounted read-only"
        }
        StoreErrorKind::OnNetwork => {
            "move it to a disk of this machine, with the -wal file beside it; for many machines there is \
             --store postgres://..."
        }
        StoreErrorKind::Obstructed => {
            let ExperimentStoreError::Obstructed { file, .. } = error else {
                return None;
            };
            return Some(format!("remove {0}, or give it another name", escape(file)));
        }
        StoreErrorKind::Address
        | StoreErrorKind::Unreachable
        | StoreErrorKind::Query
        | StoreErrorKind::QueryTimeout => return None,
    };
    Some(hint.to_owned())
}

/// The command that starts an experiment.
pub(crate) fn start(name: &str) -> String {
    format!("exp start {}", positional(name))
}

/// Quotes the last word of a command, which must not be taken for an option.
pub(crate) fn positional(word: &str) -> String {
    positionals(&[word])
}

/// Quotes the last words of a command, none of which must be taken for an option.
pub(crate) fn positionals(words: &[&str]) -> String {
    let has_dash = words.iter().any(|word| word.starts_with('-'));
    let options_end = if has_dash { "-- " } else { "" };
    let quoted: Vec<String> = words.iter().map(|word| quote(word)).collect();
    format!("{options_end}{}", quoted.join(" "))
}

/// Quotes a word so that it can be pasted into a shell. What can't be seen, or would
/// control a terminal, is written as `$'...'`, which bash and zsh understand.
pub(crate) fn quote(word: &str) -> String {
    if word.chars().any(is_unsafe) {
        let mut quoted = "$'".to_owned();
        for c in word.chars() {
            let _ = match c {
                '\'' | '\\' => write!(quoted, "\\{c}"),
                c if is_unsafe(c) => write!(quoted, "\\U{:08x}", u32::from(c)),
                c => write!(quoted, "{c}"),
            };
        }
        return quoted + "'";
    }
    // A shell takes = for itself only at the start of a word.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:@%+,".contains(c);
    if word.starts_with(is_plain) && word.chars().all(|c| is_plain(c) || c == '=') {
        return word.to_owned();
    }
    shlex::try_quote(word).map_or_else(|_| word.to_owned(), std::borrow::Cow::into_owned)
}

fn of_outcomes(error: &OutcomesError) -> Option<String> {
    Some(match error {
        OutcomesError::MissingColumn {
            nearest: Some(nearest),
            ..
        } => format!("did you mean '{}'?", escape(nearest)),
        OutcomesError::MissingColumn { column, .. } if column == "actor" => {
            "the column with the actors must be called actor; for exp results, --actor-column names another"
                .to_owned()
        }
        OutcomesError::OtherSeparator(';') => {
            "exp reads columns that are separated by commas, or by tabs with --input-format tsv"
                .to_owned()
        }
        OutcomesError::OtherSeparator(_) => "name the format with --input-format".to_owned(),
        OutcomesError::WindowWithoutTimes { .. } => {
            "--time-column names the column with the times".to_owned()
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// A shell gets the very word.
    #[test]
    fn a_quoted_word_can_be_pasted() {
        for word in [
            "plain",
            "a b",
            "it's",
            "$(x) `y` !! \"z\"",
            "=a",
            "line\nfeed",
            "a\tb\\n",
            "zero\u{200b}width 'q'",
            "\u{202e}right",
            "é🙂",
        ] {
            let script = format!("printf %s {}", quote(word));
            let mut bash = Command::new("bash");
            bash.args(["-c", &script]).env("LC_ALL", "C.UTF-8");
            let printed = bash.output().unwrap().stdout;
            assert_eq!(String::from_utf8(printed).unwrap(), word, "{script}");
        }
    }
}
