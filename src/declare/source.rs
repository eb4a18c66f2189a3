//! A file: its name and its text.

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// What it is called in messages, for example its path.
    pub name: String,
    /// What it holds. Its lines end in LF, also where they end in CR LF in the file: that depends on how it
    /// was checked out, and means nothing. What is not UTF-8 is replaced.
    pub text: String,
    /// The place in `text` of the first replacement.
    pub(super) replaced_at: Option<usize>,
}

impl SourceFile {
    /// A file of this name that holds this text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self::from_bytes(name, text.into().into_bytes())
    }

    /// Whether it holds UTF-8 only.
    #[must_use]
    pub fn is_utf8(&self) -> bool {
        self.replaced_at.is_none()
    }

    /// A file of this name that holds these bytes. If they are not UTF-8, that is a finding.
    #[must_use]
    pub fn from_bytes(name: impl Into<String>, mut bytes: Vec<u8>) -> Self {
        if bytes.starts_with(BYTE_ORDER_MARK.as_bytes()) {
            bytes.drain(..BYTE_ORDER_MARK.len());
        }
        end_lines_in_line_feeds(&mut bytes);
        let replaced = |error: std::string::FromUtf8Error| {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            (text, Some(at))
        };
        let (text, replaced_at) =
            String::from_utf8(bytes).map_or_else(replaced, |text| (text, None));
        Self {
            name: name.into(),
            text,
            replaced_at,
        }
    }
}

/// Removes each CR that stands before an LF.
fn end_lines_in_line_feeds(bytes: &mut Vec<u8>) {
    let mut end = 0;
    for at in 0..bytes.len() {
        if bytes[at] != b'\r' || bytes.get(at + 1) != Some(&b'\n') {
            bytes[end] = bytes[at];
            end += 1;
        }
    }
    bytes.truncate(end);
}

/// What some editors begin a file with. It takes no column.
const BYTE_ORDER_MARK: &str = "\u{feff}";
