//! The sanitiser: what may stay, and nothing else.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

use ammonia::{Builder, UrlRelative};

use super::code;

/// What may stay. No element here loads anything by itself but `img`, whose addresses are looked at twice.
#[rustfmt::skip]
const TAGS: [&str; 50] = [
    "a", "abbr", "b", "bdi", "blockquote", "br", "caption", "center", "cite", "code", "dd", "del", "details", "dfn", "div",
    "dl", "dt", "em", "h3", "h4", "h5", "h6", "hr", "i", "img", "ins", "kbd", "li", "mark", "ol", "p", "pre", "q", "rp", "rt",
    "ruby", "s", "samp", "small", "span", "strike", "strong", "sub", "summary", "sup", "table", "tbody", "td", "th", "thead",
];
const MORE_TAGS: [&str; 5] = ["tr", "u", "ul", "var", "wbr"];
/// Where pictures of this house are.
const PICTURES: [&str; 3] = ["/api/v1/", "/user/images/", "/img/"];

static POLICY: LazyLock<Builder<'static>> = LazyLock::new(policy);

fn policy() -> Builder<'static> {
    let mut policy = Builder::empty();
    policy
        .tags(TAGS.into_iter().chain(MORE_TAGS).collect())
        .clean_content_tags(HashSet::from(["script", "style", "title", "textarea", "template", "noscript", "xmp"]))
        .generic_attributes(HashSet::from(["title", "dir", "lang"]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href"])),
            ("img", HashSet::from(["src", "alt"])),
            ("ol", HashSet::from(["start"])),
            ("details", HashSet::from(["open"])),
            ("td", HashSet::from(["align", "colspan", "rowspan"])),
            ("th", HashSet::from(["align", "colspan", "rowspan"])),
            ("pre", HashSet::from(["data-lang"])),
        ]))
        .allowed_classes(HashMap::from([
            ("span", code::CLASSES.into_iter().map(|(_, class)| class).chain(["said"]).collect()),
            ("li", HashSet::from(["task"])),
        ]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::PassThrough)
        .attribute_filter(attribute)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank")
        .strip_comments(true);
    policy
}

/// The attributes whose values matter.
fn attribute<'v>(element: &str, name: &str, value: &'v str) -> Option<Cow<'v, str>> {
    let stays = match (element, name) {
        ("a", "href") => is_outward(value),
        ("img", "src") => is_own(value) || is_web(value),
        (_, "align") => matches!(value, "left" | "right" | "center"),
        (_, "colspan" | "rowspan") => value.parse::<u8>().is_ok_and(|n| n <= 50),
        ("ol", "start") => value.parse::<u32>().is_ok(),
        ("pre", "data-lang") => {
            value.len() <= 20 && value.bytes().all(|b| b.is_ascii_alphanumeric() || b"+#.-_".contains(&b))
        }
        (_, "dir") => matches!(value, "ltr" | "rtl" | "auto"),
        _ => true,
    };
    stays.then_some(Cow::Borrowed(value))
}

/// A link leads out, or writes a letter; what leads around in this house is not for a card to say.
fn is_outward(address: &str) -> bool {
    is_web(address) || starts(address, "mailto:")
}

fn is_web(address: &str) -> bool {
    starts(address, "https://") || starts(address, "http://")
}

fn starts(text: &str, with: &str) -> bool {
    text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with))
}

/// A path of this house, by letter: browsers drop tabs and line breaks from addresses and take `\` for `/`.
fn is_own(address: &str) -> bool {
    PICTURES.iter().any(|start| address.starts_with(start))
        && !address.contains("..")
        && !address.bytes().any(|byte| byte <= b' ' || byte == b'\\' || byte == 0x7f)
}

/// Makes HTML safe. Pictures from elsewhere become links that say where they lead: looking at a chat tells nobody outside.
pub(super) fn clean(html: &str) -> String {
    without_remote(POLICY.clean(html).to_string())
}

/// The sanitiser's output is regular: attributes in double quotes, and no `"` or `&` inside them that is not written out.
fn without_remote(html: String) -> String {
    if !html.contains("<img") {
        return html;
    }
    let mut out = String::with_capacity(html.len());
    let mut rest = html.as_str();
    while let Some(at) = rest.find("<img") {
        out.push_str(&rest[..at]);
        let tag = &rest[at..];
        let end = end_of_tag(tag);
        let source = value_of(&tag[..end], "src").unwrap_or("");
        if is_own(source) {
            out.push_str(&tag[..end]);
        } else {
            let alt = value_of(&tag[..end], "alt").unwrap_or("");
            link_instead(source, alt, &mut out);
        }
        rest = &tag[end..];
    }
    out.push_str(rest);
    out
}

/// Where a tag ends: the first `>` outside of quotes.
fn end_of_tag(tag: &str) -> usize {
    let mut quoted = false;
    for (at, byte) in tag.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'>' if !quoted => return at + 1,
            _ => {}
        }
    }
    tag.len()
}

/// An attribute's value, as it is written.
fn value_of<'t>(tag: &'t str, name: &str) -> Option<&'t str> {
    let mut rest = tag;
    loop {
        let (before, after) = rest.split_once("=\"")?;
        let (value, next) = after.split_once('"')?;
        if before.rsplit(' ').next() == Some(name) {
            return Some(value);
        }
        rest = next;
    }
}

/// `source` and `alt` come from the sanitiser's output and are written out already.
fn link_instead(source: &str, alt: &str, out: &mut String) {
    let host = source.split_once("://").map(|(_, rest)| rest);
    let Some(host) = host.filter(|_| is_web(source)) else {
        if !alt.is_empty() {
            out.push_str("[picture: ");
            push_text(alt, out);
            out.push(']');
        }
        return;
    };
    let host = host.split(['/', '?', '#', '\\']).next().unwrap_or(host);
    let host = host.rsplit('@').next().unwrap_or(host);
    out.push_str("<a href=\"");
    out.push_str(source);
    out.push_str("\" target=\"_blank\" rel=\"noopener noreferrer nofollow\"");
    if !alt.is_empty() {
        out.push_str(" title=\"");
        out.push_str(alt);
        out.push('"');
    }
    out.push_str(">picture: ");
    push_text(host, out);
    out.push_str("</a>");
}

/// The value of an attribute as text between tags: there `<` has to be written out too.
fn push_text(value: &str, out: &mut String) {
    for c in value.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c => out.push(c),
        }
    }
}
