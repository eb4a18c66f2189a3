//! Keeps passwords out of messages. Whatever was typed may be echoed (a mistyped command, a file that is
//! not there), and it may have been the address of a database.
//!
//! Two passes: the secrets in the words of this command line are known exactly, so that spaces and quotes
//! in them do no harm; anything else that looks like an address with a secret is found by its form.
//!
//! `x:y@z` may be an address without its scheme, or an id, or the name of an experiment. It is taken for an
//! address where a path is expected, and elsewhere if more of its form is that of one.

use std::ffi::OsString;
use std::sync::{LazyLock, OnceLock};

use experiments::text::escape;

use crate::variables::variable;

/// What stands in place of a secret.
const MASK: &str = "...";

/// The keys whose values are secrets, in lower case. Others, that only end in one, may be names of variants.
const KEYS: [&str; 5] = ["password", "passwd", "pwd", "sslpassword", "pgpassword"];

/// Finds the words of the command line that stand where a path is expected; nothing if it was not understood.
type FindPaths = fn() -> Option<Vec<OsString>>;

static FIND_PATHS: OnceLock<FindPaths> = OnceLock::new();

/// Has the paths on the command line found by who knows its options.
pub(crate) fn find_paths_with(find: FindPaths) {
    FIND_PATHS.get_or_init(|| find);
}

/// `text` without the secrets in it.
pub(crate) fn mask(text: &str) -> String {
    let mut masked = text.to_owned();
    for known in TYPED.iter() {
        masked = known.mask(&masked);
    }
    mask_by_form(&masked)
}

/// The secrets in the words of the command line, and in what the environment says in their place.
static TYPED: LazyLock<Vec<Secret>> = LazyLock::new(|| {
    let lossy = |word: OsString| word.to_string_lossy().into_owned();
    let words: Vec<String> = std::env::args_os().skip(1).map(lossy).collect();
    let value = |name: &str| variable(name).map(lossy);
    let typed_password = value("PGPASSWORD").filter(|password| words.contains(password));
    let mut known: Vec<Secret> = typed_password.map(Secret::Word).into_iter().collect();
    for word in words.iter().cloned().chain(value("EXP_BY")) {
        known.extend(credential_of(&word).filter(|_| is_address(&word)));
        known.extend(values_of(&word));
    }
    let variables = ["EXP_STORE", "EXP_LOCK_TIMEOUT", "EXP_NOW"];
    for word in variables.into_iter().filter_map(value) {
        known.extend(credential_of(&word));
        known.extend(values_of(&word));
    }
    // To take the command line apart again takes time.
    if words
        .iter()
        .any(|word| credential(word).is_some() && !is_address(word))
    {
        let paths = FIND_PATHS.get().and_then(|find| find());
        let paths = paths.map(|paths| paths.into_iter().map(lossy).collect());
        // A word that was not understood may be anything.
        let paths: Vec<String> = paths.unwrap_or(words);
        known.extend(paths.iter().filter_map(|path| credential_of(path)));
    }
    known
});

/// A secret that is known exactly.
enum Secret {
    /// It follows on something that is no secret.
    After { head: String, secret: String },
    /// It is a word.
    Word(String),
}

impl Secret {
    fn mask(&self, text: &str) -> String {
        match self {
            Self::After { head, secret } => {
                let text = mask_after(text, head, secret);
                let text = mask_after(&text, head, &escape(secret));
                // A command may take the word apart, and repeat one of the parts.
                let parts = secret.split([',', '=', ':']);
                let parts = parts.filter(|part| part.len() >= SHORTEST_PART);
                parts.fold(text, |text, part| mask_word(&text, part))
            }
            Self::Word(secret) => mask_word(text, secret),
        }
    }
}

/// Shorter parts of a secret say little, and occur in any message.
const SHORTEST_PART: usize = 4;

/// Masks the secret wherever it follows on `head`, also where the message cuts it short.
fn mask_after(text: &str, head: &str, secret: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(head) {
        let (before, after) = rest.split_at(at + head.len());
        masked.push_str(before);
        let shown = common_prefix(after, secret);
        let is_whole = shown == secret.len();
        if shown > 0 && (is_whole || after[shown..].starts_with('…')) {
            masked.push_str(MASK);
            rest = &after[shown..];
        } else {
            rest = after;
        }
    }
    masked + rest
}

