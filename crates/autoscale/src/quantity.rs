//! Kubernetes quantities as integer thousandths, the unit in which every controller compares metrics.
//!
//! Must not keep a fraction: what does not fit a thousandth is rounded up, as `Quantity.MilliValue` does.

use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

/// A text that is not a Kubernetes quantity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a quantity such as `5`, `250m` or `1Gi`")]
pub struct QuantityError {
    /// The text as it was given.
    pub text: String,
}

/// Returns the quantity in thousandths, rounded up, saturating at the ends of `i64`.
pub fn to_milli(quantity: &Quantity) -> Result<i64, QuantityError> {
    parse_milli(&quantity.0)
}

/// Parses the text of a quantity into thousandths, rounded up, saturating at the ends of `i64`.
pub fn parse_milli(text: &str) -> Result<i64, QuantityError> {
    exact(text).ok_or_else(|| QuantityError {
        text: text.to_owned(),
    })
}

/// Returns the canonical quantity of so many thousandths: `5`, or `2500m` where it is not whole.
pub fn from_milli(milli: i64) -> Quantity {
    if milli % 1000 == 0 {
        Quantity((milli / 1000).to_string())
    } else {
        Quantity(format!("{milli}m"))
    }
}

/// Returns a scaler's reading in thousandths, as KEDA writes it: three decimals, correctly rounded.
///
/// Values that are negative or not finite count as 0 (KEDA ≥ 2.20.2).
pub fn reading_to_milli(value: f64) -> i64 {
    if !value.is_finite() || value <= 0.0 {
        return 0;
    }
    let text = format!("{value:.3}").replace('.', "");
    text.parse().unwrap_or(i64::MAX)
}

fn exact(text: &str) -> Option<i64> {
    let (negative, rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let end = rest
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(rest.len());
    let (number, suffix) = rest.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if whole.is_empty() && fraction.is_empty() || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i32::try_from(fraction.len()).ok()?;
    let (multiplier, power) = unit(suffix)?;
    let exponent = power + 3 - scale;
    let scaled = digits.checked_mul(multiplier)?;
    let milli = if exponent >= 0 {
        // Anything this large saturates; 10^38 does not fit an i128.
        let factor = 10_i128
            .checked_pow(exponent.unsigned_abs())
            .unwrap_or(i128::MAX);
        scaled.saturating_mul(factor)
    } else {
        match 10_i128.checked_pow(exponent.unsigned_abs()) {
            Some(divisor) => round_up(scaled, divisor, negative),
            None => i128::from(scaled != 0 && !negative),
        }
    };
    let signed = if negative { -milli } else { milli };
    Some(i64::try_from(signed).unwrap_or(if negative { i64::MIN } else { i64::MAX }))
}

/// Rounds a magnitude so that the signed value goes up.
fn round_up(magnitude: i128, divisor: i128, negative: bool) -> i128 {
    let floor = magnitude / divisor;
    if negative || magnitude % divisor == 0 {
        floor
    } else {
        floor + 1
    }
}

/// Returns a suffix as a factor and a power of ten.
fn unit(suffix: &str) -> Option<(i128, i32)> {
    Some(match suffix {
        "n" => (1, -9),
        "u" => (1, -6),
        "m" => (1, -3),
        "" => (1, 0),
        "k" => (1, 3),
        "M" => (1, 6),
        "G" => (1, 9),
        "T" => (1, 12),
        "P" => (1, 15),
        "E" => (1, 18),
        "Ki" => (1 << 10, 0),
        "Mi" => (1 << 20, 0),
        "Gi" => (1 << 30, 0),
        "Ti" => (1 << 40, 0),
        "Pi" => (1 << 50, 0),
        "Ei" => (1 << 60, 0),
        other => {
            let exponent: i32 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            (-30..=30).contains(&exponent).then_some((1, exponent))?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form() {
        for (text, milli) in [
            ("5", 5000),
            ("250m", 250),
            ("0.5", 500),
            ("1Ki", 1_024_000),
            ("2e3", 2_000_000),
            ("1E", i64::MAX),
            ("1n", 1),
            ("-1.5", -1500),
            (".1", 100),
            ("100u", 1),
        ] {
            assert_eq!(parse_milli(text), Ok(milli), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_quantity() {
        for text in ["", "m", "1x", "1.2.3", "five", "1e", "--1", "."] {
            assert!(parse_milli(text).is_err(), "{text}");
        }
    }

    #[test]
    fn writes_the_canonical_form() {
        assert_eq!(from_milli(5000).0, "5");
        assert_eq!(from_milli(2500).0, "2500m");
    }

    #[test]
    fn readings_are_rounded_to_three_decimals() {
        assert_eq!(reading_to_milli(12.0), 12_000);
        assert_eq!(reading_to_milli(0.1235), 123); // the double lies just below the tie
        assert_eq!(reading_to_milli(-3.0), 0);
        assert_eq!(reading_to_milli(f64::NAN), 0);
        assert_eq!(reading_to_milli(1e300), i64::MAX);
    }
}
