//! Example conversations of a card.

/// The examples in a card's field, each beginning with `<START>`; `{{char}}:` and `{{user}}:` in them are left for the
/// macros.
pub fn blocks(field: &str) -> Vec<&str> {
    let mut blocks = Vec::new();
    let (mut from, mut at) = (0, 0);
    while let Some(found) = field[at..].find('<') {
        at += found;
        let mark = field.as_bytes().get(at..at + 7);
        if mark.is_some_and(|mark| mark.eq_ignore_ascii_case(b"<START>")) {
            blocks.push(field[from..at].trim());
            at += 7;
            from = at;
        } else {
            at += 1;
        }
    }
    blocks.push(field[from..].trim());
    blocks.retain(|block| !block.is_empty());
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("", &[])]
    #[case("<START>", &[])]
    #[case("<START>\n{{char}}: Hi\n<start>\n{{user}}: Yo\n", &["{{char}}: Hi", "{{user}}: Yo"])]
    #[case("No mark <STAR", &["No mark <STAR"])]
    #[case("é<START>ü", &["é", "ü"])]
    fn are_split(#[case] field: &str, #[case] expected: &[&str]) {
        assert_eq!(blocks(field), expected);
    }
}
