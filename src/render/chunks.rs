//! Where a text can be cut so that each part can be rendered by itself.

use pulldown_cmark::{Event, Options, Parser};

use super::raw;

/// Raw HTML that is never closed holds together no more than this, in bytes.
const HELD: usize = 16 * 1024;

/// What of Markdown is understood.
pub(super) fn options() -> Options {
    Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS
}

/// Where the chunks of `text` end that nothing after them can change any more. The last one, which ends with the text, is
/// not among them.
///
/// Markdown is read line by line, and a block that has been followed by another is never opened again. So only whole lines
/// count, and the last block stays open.
pub(super) fn settled(text: &str) -> Vec<usize> {
    let Some(lines) = text.rfind('\n').map(|at| &text[..=at]) else { return Vec::new() };
    let mut ends = Vec::new();
    let (mut depth, mut held, mut begin) = (0_usize, 0_i32, None);
    for (event, range) in Parser::new_ext(lines, options()).into_offset_iter() {
        if depth == 0 && !matches!(event, Event::End(_)) {
            // Indentation belongs to the block: four spaces make code.
            let start = lines[..range.start].rfind(['\n', '\r']).map_or(0, |at| at + 1);
            match begin {
                None => begin = Some(0),
                Some(begun) if start > begun && (held <= 0 || start - begun > HELD) => {
                    ends.push(start);
                    (begin, held) = (Some(start), 0);
                }
                Some(_) => {}
            }
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            Event::Html(html) | Event::InlineHtml(html) => held += raw::opened(&html),
            _ => {}
        }
    }
    ends
}
