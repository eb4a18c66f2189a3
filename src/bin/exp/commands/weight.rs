//! `VARIANT=WEIGHT`, as several commands take it.

use experiments::text::escape;
use experiments::{ExperimentConfig, VariantConfig};

use crate::exit::{Hint, UsageError};

/// A variant and its weight as they were typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TypedWeight {
    /// With the white space at its edges.
    name: String,
    weight: u32,
}

impl TypedWeight {
    /// As one that is declared: white space at the edges of a name is a slip, and what may be several variants is
    /// refused.
    pub(crate) fn declared(&self) -> anyhow::Result<VariantConfig> {
        let name = self.name.trim();
        let is_list = name.contains('=') && name.contains([',', ';']);
        if !is_list && !holds_weight(name) {
            return Ok(VariantConfig::new(name, self.weight));
        }
        let typed = format!("{name}={}", self.weight);
        let message = format!("'{}' would be one variant, not several", escape(&typed));
        let hint =
            "separate variants by commas, as in a=1,b=2; in a file, a variant can have any name";
        Err(anyhow::Error::new(UsageError(message)).context(Hint(hint.to_owned())))
    }

    /// As one of this experiment, which may have got from elsewhere a name that is not declared like this.
    pub(crate) fn of(&self, known: &ExperimentConfig) -> anyhow::Result<VariantConfig> {
        match known.variant(&self.name) {
            Some(known) => Ok(VariantConfig::new(known.name.clone(), self.weight)),
            None => self.declared(),
        }
    }
}

/// Whether a name goes on after what looks like a weight, as that of `a=1;b=2` does.
fn holds_weight(name: &str) -> bool {
    let is_separator = |c: char| c.is_whitespace() || ",;|&/".contains(c);
    let mut parts = name.split(is_separator).rev();
    parts.next();
    parts.any(|part| {
        let weight = part.rsplit_once('=').map_or("", |(_, weight)| weight);
        !weight.is_empty() && weight.bytes().all(|byte| byte.is_ascii_digit())
    })
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
