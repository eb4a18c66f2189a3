//! What the environment, the home directory and the terminal say. Nothing else asks them, but for single
//! variables (`variables.rs`).

use std::cell::LazyCell;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use etcetera::BaseStrategy as _;
use experiments::{Clock, PgDefaults, PgOptions, SqliteExperimentStore};
use jiff::tz::TimeZone;

use crate::exit::{EnvironmentError, UsageError};
use crate::output::text::Page;
use crate::variables::{text_variable, variable};

/// A store as somebody names it.
pub(crate) enum NamedStore {
    File(PathBuf),
    Database(Box<PgOptions>),
}

/// The store: as named by the flag, or else by the environment, or else the default file.
pub(crate) fn store_place(named: Option<PathBuf>) -> anyhow::Result<NamedStore> {
    if let Some(path) = named {
        return Ok(place(path)?);
    }
    if let Some(path) = variable("EXP_STORE") {
        return Ok(place(path.into()).map_err(|UsageError(message)| EnvironmentError(message))?);
    }
    let message = "no home directory for the default store; name a store with --store";
    let default = default_store().map(NamedStore::File);
    Ok(default.ok_or_else(|| EnvironmentError(message.to_owned()))?)
}

/// What somebody names as a store: a file, or a database by its address.
pub(crate) fn place(path: PathBuf) -> Result<NamedStore, UsageError> {
    let text = path.to_string_lossy();
    if let Some(problem) = other_name(&text) {
        return Err(UsageError(problem.to_owned()));
    }
    // A shell leaves it in quotes as it is, and nothing else replaces it.
    if let Ok(below) = path.strip_prefix("~") {
        let home = etcetera::home_dir().ok();
        let no_home = || UsageError("there is no home directory that ~ could stand for".to_owned());
        return Ok(NamedStore::File(home.ok_or_else(no_home)?.join(below)));
    }
    match scheme(&text).as_deref() {
        None if is_nearly_an_address(&text) => Err(UsageError(
            "write a database as postgres://USER@HOST/DATABASE; for a file whose name looks like \
             that, write ./ before it"
                .to_owned(),
        )),
        None => Ok(NamedStore::File(path)),
        Some("postgres" | "postgresql") => {
            let address = path.to_str().unwrap_or_default();
            Ok(NamedStore::Database(Box::new(database(address)?)))
        }
        // The rest of the address may hold a password.
        Some(scheme) => Err(UsageError(format!(
            "a store is a file or a postgres:// address, not {scheme}://..."
        ))),
    }
}

/// What is wrong with a name that is blank, or that other programs take for something else than a file of that
/// name.
/// Nothing of it is shown: it may hold a password.
fn other_name(text: &str) -> Option<&'static str> {
    if text.trim().is_empty() {
        return Some(
            "the name of a store cannot be blank; for a file whose name is blank, write ./ before it",
        );
    }
    let lower = text.to_ascii_lowercase();
    if lower == ":memory:" {
        return Some(
            "a store is a file, as each command is a process of its own; for a file with that name, \
             write ./ before it",
        );
    }
    if lower.starts_with("file:") || lower.starts_with("sqlite:") || lower.starts_with("sqlite3:") {
        return Some(
            "name a store in a file by its path alone, without file: or sqlite: before it; for a \
             file whose name begins like that, write ./ before it",
        );
    }
    let is_of_a_user = text.starts_with('~') && text != "~" && !text.starts_with("~/");
    is_of_a_user.then_some(
        "name the home directory of another user by its path; for a file whose name begins with ~, \
         write ./ before it",
    )
}

/// A database, with what libpq's variables say where the address says nothing.
fn database(address: &str) -> Result<PgOptions, UsageError> {
    let defaults = PgDefaults {
        host: text_variable("PGHOST"),
        port: text_variable("PGPORT"),
        database: text_variable("PGDATABASE"),
    };
    let options = PgOptions::parse_or(address, &defaults);
    let options = options.map_err(|error| UsageError(error.to_string()))?;
    let user = text_variable("PGUSER").or_else(|| whoami::username().ok());
    let options = options.or_user(&user.unwrap_or_default());
    Ok(match text_variable("PGPASSWORD") {
        Some(password) => options.or_password(&password),
        None => options,
    })
}

