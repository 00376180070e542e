//! Text made safe to look at: Markdown to HTML, sanitised. Cards and models are hostile input; this is the one place that
//! turns their words into markup.
//!
//! A text is cut into chunks, which are rendered and sanitised one by one: mostly one block each, several where raw HTML
//! holds them together. Where a chunk ends depends on nothing after the block that follows it, so a text that is still
//! growing needs only its last chunk rendered again ([`Incremental`]), and comes out as if it had been rendered whole.
//!
//! On the way every chunk goes through a sanitiser with a list of what may stay ([`clean`]). Whatever the steps before it
//! do, nothing gets past it.

mod chunks;
mod clean;
mod code;
mod incremental;
mod raw;
mod speech;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub use incremental::Incremental;
pub use words::words;

/// Texts above this are shown as they are, in bytes: nobody reads them for their headings, and no parser gets to dwell on
/// them.
const LIMIT: usize = 256 * 1024;

/// A text as safe HTML: Markdown with tables, strikethrough and task lists, where each line break is one, quoted speech is
/// set apart (`<span class="said">`), bare addresses become links, pictures from elsewhere become links too, and code has
/// colours (`<span class="hl-…">`).
pub fn markdown(text: &str) -> String {
    let mut whole = Incremental::default();
    whole.push(text);
    whole.finish()
}

/// A text as it is, line breaks kept.
fn plain(text: &str) -> String {
    let mut html = String::with_capacity(text.len() + text.len() / 16 + 32);
    html.push_str("<p>");
    for (n, line) in text.lines().enumerate() {
        if n > 0 {
            html.push_str("<br>");
        }
        escape(line, &mut html);
    }
    html.push_str("</p>");
    html
}

/// Appends `text` so that it stays text, between tags and in quoted attributes.
fn escape(text: &str, html: &mut String) {
    let mut from = 0;
    for (at, byte) in text.bytes().enumerate() {
        let instead = match byte {
            b'&' => "&amp;",
            b'<' => "&lt;",
            b'>' => "&gt;",
            b'"' => "&quot;",
            b'\'' => "&#39;",
            0 => "\u{fffd}",
            _ => continue,
        };
        html.push_str(&text[from..at]);
        html.push_str(instead);
        from = at + 1;
    }
    html.push_str(&text[from..]);
}
