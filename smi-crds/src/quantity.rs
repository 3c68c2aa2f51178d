//! Weights of TrafficSplit v1alpha1: quantities of Kubernetes, read exactly.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A quantity that is not negative, in the spelling it was written in: `1`, `"1"`, `"500m"`, `"0.5"`, `"5e-1"`, `"1Ki"`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// A bare number.
    Number(u64),
    /// A number with a fraction, an exponent or a suffix, or just a number, in a string.
    Text(String),
}

/// Billionths in one: the finest that a quantity of Kubernetes can say.
const BILLION: u128 = 1_000_000_000;

/// Digits that are read, fractions included. More than any client writes.
const DIGITS: usize = 18;

/// Longest text that is read, in bytes. The schema takes 32.
const LONGEST_BYTES: usize = 64;

/// Why a quantity cannot be a weight.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuantity {
    /// Not the form of a quantity.
    #[error("{0:?} is not a quantity; write a whole number such as 10, or thousandths such as 500m")]
    Syntax(String),
    /// Below zero.
    #[error("{0} is negative; write 0 for a backend that gets no traffic")]
    Negative(String),
    /// Beyond what is read exactly.
    #[error(
        "{0:?} cannot be read exactly; write it with at most 18 digits, nothing finer than n and nothing above 10^27"
    )]
    Range(String),
    /// So long that it is not even repeated.
    #[error("a text of {0} bytes is not a quantity; write at most 64, such as 10 or 500m")]
    TooLong(usize),
}

/// Why weights cannot be whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the ratio of the weights needs whole numbers above 4294967295; write weights with fewer digits, such as 1 and 99"
)]
pub struct TooFine;

impl Quantity {
    /// The value in billionths.
    ///
    /// # Errors
    ///
    /// If the text is not a quantity, is negative, or has more digits than are read exactly.
    pub fn billionths(&self) -> Result<u128, InvalidQuantity> {
        match self {
            Self::Number(number) => Ok(u128::from(*number) * BILLION),
            Self::Text(text) if text.len() > LONGEST_BYTES => Err(InvalidQuantity::TooLong(text.len())),
            Self::Text(text) => billionths(text),
        }
    }
}

/// The smallest whole numbers with the ratios of `values`, which are in billionths, that keep whole values as they are.
///
/// `500m` and `1` become 1 and 2; `100` and `100` stay. Values too large for that are divided by what they have in
/// common.
///
/// # Errors
///
/// If the whole numbers would not fit.
pub fn whole_numbers(values: &[u128]) -> Result<Vec<u32>, TooFine> {
    // A denominator divides 10^9, so the least common multiple of all of them does, too.
    let factor = values.iter().fold(1, |factor, value| lcm(factor, BILLION / gcd(*value, BILLION)));
    let scaled = values.iter().map(|value| u32::try_from(value.checked_mul(factor)? / BILLION).ok());
    if let Some(scaled) = scaled.collect::<Option<Vec<_>>>() {
        return Ok(scaled);
    }
    let common = values.iter().fold(0, |common, value| gcd(common, *value)).max(1);
    values.iter().map(|value| u32::try_from(value / common).map_err(|_| TooFine)).collect()
}

fn gcd(a: u128, b: u128) -> u128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Of divisors of 10^9 only, so that it cannot overflow.
fn lcm(a: u128, b: u128) -> u128 {
    a / gcd(a, b) * b
}

fn billionths(text: &str) -> Result<u128, InvalidQuantity> {
    let syntax = || InvalidQuantity::Syntax(text.to_owned());
    if let Some(positive) = text.strip_prefix('-') {
        let positive = unsigned(positive, text).map_err(|_| syntax())?;
        return if positive == 0 { Ok(0) } else { Err(InvalidQuantity::Negative(text.to_owned())) };
    }
    unsigned(text.strip_prefix('+').unwrap_or(text), text)
}

/// The value of `unsigned`, which is `text` without its sign: another sign is none.
fn unsigned(unsigned: &str, text: &str) -> Result<u128, InvalidQuantity> {
    let syntax = || InvalidQuantity::Syntax(text.to_owned());
    let range = || InvalidQuantity::Range(text.to_owned());
    let end = unsigned.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(unsigned.len());
    let (number, suffix) = unsigned.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(syntax());
    }
    let (power_of_ten, factor) = scale(suffix).ok_or_else(syntax)?;

    let digits = format!("{}{}", whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let digits = digits.trim_start_matches('0');
    if digits.len() > DIGITS {
        return Err(range());
    }
    if digits.is_empty() {
        return Ok(0);
    }
    let mantissa: u128 = digits.parse().map_err(|_| syntax())?;
    let mantissa = mantissa.checked_mul(factor).ok_or_else(range)?;
    // A fraction's digits count from the right; the result is in billionths, 10^-9.
    let exponent = power_of_ten + 9 - i32::try_from(fraction.trim_end_matches('0').len()).map_err(|_| range())?;
    let power = 10_u128.checked_pow(exponent.unsigned_abs()).ok_or_else(range)?;
    if exponent >= 0 {
        // Weights are compared and scaled in 128 bits; 10^36 leaves room for both.
        mantissa.checked_mul(power).filter(|value| *value <= 10_u128.pow(36)).ok_or_else(range)
    } else if mantissa % power == 0 {
        Ok(mantissa / power)
    } else {
        Err(range())
    }
}

/// What a suffix multiplies by: a power of ten and a factor.
fn scale(suffix: &str) -> Option<(i32, u128)> {
    Some(match suffix {
        "n" => (-9, 1),
        "u" => (-6, 1),
        "m" => (-3, 1),
        "" => (0, 1),
        "k" => (3, 1),
        "M" => (6, 1),
        "G" => (9, 1),
        "T" => (12, 1),
        "P" => (15, 1),
        "E" => (18, 1),
        "Ki" => (0, 1 << 10),
        "Mi" => (0, 1 << 20),
        "Gi" => (0, 1 << 30),
        "Ti" => (0, 1 << 40),
        "Pi" => (0, 1 << 50),
        "Ei" => (0, 1 << 60),
        exponent => {
            let digits = exponent.strip_prefix(['e', 'E'])?;
            let unsigned = digits.strip_prefix(['+', '-']).unwrap_or(digits);
            if unsigned.is_empty() || unsigned.len() > 2 || !unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            (digits.parse().ok()?, 1)
        }
    })
}

impl Serialize for Quantity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

impl<'de> Deserialize<'de> for Quantity {
    /// Refuses what is not a quantity.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let quantity = deserializer.deserialize_any(EitherSpelling)?;
        quantity.billionths().map_err(de::Error::custom)?;
        Ok(quantity)
    }
}

struct EitherSpelling;

impl Visitor<'_> for EitherSpelling {
    type Value = Quantity;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a quantity such as 10, \"10\" or \"500m\"")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Quantity, E> {
        Ok(Quantity::Number(number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Quantity, E> {
        u64::try_from(number)
            .map(Quantity::Number)
            .map_err(|_| E::custom(InvalidQuantity::Negative(number.to_string())))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Quantity, E> {
        Ok(Quantity::Text(text.to_owned()))
    }
}
