//! Money as people write it, and as it is kept: whole minor units of a currency.

/// Currencies whose minor unit is not a hundredth (ISO 4217, minor unit exponents).
const EXPONENTS: [(&[&str], usize); 2] = [
    (
        &[
            "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND",
            "VUV", "XAF", "XOF", "XPF",
        ],
        0,
    ),
    (&["BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"], 3),
];

fn digits(currency: &str) -> usize {
    EXPONENTS
        .iter()
        .find(|(currencies, _)| currencies.contains(&currency))
        .map_or(2, |(_, digits)| *digits)
}

/// `EUR 1234.50`, from minor units.
pub fn written(minor: i64, currency: &str) -> String {
    let digits = digits(currency);
    let sign = if minor < 0 { "-" } else { "" };
    let padded = format!("{:0>width$}", minor.unsigned_abs(), width = digits + 1);
    let (whole, fraction) = padded.split_at(padded.len() - digits);
    let point = if digits > 0 { "." } else { "" };
    format!("{currency} {sign}{whole}{point}{fraction}")
}

/// Minor units of `currency` from `1234`, `1234.5` or `1234.50`; `None` when it is no amount that
/// the currency has.
pub fn minor_units(text: &str, currency: &str) -> Option<i64> {
    let digits = digits(currency);
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || fraction.len() > digits || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<digits$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_with_the_digits_of_its_currency() {
        for (minor, currency, text) in [
            (4_900, "EUR", "EUR 49.00"),
            (5, "USD", "USD 0.05"),
            (-5, "USD", "USD -0.05"),
            (4_900, "JPY", "JPY 4900"),
            (0, "JPY", "JPY 0"),
            (4_900, "KWD", "KWD 4.900"),
        ] {
            assert_eq!(written(minor, currency), text);
        }
    }

    #[test]
    fn an_amount_is_read_with_the_digits_of_its_currency() {
        for (text, currency, minor) in [
            ("99", "EUR", Some(9_900)),
            ("99.5", "EUR", Some(9_950)),
            ("99.50", "EUR", Some(9_950)),
            ("0.05", "USD", Some(5)),
            ("1200", "JPY", Some(1_200)),
            ("1.234", "KWD", Some(1_234)),
            ("99.", "EUR", Some(9_900)),
            ("99.505", "EUR", None),
            ("1200.5", "JPY", None),
            ("", "EUR", None),
            (".5", "EUR", None),
            ("-1", "EUR", None),
            ("1,50", "EUR", None),
            ("99 ", "EUR", None),
            ("99999999999999999999", "EUR", None),
        ] {
            assert_eq!(minor_units(text, currency), minor, "{text} {currency}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for (minor, currency) in [(0, "EUR"), (5, "EUR"), (123_450, "USD"), (7, "JPY"), (7, "TND")]
        {
            let written = written(minor, currency);
            let amount = written.strip_prefix(currency).unwrap().trim();
            assert_eq!(minor_units(amount, currency), Some(minor), "{written}");
        }
    }
}