/// How many bytes the two have in common at their beginning, in whole characters.
fn common_prefix(one: &str, other: &str) -> usize {
    let both = one.chars().zip(other.chars());
    let same = both.take_while(|(a, b)| a == b);
    same.map(|(a, _)| a.len_utf8()).sum()
}

fn mask_word(text: &str, secret: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(secret) {
        let (before, after) = rest.split_at(at);
        let after = &after[secret.len()..];
        let begins = before.chars().next_back();
        let begins = begins.is_none_or(|c| is_delimiter(c) || c == '=') || ends_in_style(before);
        let ends = after.chars().next();
        let ends = ends.is_none_or(|c| is_delimiter(c) || ":,;.@=".contains(c));
        masked.push_str(before);
        masked.push_str(if begins && ends { MASK } else { secret });
        rest = after;
    }
    masked + rest
}

/// Whether a sequence that sets a colour stands at the end.
fn ends_in_style(text: &str) -> bool {
    let style = text.rsplit_once("\u{1b}[").map(|(_, style)| style);
    let style = style.and_then(|style| style.strip_suffix('m'));
    style.is_some_and(|style| style.bytes().all(|b| b.is_ascii_digit() || b == b';'))
}

/// The secret of an address that a word is.
fn credential_of(word: &str) -> Option<Secret> {
    let (start, end) = credential(word)?;
    // From the user on, which is what a message repeats if it repeats anything.
    let head = word[..start].rfind(['/', '=']).map_or(0, |at| at + 1);
    Some(Secret::After {
        head: word[head..start].to_owned(),
        secret: word[start..end].to_owned(),
    })
}

/// The secrets that are values of keys in a word.
fn values_of(word: &str) -> impl Iterator<Item = Secret> {
    let found = values(word).into_iter();
    found.map(|(key, start, end)| Secret::After {
        head: word[key..start].to_owned(),
        secret: word[start..end].to_owned(),
    })
}

