//! An amount of bytes, written by people.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Units with their size, largest first. As in SillyTavern, `kb` is 1024 bytes, like `KiB`.
const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// An amount of bytes. Reads a number of bytes, or text such as `64GiB`, `100mb`, `256 kb`, `12b`: one unit is 1024 of
/// the next smaller one, however it is spelt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// So many KiB.
    pub const fn kib(count: u64) -> Self {
        ByteSize(count << 10)
    }

    /// So many MiB.
    pub const fn mib(count: u64) -> Self {
        ByteSize(count << 20)
    }

    /// So many GiB.
    pub const fn gib(count: u64) -> Self {
        ByteSize(count << 30)
    }

    /// The number of bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }

    /// As one tells it to people: rounded, and in the unit that they count in.
    pub fn in_words(self) -> String {
        const SPOKEN: [&str; 4] = ["TB", "GB", "MB", "kB"];
        let Some(((_, size), unit)) = UNITS.iter().zip(SPOKEN).find(|((_, size), _)| self.0 >= *size) else {
            return format!("{} bytes", self.0);
        };
        let (whole, tenths) = (self.0 / size, self.0 % size * 10 / size);
        if whole < 10 && tenths > 0 { format!("{whole}.{tenths} {unit}") } else { format!("{whole} {unit}") }
    }
}

/// The text is not a [`ByteSize`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a size such as 64GiB, 100MB or a number of bytes, found the text \"{0}\"")]
pub struct ByteSizeError(String);

impl FromStr for ByteSize {
    type Err = ByteSizeError;

    fn from_str(text: &str) -> Result<Self, ByteSizeError> {
        let wrong = || ByteSizeError(super::origin::clip(text));
        let trimmed = text.trim();
        let digits = trimmed.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = trimmed.split_at(digits);
        let unit = match unit.trim_start().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "k" | "kb" | "kib" => 1 << 10,
            "m" | "mb" | "mib" => 1 << 20,
            "g" | "gb" | "gib" => 1 << 30,
            "t" | "tb" | "tib" => 1 << 40,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        number.checked_mul(unit).map(ByteSize).ok_or_else(wrong)
    }
}

/// The largest unit that leaves no rest, so that reading it back gives the same number.
impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size)) {
            Some((name, size)) => write!(f, "{}{name}", self.0 / size),
            None => write!(f, "{}b", self.0),
        }
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;

        impl de::Visitor<'_> for SizeVisitor {
            type Value = ByteSize;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a size such as 64GiB, 100MB or a number of bytes")
            }

            fn visit_u64<E>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                text.parse().map_err(E::custom)
            }
        }

        deserializer.deserialize_any(SizeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rstest::rstest;

    #[rstest]
    #[case("0", 0)]
    #[case("12b", 12)]
    #[case("256kb", 256 << 10)]
    #[case(" 8 MB ", 8 << 20)]
    #[case("64GiB", 64 << 30)]
    #[case("1t", 1 << 40)]
    fn reads(#[case] text: &str, #[case] bytes: u64) {
        assert_eq!(text.parse(), Ok(ByteSize(bytes)));
    }

    #[rstest]
    #[case(0, "0 bytes")]
    #[case(900, "900 bytes")]
    #[case(64 << 10, "64 kB")]
    #[case((1 << 20) + (1 << 19), "1.5 MB")]
    #[case(100 << 20, "100 MB")]
    #[case(u64::MAX, "16777215 TB")]
    fn is_told(#[case] bytes: u64, #[case] words: &str) {
        assert_eq!(ByteSize(bytes).in_words(), words);
    }

    #[rstest]
    #[case("")]
    #[case("GiB")]
    #[case("-1")]
    #[case("1.5GB")]
    #[case("1 parsec")]
    #[case("99999999999999999999")]
    #[case("17000000TiB")]
    fn refuses(#[case] text: &str) {
        let error = text.parse::<ByteSize>().unwrap_err().to_string();
        assert!(error.ends_with(&format!("found the text \"{text}\"")), "{error}");
    }

    proptest! {
        #[test]
        fn prints_what_it_reads(bytes: u64) {
            prop_assert_eq!(ByteSize(bytes).to_string().parse(), Ok(ByteSize(bytes)));
        }
    }
}