/// Whether it was meant as the address of a database, in another form or with a slip in it. It would be
/// shown as the name of a file, with the password that may be in it.
fn is_nearly_an_address(text: &str) -> bool {
    let is_path = ["./", "../", "/"].iter().any(|root| text.starts_with(root));
    if is_path && !text.starts_with("//") {
        return false;
    }
    let text = text.to_ascii_lowercase().replace(" =", "=");
    let has_credentials = |part: &str| {
        let user_and_password = part.rsplit_once('@').map(|(before, _)| before);
        user_and_password.is_some_and(|before| before.contains(':'))
    };
    let mut words =
        text.split(|separator: char| separator.is_whitespace() || "?&;".contains(separator));
    text.contains("://")
        || text.starts_with("postgres:")
        || text.starts_with("postgresql:")
        || text.split('/').any(has_credentials)
        || words.any(|word| {
            let key = word.split_once('=').map(|(key, _)| key);
            key.is_some_and(|key| ["host", "hostaddr", "user", "password", "dbname"].contains(&key))
        })
}

/// What stands before `://`, in lower case.
fn scheme(address: &str) -> Option<String> {
    let (scheme, _) = address.split_once("://")?;
    let is_scheme = !scheme.is_empty()
        && scheme
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    is_scheme.then(|| scheme.to_ascii_lowercase())
}

fn default_store() -> Option<PathBuf> {
    let base = etcetera::choose_base_strategy().ok()?;
    let state = base.state_dir().unwrap_or_else(|| base.data_dir());
    Some(state.join("exp").join("experiments.db"))
}

/// Who makes a change: as named by the flag, or else by the environment, or else the login name.
pub(crate) fn operator(named: Option<String>) -> String {
    let variables = ["EXP_BY", "LOGNAME", "USER"];
    named
        .or_else(|| variables.into_iter().find_map(text_variable))
        .or_else(|| whoami::username().ok())
        .unwrap_or_else(|| "unknown".to_owned())
}

/// The editor, as a line of the shell.
pub(crate) fn editor() -> String {
    named_editor().unwrap_or_else(|| "vi".to_owned())
}

/// Whether somebody has named an editor. The one that is taken otherwise needs a terminal.
pub(crate) fn names_editor() -> bool {
    named_editor().is_some()
}

fn named_editor() -> Option<String> {
    ["VISUAL", "EDITOR"].into_iter().find_map(text_variable)
}

/// How long to wait for a lock.
pub(crate) fn lock_timeout(named: Option<u32>) -> Result<Duration, EnvironmentError> {
    let secs: u32 = match (named, text_variable("EXP_LOCK_TIMEOUT")) {
        (Some(secs), _) => secs,
        (None, Some(text)) => text.parse().map_err(|_| {
            EnvironmentError(format!(
                "EXP_LOCK_TIMEOUT is '{text}', not a number of seconds"
            ))
        })?,
        (None, None) => return Ok(SqliteExperimentStore::BUSY_TIMEOUT),
    };
    Ok(Duration::from_secs(secs.into()))
}

/// The machine's clock, or the one that is fixed for a test.
pub(crate) fn clock() -> Result<Clock, EnvironmentError> {
    match text_variable("EXP_NOW") {
        None => Ok(Clock::System),
        Some(now) => {
            let secs = now.parse::<i64>().ok().and_then(|now| now.try_into().ok());
            secs.map(Clock::Fixed).ok_or_else(|| {
                EnvironmentError(format!(
                    "EXP_NOW is '{now}', not a number of seconds since 1970"
                ))
            })
        }
    }
}

/// The page that standard output is.
pub(crate) fn page() -> Page {
    let terminal = terminal_size::terminal_size_of(io::stdout());
    let width = terminal.map(|(width, _)| usize::from(width.0));
    Page {
        width: width.or_else(|| {
            text_variable("COLUMNS")?
                .parse()
                .ok()
                .filter(|width| *width > 0)
        }),
        zone: LazyCell::new(TimeZone::system),
    }
}
