//! A file: its name and its text.

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// What it is called in messages, for example its path.
    pub name: String,
    /// What it holds; what is not UTF-8 is replaced.
    pub text: String,
    /// The place in `text` of the first replacement.
    pub(super) replaced_at: Option<usize>,
}

impl SourceFile {
    /// A file of this name that holds this text.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            name: name.into(),
            text: text
                .strip_prefix(BYTE_ORDER_MARK)
                .map_or(text.clone(), str::to_owned),
            replaced_at: None,
        }
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

/// What some editors begin a file with. It takes no column.
const BYTE_ORDER_MARK: &str = "\u{feff}";
