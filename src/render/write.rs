//! One chunk of Markdown as HTML.

use std::borrow::Cow;

use pulldown_cmark::{Alignment, CodeBlockKind, Event, Parser, Tag, TagEnd, TextMergeStream};

use super::speech::{self, Mark};
use super::{chunks, clean, code, escape, raw};

/// Deeper than this, tags are left out and their content stays.
const DEPTH: usize = 32;
/// Code that is still coming in stays plain above this, in bytes: it would be coloured anew with every look.
const GROWING_CODE: usize = 4 * 1024;

/// Renders a chunk, safely. `growing`: more of it may come.
pub(super) fn chunk(text: &str, growing: bool) -> String {
    if text.trim().is_empty() {
        return String::new();
    }
    let text = without_definitions(text);
    let events: Vec<Event<'_>> = TextMergeStream::new(Parser::new_ext(&text, chunks::options())).collect();
    let mut writer = Writer { growing, marks: speech::find(&events), ..Writer::default() };
    for (n, event) in events.iter().enumerate() {
        writer.write(n, event);
    }
    clean::clean(&writer.html)
}

/// `[1]: https://…` on a line of its own is a footnote to its writer, and nothing at all to Markdown, which would not show it;
/// here it is shown. (It could not name links in chunks that are long rendered.)
fn without_definitions(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    // What follows one that has become text could become one in turn, but not for long.
    for _ in 0..4 {
        let parser = Parser::new_ext(&text, chunks::options());
        let mut starts: Vec<usize> = parser.reference_definitions().iter().map(|(_, found)| found.span.start).collect();
        if starts.is_empty() {
            break;
        }
        starts.sort_unstable();
        let mut with = String::with_capacity(text.len() + starts.len());
        let mut from = 0;
        for start in starts {
            with.push_str(&text[from..start]);
            with.push('\\');
            from = start;
        }
        with.push_str(&text[from..]);
        text = Cow::Owned(with);
    }
    text
}

#[derive(Default)]
struct Writer {
    html: String,
    growing: bool,
    marks: Vec<Mark>,
    /// Which of the marks comes next.
    mark: usize,
    depth: usize,
    /// How deep in links and pictures, where text is no further link.
    linked: usize,
    /// The language and text of the code that is being read.
    code: Option<(String, String)>,
    /// The words of the picture that is being read; its inner pictures count.
    picture: Option<(usize, String, String)>,
    /// Raw HTML of a block, which comes line by line.
    block: Option<String>,
    columns: Vec<Alignment>,
    column: usize,
    in_head: bool,
    budget: raw::Budget,
}

