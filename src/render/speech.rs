//! What somebody says aloud, set apart from what happens around it: “…”, "…", «…», 「…」.

use pulldown_cmark::{Event, Tag};

/// Where speech begins (before its first quotation mark) or ends (after its last).
pub(super) struct Mark {
    /// Which event.
    pub(super) event: usize,
    /// Where in its text, in bytes.
    pub(super) at: usize,
    /// Whether it begins here.
    pub(super) begins: bool,
}

/// A quotation mark that waits for its partner.
#[derive(Clone, Copy)]
struct Opening {
    event: usize,
    at: usize,
    closing: char,
}

/// Finds speech: a pair of quotation marks on one line, on one level (both inside or both outside of `*…*`).
pub(super) fn find(events: &[Event<'_>]) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut levels: Vec<Option<Opening>> = vec![None];
    // Within code, links and pictures.
    let mut deaf = 0_usize;
    for (n, event) in events.iter().enumerate() {
        match event {
            Event::Start(tag) => {
                levels.push(None);
                deaf += usize::from(deaf > 0 || is_deaf(tag));
            }
            Event::End(_) => {
                levels.pop();
                deaf = deaf.saturating_sub(1);
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some(top) = levels.last_mut() {
                    *top = None;
                }
            }
            Event::Text(text) if deaf == 0 => {
                if let Some(top) = levels.last_mut() {
                    in_text(n, text, top, &mut marks);
                }
            }
            _ => {}
        }
    }
    marks.sort_by_key(|mark| (mark.event, mark.at));
    marks
}

fn is_deaf(tag: &Tag<'_>) -> bool {
    matches!(tag, Tag::CodeBlock(_) | Tag::HtmlBlock | Tag::Link { .. } | Tag::Image { .. })
}

fn in_text(event: usize, text: &str, open: &mut Option<Opening>, marks: &mut Vec<Mark>) {
    let mut before = None;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let last = before.replace(c);
        if let Some(opening) = open.filter(|opening| opening.closing == c)
            && !last.is_some_and(char::is_whitespace)
        {
            marks.push(Mark { event: opening.event, at: opening.at, begins: true });
            marks.push(Mark { event, at: at + c.len_utf8(), begins: false });
            *open = None;
            continue;
        }
        let Some(closing) = partner(c) else { continue };
        let next = chars.peek().map(|(_, next)| *next);
        // 6'2" is no speech, and neither is a mark that stands alone.
        if last.is_some_and(char::is_alphanumeric) || next.is_some_and(char::is_whitespace) {
            continue;
        }
        if open.is_none() || c != '"' {
            *open = Some(Opening { event, at, closing });
        }
    }
}

fn partner(c: char) -> Option<char> {
    Some(match c {
        '"' => '"',
        '“' => '”',
        '„' => '“',
        '«' => '»',
        '»' => '«',
        '「' => '」',
        '『' => '』',
        _ => return None,
    })
}
