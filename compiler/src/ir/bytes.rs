//! Bytes as text: two hexadecimal digits each.

use serde::{Deserializer, Serializer, de};
use std::fmt;

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

pub(super) fn serialize<S: Serializer>(bytes: &impl AsRef<[u8]>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&Hex(bytes.as_ref()))
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, T: FromIterator<u8>>(
    deserializer: D,
) -> Result<T, D::Error> {
    struct Visitor<T>(std::marker::PhantomData<T>);

    impl<T: FromIterator<u8>> de::Visitor<'_> for Visitor<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("bytes, as two hexadecimal digits each")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
            let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let byte = |pair: &[u8]| match pair {
                &[high, low] => Some(digit(high)? << 4 | digit(low)?),
                _ => None,
            };
            let bytes = text.as_bytes().chunks(2).map(byte).collect::<Option<T>>();
            bytes.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
        }
    }

    deserializer.deserialize_str(Visitor(std::marker::PhantomData))
}
