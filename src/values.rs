//! How much there is in a JSON text, told before it is read: in memory a value takes thirty times its two bytes.

/// How many values there are at most, those within others included.
pub fn count(json: &[u8]) -> usize {
    let (mut values, mut in_text, mut is_escaped) = (1, false, false);
    for byte in json {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = in_text,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("1", 1)]
    #[case("[1,2,3]", 4)]
    #[case("[[[[", 5)]
    #[case(r#"{"a":1,"b":{"c":2}}"#, 4)]
    #[case(r#"["[,{\",[",1]"#, 3)]
    #[case("", 1)]
    fn values_are_counted_and_words_are_not(#[case] json: &str, #[case] values: usize) {
        assert_eq!(count(json.as_bytes()), values);
    }
}
