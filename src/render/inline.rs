//! One line of text: names, snippets, titles.

use pulldown_cmark::{Event, Parser, Tag, TagEnd};

use super::chunks::options;
use super::escape;

/// Longer than any line that is shown as one, in bytes.
const LINE: usize = 4096;
/// Put before the line, so that `1.`, `#` or `-` at its beginning are what somebody wrote; taken off again afterwards.
const WORD: char = '\u{2060}';

/// A short text as safe HTML in one line: emphasis, strikethrough and code, nothing else. Links and raw HTML are shown as the
/// words that they are.
pub fn inline(text: &str) -> String {
    let mut line = String::from(WORD);
    for word in text.split_whitespace() {
        if line.len() + word.len() > LINE {
            line.push('…');
            break;
        }
        if line.len() > WORD.len_utf8() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let mut html = String::with_capacity(line.len());
    let mut depth = 0_usize;
    for event in Parser::new_ext(&line, options()) {
        match event {
            Event::Start(tag) => {
                depth += 1;
                html.push_str(if depth > 8 { "" } else { opening(&tag) });
            }
            Event::End(tag) => {
                html.push_str(if depth > 8 { "" } else { closing(tag) });
                depth = depth.saturating_sub(1);
            }
            Event::Text(text) | Event::Html(text) | Event::InlineHtml(text) => {
                escape(text.trim_start_matches(WORD), &mut html);
            }
            Event::Code(code) => {
                html.push_str("<code>");
                escape(&code, &mut html);
                html.push_str("</code>");
            }
            Event::SoftBreak | Event::HardBreak => html.push(' '),
            _ => {}
        }
    }
    html
}

fn opening(tag: &Tag<'_>) -> &'static str {
    match tag {
        Tag::Emphasis => "<em>",
        Tag::Strong => "<strong>",
        Tag::Strikethrough => "<del>",
        _ => "",
    }
}

fn closing(tag: TagEnd) -> &'static str {
    match tag {
        TagEnd::Emphasis => "</em>",
        TagEnd::Strong => "</strong>",
        TagEnd::Strikethrough => "</del>",
        _ => "",
    }
}
