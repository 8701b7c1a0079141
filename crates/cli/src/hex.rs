//! Bytes as hexadecimal digits.

use std::fmt::Write as _;

/// The bytes that `text` stands for: pairs of digits, with white space anywhere between them.
///
/// # Errors
///
/// What is wrong with it, in words.
pub(crate) fn decode(text: &str) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut high = None;
    for character in text.chars().filter(|character| !character.is_whitespace()) {
        let Some(digit) = character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()) else {
            return Err(format!("{character:?} is no hexadecimal digit"));
        };
        match high.take() {
            None => high = Some(digit),
            Some(high) => bytes.push(high << 4 | digit),
        }
    }
    if high.is_some() { Err("an odd number of hexadecimal digits".into()) } else { Ok(bytes) }
}

/// `bytes` as pairs of digits.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_there_and_back() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&bytes)), Ok(bytes));
        assert_eq!(decode(" 0A ff\t"), Ok(vec![10, 255]));
        assert!(decode("0").is_err());
        assert!(decode("0g").is_err());
    }
}
