//! Numbers as people read them.

/// Four digits that count, with separators of thousands: `12,405`, `0.1243`, `1.2e-9`.
pub(crate) fn figure(value: f64) -> String {
    let size = value.abs();
    if value == 0.0 {
        return "0".to_owned();
    }
    if !(1e-4..1e12).contains(&size) {
        return format!("{value:.3e}");
    }
    let decimals = match size {
        _ if size >= 1000.0 => 0,
        _ if size >= 100.0 => 1,
        _ if size >= 10.0 => 2,
        _ if size >= 1.0 => 3,
        _ if size >= 0.1 => 4,
        _ => 5,
    };
    let text = format!("{value:.decimals$}");
    if decimals == 0 {
        separated(&text)
    } else {
        text
    }
}

/// A count, with separators of thousands.
pub(crate) fn count(value: u64) -> String {
    separated(&value.to_string())
}

/// So many of something: `1 actor`, `12 actors`.
pub(crate) fn plural(count: u64, what: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    format!("{count} {what}{s}")
}

/// A change relative to something, with its sign: `+4.1%`.
pub(crate) fn change(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 => "0%".to_owned(),
        size if size >= 1000.0 => format!("{}%", signed(&separated(&format!("{percent:.0}")))),
        size if size >= 10.0 => format!("{percent:+.1}%"),
        _ => format!("{percent:+.2}%"),
    }
}

fn signed(text: &str) -> String {
    if text.starts_with('-') {
        text.to_owned()
    } else {
        format!("+{text}")
    }
}

/// A rate, as a percentage: `20.44%`, `0.0123%`.
pub(crate) fn rate(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        0.0 => "0%".to_owned(),
        size if size >= 0.1 => format!("{percent:.2}%"),
        size if size >= 0.001 => format!("{percent:.4}%"),
        _ => format!("{percent:.2e}%"),
    }
}

/// A round share, as a percentage with the digits that it has: `95%`, `99.9%`.
pub(crate) fn share(share: f64) -> String {
    format!("{}%", (share * 1e6).round() / 1e4)
}

/// How probable something is: never a bare 0% or 100%.
pub(crate) fn chance(share: f64) -> String {
    match share {
        _ if share < 0.0005 => "< 0.1%".to_owned(),
        _ if share >= 0.9995 => "> 99.9%".to_owned(),
        _ => format!("{:.1}%", share * 100.0),
    }
}

/// A p-value in a sentence: `p = 0.031`, `p < 0.001`.
pub(crate) fn p_is(p: f64) -> String {
    let value = p_value(p);
    if value.starts_with('<') {
        format!("p {value}")
    } else {
        format!("p = {value}")
    }
}

/// A p-value: never a bare zero.
pub(crate) fn p_value(p: f64) -> String {
    match p {
        _ if p < 0.001 => "< 0.001".to_owned(),
        _ if p < 0.1 => format!("{p:.3}"),
        _ => format!("{p:.2}"),
    }
}

fn separated(digits: &str) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let mut text = sign.to_owned();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_the_digits_that_count() {
        let figures = [
            (0.0, "0"),
            (0.124_349, "0.1243"),
            (0.012_434_9, "0.01243"),
            (12.345_6, "12.35"),
            (1_234_567.8, "1,234,568"),
            (-1234.0, "-1,234"),
            (1.2e-9, "1.200e-9"),
            (1e300, "1.000e300"),
        ];
        for (value, text) in figures {
            assert_eq!(figure(value), text);
        }
        assert_eq!(count(999), "999");
        assert_eq!(
            (change(0.0412), change(-0.5)),
            ("+4.12%".into(), "-50.0%".into())
        );
        assert_eq!(change(12.5), "+1,250%");
        let rates = [0.0, 0.204_41, 1.0, 0.000_123, 1e-7].map(rate);
        assert_eq!(rates, ["0%", "20.44%", "100.00%", "0.0123%", "1.00e-5%"]);
        assert_eq!([0.95, 0.999, 0.9].map(share), ["95%", "99.9%", "90%"]);
        let chances = [0.0, 0.0005, 0.5, 0.9994, 0.9995, 1.0].map(chance);
        assert_eq!(
            chances,
            ["< 0.1%", "0.1%", "50.0%", "99.9%", "> 99.9%", "> 99.9%"]
        );
        assert_eq!(
            (p_value(0.0), p_value(0.0312)),
            ("< 0.001".into(), "0.031".into())
        );
    }
}
