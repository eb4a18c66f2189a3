//! The name that was probably meant, where one is not known: for a message that asks "did you mean?".

/// The known name that `name` was probably meant to be.
#[must_use]
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A blank at its edge would move every letter, and so weigh more than a wrong letter.
    let name = name.trim();
    let lower = name.to_lowercase();
    let scored = known.into_iter().map(|known| {
        // One that differs in nothing but case is nearest, unless it is the same.
        let score = strsim::jaro_winkler(name, known);
        let score_of_lower = strsim::jaro_winkler(&lower, &known.to_lowercase());
        (score.max(score_of_lower), known)
    });
    scored
        .filter(|(score, _)| *score > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}
