//! The variables of the environment. Nothing else reads them.

use std::ffi::OsString;

/// A variable of the environment; set to nothing, it counts as not set.
#[expect(clippy::disallowed_methods, reason = "this is where it is read")]
pub(crate) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// The same as text.
pub(crate) fn text_variable(name: &str) -> Option<String> {
    variable(name).map(|value| value.to_string_lossy().into_owned())
}
