//! Scalars, resolved as Kubernetes resolves them.
//!
//! Its tools read YAML 1.1: plain `yes`, `no`, `on`, `off`, `y` and `n` are booleans, a leading zero is octal. A label
//! `app: on` is therefore refused as a boolean there, and here, and must be quoted.

use serde_json::Number;

/// What a scalar is. Its text stands beside it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Scalar {
    Null,
    Bool(bool),
    Number(Number),
    Text,
}

/// What a scalar without quotes and without a tag is.
pub(super) fn plain(text: &str) -> Scalar {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Scalar::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            return Scalar::Bool(true);
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            return Scalar::Bool(false);
        }
        _ => {}
    }
    if !text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c)) {
        return Scalar::Text;
    }
    let digits = text.replace('_', "");
    integer(&digits).or_else(|| float(&digits)).map_or(Scalar::Text, Scalar::Number)
}

fn integer(text: &str) -> Option<Number> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        Some(_) if digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    // The standard parser would take a second sign.
    if !digits.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return None;
    }
    let magnitude = u64::from_str_radix(digits, radix).ok()?;
    if negative { 0i64.checked_sub_unsigned(magnitude).map(Number::from) } else { Some(magnitude.into()) }
}

/// Digits with a point, an exponent or both, as JSON can hold them.
fn float(text: &str) -> Option<Number> {
    let is_part = |c: char| c.is_ascii_digit() || ".eE+-".contains(c);
    if !text.chars().all(is_part) || !text.contains(|c: char| c.is_ascii_digit()) {
        return None;
    }
    Number::from_f64(text.parse().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn plain_scalars_resolve_as_in_yaml_1_1() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("on", json!(true)),
            ("No", json!(false)),
            ("nO", json!("nO")),
            ("80", json!(80)),
            ("-1", json!(-1)),
            ("+1", json!(1)),
            ("0", json!(0)),
            ("0x1f", json!(31)),
            ("0o17", json!(15)),
            ("017", json!(15)),
            ("1_000", json!(1000)),
            ("089", json!(89.0)),
            ("1.10", json!(1.1)),
            ("1e3", json!(1000.0)),
            (".5", json!(0.5)),
            ("1.2.3", json!("1.2.3")),
            ("10.0.0.0/8", json!("10.0.0.0/8")),
            ("--1", json!("--1")),
            ("-", json!("-")),
            ("+-1", json!("+-1")),
            (".", json!(".")),
            ("-é", json!("-é")),
            ("0é", json!("0é")),
            (".inf", json!(".inf")),
            ("1e999", json!("1e999")),
            ("2026-01-02", json!("2026-01-02")),
            ("web", json!("web")),
        ] {
            let read = match plain(text) {
                Scalar::Null => Value::Null,
                Scalar::Bool(value) => value.into(),
                Scalar::Number(value) => value.into(),
                Scalar::Text => text.into(),
            };
            assert_eq!(read, value, "{text:?}");
        }
    }
}
