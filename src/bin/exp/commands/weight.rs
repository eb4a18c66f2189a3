//! `VARIANT=WEIGHT`, as several commands take it.

use experiments::VariantConfig;

/// Parses `VARIANT=WEIGHT`. The last `=` separates, so a variant's name may hold others.
pub(crate) fn parse_weight(text: &str) -> Result<VariantConfig, String> {
    let Some((name, weight)) = text.rsplit_once('=') else {
        return Err("expected VARIANT=WEIGHT, for example control=50".to_owned());
    };
    let digits_only = !weight.is_empty() && weight.bytes().all(|byte| byte.is_ascii_digit());
    match weight.parse() {
        Ok(weight) if digits_only => Ok(VariantConfig::new(name, weight)),
        _ => Err(format!(
            "the weight '{weight}' is not a whole number from 0 to {}",
            u32::MAX
        )),
    }
}

/// Parses `VARIANT=WEIGHT,VARIANT=WEIGHT`.
pub(crate) fn parse_weights(text: &str) -> Result<Vec<VariantConfig>, String> {
    text.split(',').map(parse_weight).collect()
}
