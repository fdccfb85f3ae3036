//! Kubernetes quantities: `100m`, `128Mi`, `1.5`, `2e3`.
//! Exact integers only; no floating point.

/// Reads a quantity in thousandths of its unit (millicores, thousandths of a byte), rounded up as Kubernetes does.
/// `None` where Kubernetes would refuse it.
pub fn parse_milli(text: &str) -> Option<i128> {
    let unsigned = text.strip_prefix('+').unwrap_or(text);
    let (unsigned, sign) = unsigned
        .strip_prefix('-')
        .map_or((unsigned, 1), |rest| (rest, -1));
    let end = unsigned
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (digits, decimals) = decimal(number)?;
    let (multiplier, exponent) = scale(suffix)?;
    // value = digits × 10^(exponent − decimals + 3) × multiplier
    let power = exponent - decimals + 3;
    let product = digits.checked_mul(multiplier)?;
    let milli = if power >= 0 {
        product.checked_mul(10_i128.checked_pow(power.unsigned_abs())?)?
    } else {
        let divisor = 10_i128.checked_pow(power.unsigned_abs())?;
        product / divisor + i128::from(product % divisor != 0)
    };
    Some(sign * milli)
}

/// Digits without the point, and how many stood behind it.
fn decimal(number: &str) -> Option<(i128, i32)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') || number.len() > 30 {
        return None;
    }
    let digits = format!("{whole}{fraction}").parse().ok()?;
    Some((digits, i32::try_from(fraction.len()).ok()?))
}

/// A suffix as a multiplier and a power of ten.
fn scale(suffix: &str) -> Option<(i128, i32)> {
    let binary = |power: u32| Some((1_i128 << (10 * power), 0));
    match suffix {
        "" => Some((1, 0)),
        "n" => Some((1, -9)),
        "u" => Some((1, -6)),
        "m" => Some((1, -3)),
        "k" => Some((1, 3)),
        "M" => Some((1, 6)),
        "G" => Some((1, 9)),
        "T" => Some((1, 12)),
        "P" => Some((1, 15)),
        "E" => Some((1, 18)),
        "Ki" => binary(1),
        "Mi" => binary(2),
        "Gi" => binary(3),
        "Ti" => binary(4),
        "Pi" => binary(5),
        "Ei" => binary(6),
        other => {
            let exponent: i32 = other.strip_prefix(['e', 'E'])?.parse().ok()?;
            (-18..=18).contains(&exponent).then_some((1, exponent))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse_milli;

    #[test]
    fn reads_what_kubernetes_reads() {
        let cases = [
            ("100m", Some(100)),
            ("1", Some(1000)),
            ("1.5", Some(1500)),
            (".5", Some(500)),
            ("1.", Some(1000)),
            ("128Mi", Some(134_217_728_000)),
            ("1k", Some(1_000_000)),
            ("2e3", Some(2_000_000)),
            ("1E", Some(1_000_000_000_000_000_000_000)),
            ("1u", Some(1)),
            ("-1", Some(-1000)),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("10 m", None),
            ("1mb", None),
            ("1e99", None),
            ("1K", None),
        ];
        for (text, milli) in cases {
            assert_eq!(parse_milli(text), milli, "{text:?}");
        }
    }
}