impl Writer {
    fn write(&mut self, n: usize, event: &Event<'_>) {
        if self.in_picture(event) || self.in_code(event) {
            return;
        }
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(*tag),
            Event::Text(text) => self.text(n, text),
            Event::Code(code) => {
                self.html.push_str("<code>");
                escape(code, &mut self.html);
                self.html.push_str("</code>");
            }
            Event::Html(html) | Event::InlineHtml(html) => match &mut self.block {
                Some(block) => block.push_str(html),
                None => self.budget.tame(html, &mut self.html),
            },
            Event::SoftBreak | Event::HardBreak => self.html.push_str("<br>"),
            Event::Rule => self.html.push_str("<hr>"),
            Event::TaskListMarker(done) => self.html.push_str(if *done { "☑ " } else { "☐ " }),
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                escape(text, &mut self.html);
            }
        }
    }

    /// Words of a picture are gathered until it ends.
    fn in_picture(&mut self, event: &Event<'_>) -> bool {
        let Some((depth, source, alt)) = &mut self.picture else { return false };
        match event {
            Event::Start(Tag::Image { .. }) => *depth += 1,
            Event::End(TagEnd::Image) if *depth > 0 => *depth -= 1,
            Event::End(TagEnd::Image) => {
                self.html.push_str("<img src=\"");
                escape(source, &mut self.html);
                self.html.push_str("\" alt=\"");
                escape(alt, &mut self.html);
                self.html.push_str("\">");
                self.picture = None;
            }
            Event::Text(text) | Event::Code(text) => alt.push_str(text),
            Event::SoftBreak | Event::HardBreak => alt.push(' '),
            _ => {}
        }
        true
    }

    /// And so is code.
    fn in_code(&mut self, event: &Event<'_>) -> bool {
        let Some((_, code)) = &mut self.code else { return false };
        match event {
            Event::Text(text) => code.push_str(text),
            Event::End(_) => {
                if let Some((language, code)) = self.code.take() {
                    self.code_block(&language, &code);
                }
            }
            _ => {}
        }
        true
    }

    fn code_block(&mut self, language: &str, code: &str) {
        self.html.push_str("<pre");
        if !language.is_empty() {
            self.html.push_str(" data-lang=\"");
            escape(language, &mut self.html);
            self.html.push('"');
        }
        self.html.push_str("><code>");
        if self.growing && code.len() > GROWING_CODE {
            escape(code, &mut self.html);
        } else {
            code::highlight(code, language, &mut self.html);
        }
        self.html.push_str("</code></pre>");
    }

    fn start(&mut self, tag: &Tag<'_>) {
        match tag {
            Tag::CodeBlock(kind) => {
                let language = match kind {
                    CodeBlockKind::Fenced(info) => info.split([' ', ',', '{']).next().unwrap_or_default().to_owned(),
                    CodeBlockKind::Indented => String::new(),
                };
                self.code = Some((language, String::new()));
                return;
            }
            Tag::Image { dest_url, .. } => {
                self.picture = Some((0, dest_url.to_string(), String::new()));
                return;
            }
            _ => {}
        }
        self.depth += 1;
        if self.depth > DEPTH {
            return;
        }
        match tag {
            Tag::Heading { level, .. } => self.tag("h", &heading(*level as usize)),
            Tag::List(Some(first)) => {
                self.html.push_str(&format!("<ol start=\"{first}\">"));
            }
            Tag::Table(columns) => {
                self.columns.clone_from(columns);
                self.html.push_str("<table>");
            }
            Tag::TableHead => {
                (self.in_head, self.column) = (true, 0);
                self.html.push_str("<thead><tr>");
            }
            Tag::TableRow => {
                self.column = 0;
                self.html.push_str("<tr>");
            }
            Tag::TableCell => self.cell(),
            Tag::Link { link_type: _, dest_url, title, .. } => {
                self.linked += 1;
                let mail = if dest_url.contains('@') && !dest_url.contains(':') { "mailto:" } else { "" };
                self.html.push_str(&format!("<a href=\"{mail}"));
                escape(dest_url, &mut self.html);
                if !title.is_empty() {
                    self.html.push_str("\" title=\"");
                    escape(title, &mut self.html);
                }
                self.html.push_str("\">");
            }
            Tag::HtmlBlock => self.block = Some(String::new()),
            tag => {
                if let Some(name) = name(tag.to_end()) {
                    self.tag(name, "");
                }
            }
        }
    }

    fn tag(&mut self, name: &str, more: &str) {
        self.html.push('<');
        self.html.push_str(name);
        self.html.push_str(more);
        self.html.push('>');
    }

    fn cell(&mut self) {
        let align = match self.columns.get(self.column) {
            Some(Alignment::Right) => " align=\"right\"",
            Some(Alignment::Center) => " align=\"center\"",
            Some(Alignment::Left) => " align=\"left\"",
            _ => "",
        };
        self.column += 1;
        self.tag(if self.in_head { "th" } else { "td" }, align);
    }

    fn end(&mut self, tag: TagEnd) {
        let too_deep = self.depth > DEPTH;
        self.depth = self.depth.saturating_sub(1);
        if too_deep {
            return;
        }
        match tag {
            TagEnd::Heading(level) => self.tag("/h", &heading(level as usize)),
            TagEnd::List(true) => self.html.push_str("</ol>"),
            TagEnd::Table => self.html.push_str("</tbody></table>"),
            TagEnd::TableHead => {
                self.in_head = false;
                self.html.push_str("</tr></thead><tbody>");
            }
            TagEnd::TableRow => self.html.push_str("</tr>"),
            TagEnd::TableCell => self.html.push_str(if self.in_head { "</th>" } else { "</td>" }),
            TagEnd::Link => {
                self.linked = self.linked.saturating_sub(1);
                self.html.push_str("</a>");
            }
            TagEnd::HtmlBlock => {
                if let Some(block) = self.block.take() {
                    self.budget.tame(&block, &mut self.html);
                }
            }
            tag => {
                if let Some(name) = name(tag) {
                    self.tag("/", name);
                }
            }
        }
    }

    /// Text, with the marks of speech in it.
    fn text(&mut self, n: usize, text: &str) {
        let mut from = 0;
        while let Some(mark) = self.marks.get(self.mark).filter(|mark| mark.event <= n) {
            self.mark += 1;
            if mark.event < n {
                continue;
            }
            let (at, begins) = (mark.at, mark.begins);
            self.words(&text[from..at]);
            self.html.push_str(if begins { "<span class=\"said\">" } else { "</span>" });
            from = at;
        }
        self.words(&text[from..]);
    }

    /// Text, with the bare addresses in it as links.
    fn words(&mut self, mut text: &str) {
        while self.linked == 0
            && let Some((at, end)) = address(text)
        {
            escape(&text[..at], &mut self.html);
            self.html.push_str("<a href=\"");
            escape(&text[at..end], &mut self.html);
            self.html.push_str("\">");
            escape(&text[at..end], &mut self.html);
            self.html.push_str("</a>");
            text = &text[end..];
        }
        escape(text, &mut self.html);
    }
}

