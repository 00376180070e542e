//! The first words of a text, for a list: what one would read aloud, without marks and on one line.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::{chunks, raw};

/// How many times as long as what is shown a text may be looked through for it: marks take room, too.
const LOOK: usize = 8;

/// The beginning of a text without its Markdown and tags, at most so many bytes (and an ellipsis), ending with a whole word.
pub fn words(text: &str, most: usize) -> String {
    let near = &text[..text.floor_char_boundary(most.saturating_mul(LOOK))];
    let (mut said, mut block) = (String::new(), None::<String>);
    for event in Parser::new_ext(near, chunks::options()) {
        match event {
            Event::Start(Tag::HtmlBlock) => block = Some(String::new()),
            Event::End(TagEnd::HtmlBlock) => raw::words(&block.take().unwrap_or_default(), &mut said),
            Event::Html(html) | Event::InlineHtml(html) => match &mut block {
                Some(block) => block.push_str(&html),
                None => raw::words(&html, &mut said),
            },
            Event::Text(text) | Event::Code(text) => said.push_str(&text),
            Event::SoftBreak | Event::HardBreak | Event::Rule => said.push(' '),
            Event::End(end) if !is_within_a_line(end) => said.push(' '),
            _ => {}
        }
        if said.len() > most * 2 {
            break;
        }
    }
    one_line(&said, most, near.len() < text.len())
}

fn is_within_a_line(end: TagEnd) -> bool {
    matches!(end, TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image)
}

/// `more`: there is more than this.
fn one_line(said: &str, most: usize, more: bool) -> String {
    let mut line = String::new();
    for word in said.split_whitespace() {
        let gap = usize::from(!line.is_empty());
        if line.len() + gap + word.len() > most {
            // Nothing at all would be less than a part of a word.
            if line.is_empty() {
                line.push_str(&word[..word.floor_char_boundary(most)]);
            }
            line.push('…');
            return line;
        }
        if gap > 0 {
            line.push(' ');
        }
        line.push_str(word);
    }
    if more && !line.is_empty() {
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("*She smiles.* \"Come **in**, ~~you~~ friend.\"", "She smiles. \"Come in, you friend.\"")]
    #[case("# The inn\n\nA `door`.\nOpen.", "The inn A door. Open.")]
    #[case("- one\n- two\n\n> three", "one two three")]
    #[case("[a road](https://x.invalid/) ![a *map*](y.png)", "a road a map")]
    #[case("<b>Bold</b><br>and <sighs> &amp; more", "Bold and <sighs> & more")]
    #[case("<!-- not\n\nsaid -->\n\nSaid.", "Said.")]
    #[case("<style>\np { color: red }\n</style>\n\nWords", "Words")]
    #[case("| a | b |\n|---|---|\n| 1 | 2 |", "a b 1 2")]
    #[case("2 * 3 * 4 = snake_case_word", "2 * 3 * 4 = snake_case_word")]
    #[case("  \n ", "")]
    fn marks_are_not_said(#[case] text: &str, #[case] expected: &str) {
        assert_eq!(words(text, 300), expected);
    }

    #[test]
    fn a_word_is_whole_and_what_is_left_out_is_told() {
        assert_eq!(words("The lantern swings over the door", 14), "The lantern…");
        assert_eq!(words("äöüäöüäöü and more", 5), "äö…");
        assert_eq!(words("exactly this", 12), "exactly this");
        let long = "word ".repeat(10_000);
        assert!(words(&long, 300).len() < 310);
    }

    proptest::proptest! {
        #[test]
        fn it_is_one_line_and_never_longer(text in "(\\PC|[*_<>`#\\[\\]()&!\\n -]){0,200}", most in 0..80usize) {
            let line = words(&text, most);
            proptest::prop_assert!(line.len() <= most + "…".len(), "{line:?}");
            proptest::prop_assert!(!line.contains('\n'), "{line:?}");
        }
    }
}
