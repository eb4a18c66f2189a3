//! `VARIANT=WEIGHT`, as several commands take it.

use experiments::{ExperimentConfig, VariantConfig};

/// A variant and its weight as they were typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypedWeight {
    /// With the white space at its edges.
    name: String,
    weight: u32,
}

impl TypedWeight {
    /// As one that is declared: white space at the edges of a name is a slip.
    pub(crate) fn declared(&self) -> VariantConfig {
        VariantConfig::new(self.name.trim(), self.weight)
    }

    /// As one of this experiment, which may have got a name with white space at its edges elsewhere.
    pub(crate) fn of(&self, known: &ExperimentConfig) -> VariantConfig {
        match known.variant(&self.name) {
            Some(known) => VariantConfig::new(known.name.clone(), self.weight),
            None => self.declared(),
        }
    }
}

/// Parses `VARIANT=WEIGHT`. The last `=` separates, so a variant's name may hold others.
fn parse_weight(text: &str) -> Result<TypedWeight, String> {
    let Some((name, weight)) = text.rsplit_once('=') else {
        return Err("expected VARIANT=WEIGHT, for example control=50".to_owned());
    };
    let weight = weight.trim();
    let digits_only = !weight.is_empty() && weight.bytes().all(|byte| byte.is_ascii_digit());
    match weight.parse() {
        Ok(weight) if digits_only => Ok(TypedWeight {
            name: name.to_owned(),
            weight,
        }),
        _ => Err(format!(
            "the weight '{weight}' is not a whole number from 0 to {}",
            u32::MAX
        )),
    }
}

/// Parses `VARIANT=WEIGHT,VARIANT=WEIGHT`.
pub(crate) fn parse_weights(text: &str) -> Result<Vec<TypedWeight>, String> {
    text.split(',').map(parse_weight).collect()
}

/// The same, and where not each part between commas is one, `VARIANT=WEIGHT` with commas in its name.
pub(crate) fn parse_variant(text: &str) -> Result<Vec<TypedWeight>, String> {
    parse_weights(text).or_else(|_| Ok(vec![parse_weight(text)?]))
}
