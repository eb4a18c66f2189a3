//! What is found in a file: which lint, how bad, where, and what to do. The list of lints is here.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;

use serde::{Deserialize, Serialize};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Probably not what was meant.
    Warning,
    /// It can't be applied, or its results would mislead.
    Error,
}

impl Severity {
    /// The serialised name, in snake case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! lints {
    ($($(#[doc = $doc:literal])* $name:ident $id:literal $severity:ident;)*) => {
        /// What a finding is about. The id of a lint never changes its meaning.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Lint {
            $($(#[doc = $doc])* $name,)*
        }

        impl Lint {
            /// Every lint.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its id, in kebab case.
            #[must_use]
            pub fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)* }
            }

            /// How bad it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$name => Severity::$severity,)* }
            }

            /// What it is about, in a sentence.
            #[must_use]
            pub fn summary(self) -> &'static str {
                match self { $(Self::$name => concat!($($doc),*).trim_ascii(),)* }
            }
        }
    };
}

lints! {
    /// The file is not TOML.
    Syntax "syntax" Error;
    /// A key that means nothing here.
    UnknownKey "unknown-key" Error;
    /// A value of another type than the key takes.
    WrongType "wrong-type" Error;
    /// A value that the key does not take.
    BadValue "bad-value" Error;
    /// An experiment, a variant or a metric without a name.
    MissingName "missing-name" Error;
    /// Two experiments with the same name.
    DuplicateExperiment "duplicate-experiment" Error;
    /// An experiment without variants.
    NoVariant "no-variant" Error;
    /// More variants than an experiment may have.
    TooManyVariants "too-many-variants" Error;
    /// Two variants with the same name.
    DuplicateVariant "duplicate-variant" Error;
    /// A name that is empty or blank.
    BlankName "blank-name" Error;
    /// A weight that is missing, or not a whole number from 0 to 4294967295.
    BadWeight "bad-weight" Error;
    /// A running or paused experiment that takes newcomers but can assign nobody.
    AllWeightsZero "all-weights-zero" Error;
    /// A winner that is not one of the variants.
    UnknownWinner "unknown-winner" Error;
    /// A concluded experiment without a winner.
    MissingWinner "missing-winner" Error;
    /// A winner of an experiment that is not concluded.
    UnexpectedWinner "unexpected-winner" Error;
    /// A control character, or white space at the edge of a name.
    BadCharacter "bad-character" Error;
    /// More bytes than a store takes.
    TooLong "too-long" Error;
    /// A control that is not one of the variants.
    UnknownControl "unknown-control" Error;
    /// A metric without a key that its kind or its role needs.
    MissingKey "missing-key" Error;
    /// A key that a metric of this kind does not take.
    UnexpectedKey "unexpected-key" Error;
    /// Two metrics with the same name.
    DuplicateMetric "duplicate-metric" Error;
    /// More metrics than an experiment may have.
    TooManyMetrics "too-many-metrics" Error;
    /// A column for a metric that is reserved for actors or times.
    ReservedColumn "reserved-column" Error;
    /// Two experiments whose assignments are not independent.
    DependentAssignments "dependent-assignments" Error;
    /// A weight that ten thousand buckets cannot express.
    InexpressibleWeight "inexpressible-weight" Warning;
    /// An exclusion group with one member.
    LonelyGroup "lonely-group" Warning;
    /// Two names that are easily confused.
    SimilarNames "similar-names" Warning;
    /// A running or paused experiment in which every newcomer gets the same variant.
    SingleVariant "single-variant" Warning;
    /// A running or paused experiment with a primary metric that counts outcomes without end.
    MissingWindow "missing-window" Warning;
    /// An experiment that does not say what it is about.
    MissingDescription "missing-description" Warning;
    /// A variant would be removed while actors hold it.
    VariantInUse "variant-in-use" Error;
    /// A state that the stored experiment cannot move to.
    Lifecycle "lifecycle" Error;
    /// The weights of a concluded experiment would change.
    WeightsFixed "weights-fixed" Error;
    /// The bucketing would change after the start.
    BucketingFixed "bucketing-fixed" Error;
    /// The exclusion group would change after the start.
    GroupFixed "group-fixed" Error;
    /// Another field that is fixed after the start would change.
    FieldFixed "field-fixed" Error;
    /// The order of variants would change while the experiment runs.
    VariantOrder "variant-order" Warning;
    /// A metric would be added or changed after the start.
    HypothesisChanged "hypothesis-changed" Warning;
}

