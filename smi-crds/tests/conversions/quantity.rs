//! Quantities as weights.

use smi_crds::{InvalidQuantity, Quantity, TooFine, whole_numbers};

const BILLION: u128 = 1_000_000_000;

const MILLION: u128 = 1_000_000;

#[test]
fn reads_quantities_exactly() {
    for (name, text, want) in [
        ("whole", "1", BILLION),
        ("thousandths", "500m", 500 * MILLION),
        ("a thousand thousandths", "1000m", BILLION),
        ("fraction", "0.5", 500 * MILLION),
        ("fraction without a whole", ".5", 500 * MILLION),
        ("whole with a dot", "5.", 5 * BILLION),
        ("sign", "+2", 2 * BILLION),
        ("leading zeros", "0010", 10 * BILLION),
        ("zero", "0", 0),
        ("zero thousandths", "0m", 0),
        ("minus zero", "-0", 0),
        ("billionths", "1n", 1),
        ("millionths", "1u", 1000),
        ("thousand", "1k", 1000 * BILLION),
        ("binary thousand", "1Ki", 1024 * BILLION),
        ("exponent", "1e3", 1000 * BILLION),
        ("negative exponent", "5E-1", 500 * MILLION),
        ("exa is no exponent", "1E", 1_000_000_000 * BILLION * BILLION),
        ("fraction with suffix", "0.25k", 250 * BILLION),
    ] {
        assert_eq!(Quantity::Text(text.to_owned()).billionths(), Ok(want), "{name}");
    }
}

#[test]
fn refuses_what_is_no_weight() {
    let syntax = |text: &str| InvalidQuantity::Syntax(text.to_owned());
    let range = |text: &str| InvalidQuantity::Range(text.to_owned());
    let (long, dashes) = ("0".repeat(65), "-".repeat(3_000_000));
    for (name, text, want) in [
        ("word", "abc", syntax("abc")),
        ("empty", "", syntax("")),
        ("dot", ".", syntax(".")),
        ("two dots", "1.2.3", syntax("1.2.3")),
        ("percent", "10%", syntax("10%")),
        ("space", " 1", syntax(" 1")),
        ("unknown suffix", "1x", syntax("1x")),
        ("exponent without digits", "1e+", syntax("1e+")),
        ("exponent of three digits", "1e100", syntax("1e100")),
        ("negative", "-1", InvalidQuantity::Negative("-1".to_owned())),
        ("two signs", "--1", syntax("--1")),
        ("two other signs", "-+1", syntax("-+1")),
        ("plus and minus", "+-1", syntax("+-1")),
        ("minus zero with two signs", "--0", syntax("--0")),
        ("longer than anybody writes", &long, InvalidQuantity::TooLong(65)),
        ("dashes that would fill any stack", &dashes, InvalidQuantity::TooLong(3_000_000)),
        ("finer than billionths", "0.5n", range("0.5n")),
        ("too many digits", "1234567890123456789", range("1234567890123456789")),
        ("too large", "9999999999E", range("9999999999E")),
        ("far too large", "1e99", range("1e99")),
    ] {
        assert_eq!(Quantity::Text(text.to_owned()).billionths(), Err(want), "{name}");
    }
}

#[test]
fn finds_whole_numbers_of_the_same_ratios() {
    let whole = |texts: &[&str]| {
        let value = |text: &&str| Quantity::Text((*text).to_owned()).billionths().expect(text);
        let values = texts.iter().map(value).collect::<Vec<_>>();
        whole_numbers(&values)
    };
    for (name, texts, want) in [
        ("none", &[][..], &[][..]),
        ("half to one", &["500m", "1"], &[1, 2]),
        ("tenths", &["100m", "900m"], &[1, 9]),
        ("mixed spellings", &["0.25", "1000m", "50e-2"], &[1, 4, 2]),
        ("whole numbers stay", &["100", "100"], &[100, 100]),
        ("as Argo writes", &["0", "1000m"], &[0, 1]),
        ("all zero", &["0", "0m"], &[0, 0]),
        ("greatest", &["4294967295", "1"], &[u32::MAX, 1]),
        ("too large, with a common divisor", &["5G", "10G"], &[1, 2]),
        ("too large alone", &["1E"], &[1]),
    ] {
        assert_eq!(whole(texts).as_deref(), Ok(want), "{name}");
    }
    for (name, texts) in [
        ("one above the greatest", &["4294967296", "1"][..]),
        ("too fine", &["1n", "5"]),
        ("too far apart", &["1n", "1E"]),
    ] {
        assert_eq!(whole(texts), Err(TooFine), "{name}");
    }
}