/// The page's own headings come first: those of a text begin below them.
fn heading(level: usize) -> String {
    (level + 2).min(6).to_string()
}

fn name(tag: TagEnd) -> Option<&'static str> {
    Some(match tag {
        TagEnd::Paragraph => "p",
        TagEnd::BlockQuote(_) => "blockquote",
        TagEnd::List(_) => "ul",
        TagEnd::Item => "li",
        TagEnd::Emphasis => "em",
        TagEnd::Strong => "strong",
        TagEnd::Strikethrough => "del",
        _ => return None,
    })
}

/// Where the first address of the web is in a text.
fn address(text: &str) -> Option<(usize, usize)> {
    let mut from = 0;
    while let Some(found) = text[from..].find("http") {
        let at = from + found;
        let rest = &text[at..];
        let start = ["https://", "http://"].into_iter().find(|start| rest.starts_with(start));
        let in_word = text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
        if let Some(start) = start.filter(|_| !in_word) {
            let stop = |c: char| c.is_whitespace() || c.is_control() || "<>\"“”«»「」`".contains(c);
            let end = rest.find(stop).unwrap_or(rest.len());
            let end = trimmed(&rest[..end]);
            if end > start.len() {
                return Some((at, at + end));
            }
        }
        from = at + "http".len();
    }
    None
}

/// A sentence's own marks at the end are no part of the address, but brackets that it opened are.
fn trimmed(address: &str) -> usize {
    let count = |bracket: char| address.matches(bracket).count();
    let (mut round, mut square) = (count(')').saturating_sub(count('(')), count(']').saturating_sub(count('[')));
    let mut end = address.len();
    while let Some(last) = address[..end].chars().next_back() {
        match last {
            '.' | ',' | ';' | ':' | '!' | '?' | '\'' | '*' | '_' | '~' | '…' => {}
            ')' if round > 0 => round -= 1,
            ']' if square > 0 => square -= 1,
            _ => break,
        }
        end -= last.len_utf8();
    }
    end
}
