//! Colours for code.
//!
//! The descriptions of languages take some megabytes, so they are unpacked when the first piece of code asks for them.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxReference, SyntaxSet};

use super::escape;

/// What gets colours: the beginning of a scope's name, and the class. The first that fits, from the innermost scope out.
pub(super) const CLASSES: [(&str, &str); 19] = [
    ("comment", "hl-comment"),
    ("constant.numeric", "hl-number"),
    ("constant.character.escape", "hl-constant"),
    ("constant", "hl-constant"),
    ("string", "hl-string"),
    ("keyword.operator", "hl-operator"),
    ("keyword", "hl-keyword"),
    ("storage.type.function", "hl-keyword"),
    ("storage", "hl-keyword"),
    ("entity.name.function", "hl-function"),
    ("support.function", "hl-function"),
    ("entity.name.tag", "hl-tag"),
    ("entity.other.attribute-name", "hl-attribute"),
    ("entity.name", "hl-type"),
    ("support", "hl-type"),
    ("variable.parameter", "hl-variable"),
    ("markup.inserted", "hl-added"),
    ("markup.deleted", "hl-removed"),
    ("markup.heading", "hl-keyword"),
];

/// Longer code stays plain, in bytes; and so does the rest of it from a line that is longer than a line should be.
const CODE: usize = 48 * 1024;
const LINE: usize = 1000;
/// A description that goes astray on some input is stopped.
const PATIENCE: Duration = Duration::from_millis(400);

struct Languages {
    set: SyntaxSet,
    classes: Vec<(Scope, &'static str)>,
}

static LANGUAGES: LazyLock<Languages> = LazyLock::new(|| {
    let classes = CLASSES.into_iter().filter_map(|(name, class)| Some((Scope::new(name).ok()?, class)));
    Languages { set: SyntaxSet::load_defaults_newlines(), classes: classes.collect() }
});

/// Names that people use for languages that go by another, or for their next of kin.
fn alias(language: &str) -> &str {
    match language {
        "ts" | "tsx" | "typescript" | "jsx" | "javascript" | "node" | "mjs" => "js",
        "shell" | "zsh" | "console" | "sh-session" | "shellscript" => "bash",
        "jsonc" | "json5" | "jsonl" => "json",
        "vue" | "svelte" => "html",
        "c++" => "cpp",
        "csharp" | "c#" => "cs",
        "golang" => "go",
        "kotlin" | "kt" => "java",
        "py3" | "python3" => "python",
        "yml" => "yaml",
        language => language,
    }
}

/// Whether code in this language would get colours; without unpacking anything for one that is empty.
fn language(name: &str) -> Option<&'static SyntaxReference> {
    let name = name.trim().to_ascii_lowercase();
    if name.is_empty() || matches!(name.as_str(), "text" | "txt" | "plain" | "plaintext" | "none") {
        return None;
    }
    LANGUAGES.set.find_syntax_by_token(alias(&name))
}

/// Appends code as HTML, with colours if the language is known and there is not too much of it.
pub(super) fn highlight(code: &str, name: &str, html: &mut String) {
    let syntax = if code.len() > CODE { None } else { language(name) };
    let Some(syntax) = syntax else {
        escape(code, html);
        return;
    };
    let mut state = ParseState::new(syntax);
    let mut stack = ScopeStack::new();
    let until = Instant::now() + PATIENCE;
    let mut from = 0;
    for line in code.split_inclusive('\n') {
        if line.len() > LINE || Instant::now() > until {
            break;
        }
        let Ok(changes) = state.parse_line(line, &LANGUAGES.set) else { break };
        let mut at = 0;
        for (next, change) in changes {
            span(line.get(at..next).unwrap_or_default(), &stack, html);
            at = at.max(next);
            if stack.apply(&change).is_err() {
                stack = ScopeStack::new();
            }
        }
        span(line.get(at..).unwrap_or_default(), &stack, html);
        from += line.len();
    }
    escape(&code[from..], html);
}

fn span(text: &str, stack: &ScopeStack, html: &mut String) {
    if text.is_empty() {
        return;
    }
    let class = if text.trim().is_empty() { None } else { class_of(stack) };
    let Some(class) = class else {
        escape(text, html);
        return;
    };
    let opening = ["<span class=\"", class, "\">"].concat();
    // What goes on in the same colour goes on in the same span.
    let goes_on = html
        .strip_suffix("</span>")
        .is_some_and(|before| before.rfind("<span class=\"").is_some_and(|at| before[at..].starts_with(&opening)));
    if goes_on {
        html.truncate(html.len() - "</span>".len());
    } else {
        html.push_str(&opening);
    }
    escape(text, html);
    html.push_str("</span>");
}

fn class_of(stack: &ScopeStack) -> Option<&'static str> {
    let fits = |scope: &Scope| LANGUAGES.classes.iter().find(|(start, _)| start.is_prefix_of(*scope));
    stack.scopes.iter().rev().find_map(fits).map(|(_, class)| *class)
}
