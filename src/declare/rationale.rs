//! Why each lint is one, and what to do about it, for those who meet it where the file is not at hand.

use super::finding::Lint;

impl Lint {
    /// Why it matters, in a sentence or two.
    #[must_use]
    pub fn rationale(self) -> &'static str {
        self.explained().0
    }

    /// What to do about it, in a sentence or two; what is typed stands in backticks.
    #[must_use]
    pub fn remedy(self) -> &'static str {
        self.explained().1
    }

    #[expect(clippy::too_many_lines, reason = "it is a list")]
    fn explained(self) -> (&'static str, &'static str) {
        match self {
            Self::Syntax => (
                "A file that can't be read declares nothing, so no experiment of it can be planned.",
                "Fix the TOML at the place that is marked; https://toml.io describes the format. Save the \
                 file as UTF-8.",
            ),
            Self::UnknownKey => (
                "An unknown key is usually a typo, and the setting that was meant keeps its default.",
                "Correct the key, or remove it. `exp schema` prints a JSON Schema that lets an editor complete keys.",
            ),
            Self::WrongType => (
                "The value has another type than the key takes, such as text in place of a number.",
                "Write a value of the type that the message names.",
            ),
            Self::BadValue => (
                "The value has the right type, but it is not allowed here.",
                "Write one that is: the message and its help say which.",
            ),
            Self::MissingName => (
                "Everything is found by its name, in the store and in the results.",
                "Add `name = \"...\"`.",
            ),
            Self::DuplicateExperiment => (
                "An experiment has one declaration. With two, the order of the files would decide which one counts.",
                "Remove one of the two, or rename it.",
            ),
            Self::NoVariant => (
                "An experiment without variants can assign nobody.",
                "Add `variants = [{ name = \"control\", weight = 50 }, { name = \"treatment\", weight = 50 }]`.",
            ),
            Self::TooManyVariants => (
                "A store accepts no experiment with so many variants.",
                "Remove variants, or split the experiment.",
            ),
            Self::DuplicateVariant => (
                "Variants are told apart by their names.",
                "Rename one of the two, or remove it and add its weight to the other.",
            ),
            Self::BlankName => (
                "A name that nobody sees can't be typed or found.",
                "Write a name with at least one character that is not a blank.",
            ),
            Self::BadWeight => (
                "Without a weight, nothing says how many actors a variant gets.",
                "Write a whole number from 0 to 4294967295; it is relative to the other weights.",
            ),
            Self::AllWeightsZero => (
                "The experiment takes newcomers, and every one of them is refused, as no variant has a weight.",
                "Give a variant a weight, close the experiment with `enrolling = false`, or leave it a draft.",
            ),
            Self::UnknownWinner => (
                "Everybody gets the winner of a concluded experiment, so it must be one of its variants.",
                "Name one of the variants.",
            ),
            Self::MissingWinner => (
                "Everybody gets the winner of a concluded experiment; without one there is nothing to give.",
                "Add `winner = \"...\"`, or set another state.",
            ),
            Self::UnexpectedWinner => (
                "Only a concluded experiment has a winner; in any other state it would decide nothing.",
                "Remove the winner, or set `state = \"concluded\"`.",
            ),
            Self::BadCharacter => (
                "Control characters break lines and control terminals. Nobody sees them in a file, nor white space at the edges of a name.",
                "Remove the character.",
            ),
            Self::TooLong => (
                "A store accepts no text of this length here.",
                "Shorten it to the number of bytes that the message names.",
            ),
            Self::UnknownControl => (
                "Every other variant is compared with the control, so it must be one of the variants.",
                "Name one of the variants.",
            ),
            Self::MissingKey => (
                "A metric of this kind or role can't be computed without the key.",
                "Add the key that the message names.",
            ),
            Self::UnexpectedKey => (
                "The key means nothing for a metric of this kind, and would be ignored.",
                "Remove the key, or change the kind of the metric.",
            ),
            Self::DuplicateMetric => (
                "Metrics are told apart by their names.",
                "Rename one of the two, or remove it.",
            ),
            Self::TooManyMetrics => (
                "A store accepts no experiment with so many metrics, and each one makes it harder to find an effect.",
                "Remove metrics that decide nothing.",
            ),
            Self::ReservedColumn => (
                "The column says which actor a row belongs to, or when; it holds no values.",
                "Name another column with `column = \"...\"`.",
            ),
            Self::DependentAssignments => (
                "Actors who get the treatment of one experiment get that of the other more often, or less often, than by \
                 chance. The effect of each then shows up in the results of the other, and neither split looks wrong.",
                "Give the one that has not started the `salt` that the finding names, or set \
                 `bucketing = \"fnv1a_mixed\"` in it. If both have started, start one of them over under another name.",
            ),
            Self::InexpressibleWeight => (
                "Actors are split into 10,000 buckets, so a share that is not a whole number of buckets is rounded.",
                "Choose a weight whose share is a whole number of ten-thousandths.",
            ),
            Self::LonelyGroup => (
                "A group keeps its experiments apart. With one member it does nothing, so its name is usually a typo.",
                "Name the group in another experiment, or remove it.",
            ),
            Self::SimilarNames => (
                "Two names that look alike are easily confused, by people and in code.",
                "Rename one of the two.",
            ),
            Self::SingleVariant => (
                "Every newcomer gets the same variant, so there is nothing to compare it with.",
                "Give another variant a weight, close the experiment with `enrolling = false`, or conclude it.",
            ),
            Self::MissingWindow => (
                "Without a window an actor who came early has had more time than one who came late, and results \
                 name no winner.",
                "Add a window such as `window = \"7d\"`.",
            ),
            Self::MissingDescription => (
                "Whoever reads the results a year later wants to know what was tried.",
                "Add `description = \"...\"`.",
            ),
            Self::VariantInUse => (
                "Actors are assigned to the variant. Without it they would get another one, and the results would mix both.",
                "Keep the variant with `weight = 0`: its actors keep it, and nobody new gets it.",
            ),
            Self::Lifecycle => (
                "Not every state can follow every other: nothing goes back to a draft, and archiving is for good.",
                "Set a state that the experiment can move to, or create one with another name.",
            ),
            Self::WeightsFixed => (
                "Everybody gets the winner of a concluded experiment, so its variants and weights decide nothing any more.",
                "Put them back, or set `state = \"running\"` to reopen the experiment.",
            ),
            Self::BucketingFixed => (
                "Another bucketing would assign new actors differently from those who came before them.",
                "Put the bucketing back, or create an experiment with another name.",
            ),
            Self::GroupFixed => (
                "Actors are in the experiment because of its group; in another group they might be in two experiments.",
                "Put the group back, or create an experiment with another name.",
            ),
            Self::FieldFixed => (
                "The results of an experiment that has started depend on the field as it is.",
                "Put the field back, or create an experiment with another name.",
            ),
            Self::VariantOrder => (
                "The order of the variants decides which bucket gets which. In another order, new actors get other \
                 variants than earlier actors did.",
                "Keep the order, and add new variants at the end.",
            ),
            Self::HypothesisChanged => (
                "A metric that is chosen once numbers are in sight proves nothing: with enough metrics one always wins.",
                "Keep it as exploratory, or create an experiment with another name to decide by it.",
            ),
        }
    }
}
