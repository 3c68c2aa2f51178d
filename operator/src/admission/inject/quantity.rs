//! Quantities of resources, as far as a container can ask for them: not negative.

use thiserror::Error;

/// A value is held in billionths, the finest that Kubernetes keeps.
const NANOS: u32 = 9;
const NANOS_PER_ONE: u128 = 1_000_000_000;

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum QuantityError {
    /// Not of the form that Kubernetes has.
    #[error("write a quantity such as 100m, 0.5 or 64Mi")]
    Syntax,
    /// More than can be counted.
    #[error("the quantity is too large")]
    TooLarge,
    /// Memory comes in bytes; `64m` is 64 thousandths of one.
    #[error("memory is counted in whole bytes: write 64Mi or 64M for megabytes")]
    FractionOfByte,
}

/// A quantity, and the text it was written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Quantity {
    pub(super) text: String,
    nanos: u128,
}

impl Quantity {
    pub(super) fn cpu(text: &str) -> Result<Self, QuantityError> {
        let text = text.trim();
        Ok(Self { text: text.to_owned(), nanos: nanos(text)? })
    }

    pub(super) fn memory(text: &str) -> Result<Self, QuantityError> {
        let quantity = Self::cpu(text)?;
        if quantity.nanos.is_multiple_of(NANOS_PER_ONE) { Ok(quantity) } else { Err(QuantityError::FractionOfByte) }
    }

    pub(super) fn is_above(&self, other: &Self) -> bool {
        self.nanos > other.nanos
    }
}

/// The grammar is that of `k8s.io/apimachinery/pkg/api/resource`: a decimal number, then a decimal, binary or exponent suffix.
fn nanos(text: &str) -> Result<u128, QuantityError> {
    let end = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(QuantityError::Syntax);
    }
    let (powers_of_ten, powers_of_two) = match suffix {
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "" => (0, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        _ => (exponent(suffix).ok_or(QuantityError::Syntax)?, 0),
    };
    let digits = [whole, fraction].concat();
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return Ok(0);
    }
    // Only digits are left: nothing but their number can be wrong.
    let mantissa: u128 = digits.parse().map_err(|_: std::num::ParseIntError| QuantityError::TooLarge)?;
    let mantissa = mantissa.checked_mul(1 << powers_of_two).ok_or(QuantityError::TooLarge)?;
    let scale = i64::from(powers_of_ten) + i64::from(NANOS) - fraction.len() as i64;
    let power = u32::try_from(scale.unsigned_abs()).ok().and_then(|scale| 10_u128.checked_pow(scale));
    match (power, scale < 0) {
        (Some(power), false) => mantissa.checked_mul(power).ok_or(QuantityError::TooLarge),
        (None, false) => Err(QuantityError::TooLarge),
        // Kubernetes rounds up.
        (Some(power), true) => Ok(mantissa.div_ceil(power)),
        (None, true) => Ok(1),
    }
}

/// `e3` or `E-3`.
fn exponent(suffix: &str) -> Option<i32> {
    suffix.strip_prefix(['e', 'E'])?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_read() {
        for (text, want) in [
            ("0", Ok(0)),
            ("1", Ok(1_000_000_000)),
            ("10m", Ok(10_000_000)),
            ("0.5", Ok(500_000_000)),
            (".5", Ok(500_000_000)),
            ("1.", Ok(1_000_000_000)),
            ("1e3", Ok(1_000_000_000_000)),
            ("1E-3", Ok(1_000_000)),
            ("1E", Ok(1_000_000_000_000_000_000_000_000_000)),
            ("1Ki", Ok(1_024_000_000_000)),
            ("1.5Gi", Ok(1_610_612_736_000_000_000)),
            ("0.1n", Ok(1)),
            ("1e-99", Ok(1)),
            ("0000000000000000000000000000000000000000007", Ok(7_000_000_000)),
            ("", Err(QuantityError::Syntax)),
            (".", Err(QuantityError::Syntax)),
            ("1.2.3", Err(QuantityError::Syntax)),
            ("-1", Err(QuantityError::Syntax)),
            ("Mi", Err(QuantityError::Syntax)),
            ("1 Mi", Err(QuantityError::Syntax)),
            ("1mi", Err(QuantityError::Syntax)),
            ("1e", Err(QuantityError::Syntax)),
            ("1e99", Err(QuantityError::TooLarge)),
            ("99999999999999999999999999999999999999999", Err(QuantityError::TooLarge)),
        ] {
            assert_eq!(nanos(text), want, "{text}");
        }
    }
}