/// Whether a word that may be an address is one by its form alone: it has a scheme, or a slash or a port
/// follows on the host.
fn is_address(word: &str) -> bool {
    if word.contains("://") {
        return true;
    }
    let (_, rest) = word.split_once(':').unwrap_or_default();
    rest.match_indices('@').any(|(at, _)| {
        let host = &rest[at + 1..];
        let after = host.trim_start_matches(|c: char| c.is_alphanumeric() || ".-_%,".contains(c));
        let port = after.strip_prefix(':').unwrap_or_default();
        host.starts_with('[')
            || after.starts_with('/')
            || port.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// Where the secret of an address stands in a word: behind the user, before the last `@`.
fn credential(word: &str) -> Option<(usize, usize)> {
    let scheme_end = word.find("://").map(|at| at + 3);
    let start = scheme_end.unwrap_or(0);
    if let Some(at) = word[start..].rfind('@').map(|at| start + at) {
        let colon = start + word[start..at].find(':')?;
        return Some((colon + 1, at)).filter(|(start, end)| start < end);
    }
    // Without a host, or with the end of it cut off: what follows on the colon is no port.
    let start = scheme_end?;
    let host = if word[start..].starts_with('[') {
        start + word[start..].find(']')?
    } else {
        start
    };
    let colon = host + word[host..].find(':')? + 1;
    let secret = &word[colon..];
    let port = secret.split(['/', '?']).next().unwrap_or_default();
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    (!is_port).then_some((colon, word.len()))
}

/// The values of keys such as `password=`: where the key begins, where the value begins and ends.
fn values(text: &str) -> Vec<(usize, usize, usize)> {
    let lower = text.to_ascii_lowercase();
    let mut found = Vec::new();
    let mut from = 0;
    while let Some((key, end)) = next_key(&lower, from) {
        from = end;
        let spaced = text[end..].trim_start();
        let Some(value) = spaced.strip_prefix('=').map(str::trim_start) else {
            continue;
        };
        let quote = value.chars().next().filter(|c| ['\'', '"'].contains(c));
        let value = &value[quote.map_or(0, char::len_utf8)..];
        let start = text.len() - value.len();
        from = start + value_length(value, quote);
        if start < from {
            found.push((key, start, from));
        }
    }
    found
}

/// How long a value is, up to its quote or to what ends a word; what follows on a backslash belongs to it.
fn value_length(value: &str, quote: Option<char>) -> usize {
    let mut is_escaped = false;
    let end = value.find(|c: char| {
        let ends = match quote {
            Some(quote) => c == quote,
            None => is_delimiter(c) || "&;".contains(c),
        };
        let is_end = ends && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        is_end
    });
    end.unwrap_or(value.len())
}

/// The first of the [`KEYS`] from a place on: where it begins and ends.
fn next_key(lower: &str, from: usize) -> Option<(usize, usize)> {
    let places = KEYS.iter().filter_map(|key| {
        let mut places = lower[from..].match_indices(key);
        let (at, _) = places.find(|(at, _)| is_key_start(&lower[..from + at]))?;
        Some((from + at, from + at + key.len()))
    });
    places.min()
}

/// Whether a key may begin after this. Dashes make it an option, unless they are within a name.
fn is_key_start(before: &str) -> bool {
    let before = before.trim_end_matches('-');
    !before.ends_with(|c: char| c.is_alphanumeric() || "_.".contains(c))
}

/// Masks what looks like a secret.
fn mask_by_form(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(is_delimiter).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match credential(word).filter(|_| is_address(word)) {
            Some((start, end)) => {
                masked.push_str(&word[..start]);
                masked.push_str(MASK);
                masked.push_str(&word[end..]);
            }
            None => masked.push_str(word),
        }
        let delimiter = after.chars().next().map_or(0, char::len_utf8);
        masked.push_str(&after[..delimiter]);
        rest = &after[delimiter..];
    }
    let found = values(&masked);
    for (_, start, end) in found.into_iter().rev() {
        masked.replace_range(start..end, MASK);
    }
    masked
}

/// What ends a word in a message.
fn is_delimiter(c: char) -> bool {
    c.is_whitespace() || c.is_control() || "'\"`<>()".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_secret_is_masked() {
        for (text, shown) in [
            (
                "no file 'postgres://ann:s3@cr/t@db/app' there",
                "no file 'postgres://ann:...@db/app' there",
            ),
            ("ann:s3cret@db:5432: refused", "ann:...@db:5432: refused"),
            ("ann:s3@cr/t@db/app refused", "ann:...@db/app refused"),
            (
                "'postgres://ann:s3cre…' not found",
                "'postgres://ann:...' not found",
            ),
            (
                "db?user=ann&Password=s3cret&x=1",
                "db?user=ann&Password=...&x=1",
            ),
            (
                "host=db password = 's3 cret' x",
                "host=db password = '...' x",
            ),
            (
                r"password='it\'s3cret\\' and sslpassword=s3\ cret end",
                "password='...' and sslpassword=... end",
            ),
            ("PGPASSWORD=s3cret exp", "PGPASSWORD=... exp"),
            ("exp --password=s3cret", "exp --password=..."),
        ] {
            assert_eq!(mask_by_form(text), shown);
        }
    }

    #[test]
    fn what_is_no_secret_is_kept() {
        for text in [
            "see https://toml.io, or http://[::1]:8080/x and http://localhost:8080/?a=b:c",
            "store postgres://ann@db:5432/app cannot be reached",
            "experiment 'checkout': the password is wrong",
            "actor ann@example.com",
            "set the override of user:42@example.com in shop:v@2: b",
            "exp set-weights e with_password=50 with-password=1 a.pwd=2 password_a=3",
        ] {
            assert_eq!(mask_by_form(text), text);
        }
    }

    #[test]
    fn a_known_secret_may_hold_anything() {
        let word = "--store=postgres://ann:s3 'cret\n@db";
        let mask = |text: &str| {
            let known = credential_of(word).into_iter();
            known.fold(text.to_owned(), |text, known| known.mask(&text))
        };
        for text in [format!("'{word}'"), escape(word).into_owned()] {
            assert!(mask(&text).contains("postgres://ann:...@db"), "{text}");
        }
        assert_eq!(mask("'postgres://ann:s3 '…'"), "'postgres://ann:...…'");
    }
}