impl fmt::Display for Lint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

/// A place in one of the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpan {
    /// Which file, counted from 0.
    pub file: usize,
    /// Its bytes.
    pub span: Range<usize>,
}

/// Something that is wrong, or probably not as meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What it is about.
    pub lint: Lint,
    /// Where.
    pub place: SourceSpan,
    /// What was found.
    pub message: String,
    /// What to do.
    pub help: String,
    /// Another place that it has to do with, and what that is.
    pub related: Option<(SourceSpan, &'static str)>,
    /// How many findings it stands for: 1, but for the last of a lint in a file, which stands for all that
    /// were beyond [`MAX_KEPT`].
    pub count: usize,
}

impl Finding {
    pub(super) fn new(
        lint: Lint,
        place: SourceSpan,
        message: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            lint,
            place,
            message: message.into(),
            help: help.into(),
            related: None,
            count: 1,
        }
    }

    pub(super) fn with_related(mut self, place: SourceSpan, what: &'static str) -> Self {
        self.related = Some((place, what));
        self
    }

    /// How bad it is.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.lint.severity()
    }
}

/// How many findings of one lint in one file are kept; the others are counted.
pub const MAX_KEPT: usize = 1000;

/// Findings as they are made. However many there are, it holds at most [`MAX_KEPT`] of a lint in a file.
#[derive(Default)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    seen: HashMap<(usize, Lint), Seen>,
    /// Where the errors begin that were counted only.
    cut_errors: Vec<(usize, usize)>,
}

struct Seen {
    count: usize,
    /// The first that was not kept.
    first_cut: Option<SourceSpan>,
}

impl Findings {
    pub(super) fn push(&mut self, finding: Finding) {
        let key = (finding.place.file, finding.lint);
        let seen = self.seen.entry(key).or_insert(Seen {
            count: 0,
            first_cut: None,
        });
        seen.count += 1;
        if seen.count <= MAX_KEPT {
            self.kept.push(finding);
            return;
        }
        if finding.severity() == Severity::Error {
            let begins = (finding.place.file, finding.place.span.start);
            self.cut_errors.push(begins);
        }
        seen.first_cut.get_or_insert(finding.place);
    }

    /// In the order of the files, with a last one for what was cut, and where errors begin that were.
    pub(super) fn into_parts(self) -> (Vec<Finding>, Vec<(usize, usize)>) {
        let mut findings = self.kept;
        for ((_, lint), seen) in self.seen {
            let Some(place) = seen.first_cut else {
                continue;
            };
            let count = seen.count - MAX_KEPT;
            let message = format!("{count} more findings of {lint} in this file are not shown");
            let help = "fix what is shown, and check again";
            findings.push(Finding {
                count,
                ..Finding::new(lint, place, message, help)
            });
        }
        sort(&mut findings);
        (findings, self.cut_errors)
    }

    pub(super) fn into_vec(self) -> Vec<Finding> {
        self.into_parts().0
    }
}

impl FromIterator<Finding> for Findings {
    fn from_iter<I: IntoIterator<Item = Finding>>(findings: I) -> Self {
        let mut all = Self::default();
        findings.into_iter().for_each(|finding| all.push(finding));
        all
    }
}

/// Puts findings in the order of the files.
pub fn sort(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |f: &Finding| (f.place.file, f.place.span.start, f.lint);
        key(a).cmp(&key(b))
    });
}
