//! From the text of a cell to a number.

use super::error::CellProblem;

/// The powers of ten that are exact.
const POWERS: [f64; 16] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// The finite number in a cell, correctly rounded, or `None` if the cell is empty. Spaces and tabs around it are
/// skipped; `true` is 1 and `false` is 0.
///
/// # Errors
/// It is something else.
#[inline]
pub fn parse_number(text: &[u8]) -> Result<Option<f64>, CellProblem> {
    short_decimal(text).map_or_else(|| any_number(text), |number| Ok(Some(number)))
}

/// Of most numbers, without a detour: digits that make up a whole number of less than 2^53, and a power of ten
/// that is exact as well, so that their quotient is rounded once.
#[inline]
fn short_decimal(text: &[u8]) -> Option<f64> {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    if text.len() > POWERS.len() {
        return None;
    }
    let mut digits: u64 = 0;
    let mut point = None;
    for (place, byte) in text.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit <= 9 {
            digits = digits * 10 + u64::from(digit);
        } else if *byte == b'.' && point.is_none() {
            point = Some(place);
        } else {
            return None;
        }
    }
    let decimals = point.map_or(0, |place| text.len() - place - 1);
    let count = text.len() - usize::from(point.is_some());
    if count == 0 || digits > 1 << f64::MANTISSA_DIGITS {
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "it is exact")]
    let number = digits as f64 / POWERS[decimals];
    Some(if is_negative { -number } else { number })
}

#[cold]
fn any_number(text: &[u8]) -> Result<Option<f64>, CellProblem> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(None);
    }
    if text.eq_ignore_ascii_case(b"true") {
        return Ok(Some(1.0));
    }
    if text.eq_ignore_ascii_case(b"false") {
        return Ok(Some(0.0));
    }
    // Not the words `inf` and `nan`, which the standard library reads.
    let is_written_out = text.iter().all(|byte| b"0123456789+-.eE".contains(byte));
    let number = std::str::from_utf8(text)
        .ok()
        .and_then(|text| text.parse::<f64>().ok());
    match number {
        Some(number) if number.is_finite() && is_written_out => Ok(Some(number)),
        Some(_) => Err(CellProblem::NotFinite),
        None => Err(CellProblem::NotANumber),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    use super::*;

    #[test]
    fn cells_are_numbers_or_empty_or_wrong() {
        let numbers: [(&str, f64); 13] = [
            ("0", 0.0),
            ("-0", -0.0),
            ("12.34", 12.34),
            ("-.5", -0.5),
            ("5.", 5.0),
            ("+5", 5.0),
            (" 5\t", 5.0),
            ("1e308", 1e308),
            ("1E-3", 1e-3),
            ("9007199254740993", 9_007_199_254_740_992.0),
            ("0.1000000000000000055511151231257827", 0.1),
            ("true", 1.0),
            ("False", 0.0),
        ];
        for (text, number) in numbers {
            let parsed = parse_number(text.as_bytes()).unwrap().unwrap();
            assert_eq!(parsed.to_bits(), number.to_bits(), "{text}");
        }
        for text in ["", " ", "\t"] {
            assert_eq!(parse_number(text.as_bytes()), Ok(None));
        }
        for text in ["NaN", "inf", "-Infinity", "1e309", "nan"] {
            let parsed = parse_number(text.as_bytes());
            assert_eq!(parsed, Err(CellProblem::NotFinite), "{text}");
        }
        let wrong = [
            ".", "-", "1,5", "$5", "5 0", "0x10", "1e", "--1", "1.2.3", "\u{a0}5", "\0", "\"5\"",
        ];
        for text in wrong {
            let parsed = parse_number(text.as_bytes());
            assert_eq!(parsed, Err(CellProblem::NotANumber), "{text}");
        }
        assert_eq!(parse_number(b"\xff"), Err(CellProblem::NotANumber));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, rng_seed: RngSeed::Fixed(1), ..ProptestConfig::default() })]

        #[test]
        fn numbers_are_rounded_as_the_standard_library_does(text in "-?[0-9]{0,17}(\\.[0-9]{0,17})?") {
            let ours = parse_number(text.as_bytes());
            match text.parse::<f64>() {
                Ok(theirs) => prop_assert_eq!(ours.unwrap().unwrap().to_bits(), theirs.to_bits()),
                Err(_) => prop_assert!(matches!(ours, Err(_) | Ok(None))),
            }
        }

        #[test]
        fn any_number_comes_back(bits in any::<u64>()) {
            let number = f64::from_bits(bits);
            prop_assume!(number.is_finite());
            for text in [format!("{number}"), format!("{number:e}")] {
                let parsed = parse_number(text.as_bytes()).unwrap().unwrap();
                prop_assert_eq!(parsed.to_bits(), bits);
            }
        }
    }
}
