//! HTML that stands in a text as it is. Safety is the sanitiser's; here is what makes the result readable, and bounded.

/// What is an element of HTML. Anything else in angle brackets is something that somebody wrote, like `<sighs>`.
#[rustfmt::skip]
const KNOWN: [&str; 124] = [
    "a", "abbr", "acronym", "address", "applet", "area", "article", "aside", "audio", "b", "base", "bdi", "bdo", "big",
    "blockquote", "body", "br", "button", "canvas", "caption", "center", "cite", "code", "col", "colgroup", "data",
    "datalist", "dd", "del", "details", "dfn", "dialog", "dir", "div", "dl", "dt", "em", "embed", "fieldset", "figcaption",
    "figure", "font", "footer", "form", "frame", "frameset", "h1", "h2", "h3", "h4", "h5", "h6", "head", "header", "hr",
    "html", "i", "iframe", "img", "input", "ins", "kbd", "label", "legend", "li", "link", "main", "map", "mark", "marquee",
    "math", "menu", "meta", "meter", "nav", "noscript", "object", "ol", "optgroup", "option", "output", "p", "param",
    "picture", "pre", "progress", "q", "rp", "rt", "ruby", "s", "samp", "script", "section", "select", "small", "source",
    "span", "strike", "strong", "style", "sub", "summary", "sup", "svg", "table", "tbody", "td", "template", "textarea",
    "tfoot", "th", "thead", "time", "title", "tr", "track", "tt", "u",
    "ul", "var", "video", "wbr", "xmp",
];
/// Those that hold the blocks between their tags together.
const HOLDING: [&str; 5] = ["details", "table", "ul", "ol", "blockquote"];
/// More than this many tags, or so many inside each other, and a chunk's HTML is shown as the text that it is.
const TAGS: usize = 2000;
const NESTED: usize = 60;

/// A tag: where its name ends, its name, and whether it closes.
fn tags(html: &str) -> impl Iterator<Item = (usize, String, bool)> + '_ {
    html.match_indices('<').filter_map(|(at, _)| {
        let rest = &html[at + 1..];
        let (rest, closes) = rest.strip_prefix('/').map_or((rest, false), |rest| (rest, true));
        if !rest.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return None;
        }
        let end = rest.find(|c: char| c.is_whitespace() || matches!(c, '/' | '>' | '<')).unwrap_or(rest.len());
        Some((at, rest[..end].to_ascii_lowercase(), closes))
    })
}

/// How many elements that hold blocks together are opened and not closed; negative if more are closed.
pub(super) fn opened(html: &str) -> i32 {
    tags(html)
        .filter(|(_, name, _)| HOLDING.contains(&name.as_str()))
        .map(|(_, _, ends)| if ends { -1 } else { 1 })
        .sum()
}

/// Appends what is to be read in raw HTML: neither tags nor comments, scripts or styles, and a space where a tag was that
/// breaks a line.
pub(super) fn words(html: &str, out: &mut String) {
    if html.trim_start().starts_with("<!--") {
        return;
    }
    let (mut from, mut unseen) = (0, false);
    for (at, name, closes) in tags(html) {
        if at < from || !KNOWN.contains(&name.as_str()) {
            continue;
        }
        if !unseen {
            out.push_str(&html[from..at]);
        }
        if matches!(name.as_str(), "script" | "style") {
            unseen = !closes;
        } else if matches!(name.as_str(), "br" | "div" | "p" | "li" | "td" | "th" | "tr") {
            out.push(' ');
        }
        from = html[at..].find('>').map_or(html.len(), |end| at + end + 1);
    }
    if !unseen {
        out.push_str(&html[from..]);
    }
}

/// Counts the tags of one chunk.
#[derive(Default)]
pub(super) struct Budget {
    tags: usize,
    open: usize,
}

impl Budget {
    /// Appends raw HTML: what is no element becomes text, and so does everything once there is too much of it.
    pub(super) fn tame(&mut self, html: &str, out: &mut String) {
        let mut from = 0;
        for (at, name, closes) in tags(html) {
            self.tags += 1;
            match closes {
                true => self.open = self.open.saturating_sub(1),
                false if name == "br" || name == "hr" || name == "img" => {}
                false => self.open += 1,
            }
            let spent = self.tags > TAGS || self.open > NESTED;
            if spent || !KNOWN.contains(&name.as_str()) {
                out.push_str(&html[from..at]);
                out.push_str("&lt;");
                from = at + 1;
            }
        }
        out.push_str(&html[from..]);
    }
}
