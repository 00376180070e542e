//! The pages of the built-in client. All are one shell, in which a script puts an element of its own; what differs is one
//! row. What is shown where nothing is has the same shell, and no script.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What all pages have in common.
const SHELL: &str = include_str!("shell/page.html");
/// What stands in a page until its script has drawn it.
const ELEMENT: &str = include_str!("shell/element.html");
/// What stands in the page for addresses of nothing.
const MISSING: &str = include_str!("shell/missing.html");

/// The file of the page for addresses of nothing.
pub const MISSING_FILE: &str = "404.html";

/// A page.
pub struct Page {
    /// Its address.
    pub path: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    title: &'static str,
    /// Its script in `/house/`, without the ending. The element that it defines is called as its file is.
    module: &'static str,
    /// Its styles in `/house/`, without the ending, beside those that every page has.
    styles: &'static [&'static str],
    /// Whether it fills the window, and never scrolls as a whole.
    fills: bool,
}

/// All pages.
#[rustfmt::skip]
pub static PAGES: [Page; 11] = [
    page("/", "the first page", "Home", "tk-home", &["home"]),
    page("/login", "the login screen", "Sign in", "tk-login", &["login"]),
    page("/account", "the account page; sends strangers to the login screen", "Account", "tk-account", &["account"]),
    page("/users", "the page of users; sends strangers to the login screen", "Users", "tk-users", &["account", "users"]),
    Page { fills: true, ..page("/chat", "the chat page; sends strangers to the login screen", "Chat", "chat/tk-chat", &["chat/chat", "chat/side", "chat/log", "chat/words", "chat/composer"]) },
    page("/characters", "the page of characters; sends strangers to the login screen", "Characters", "shelf/tk-characters", &["account", "shelf/shelf", "shelf/characters", "shelf/entries"]),
    page("/personas", "the page of personas; sends strangers to the login screen", "Personas", "shelf/tk-personas", &["account", "shelf/shelf", "shelf/characters"]),
    page("/lorebooks", "the page of lorebooks; sends strangers to the login screen", "Lorebooks", "shelf/tk-lorebooks", &["shelf/shelf", "shelf/entries"]),
    page("/connections", "the page of connections; sends strangers to the login screen", "Connections", "shelf/tk-connections", &["shelf/shelf", "shelf/connections"]),
    page("/search", "the page to search chats; sends strangers to the login screen", "Search", "shelf/tk-search", &["shelf/shelf", "shelf/search"]),
    page("/trash", "the page of the trash; sends strangers to the login screen", "Trash", "shelf/tk-trash", &["shelf/shelf"]),
];

const fn page(
    path: &'static str,
    about: &'static str,
    title: &'static str,
    module: &'static str,
    styles: &'static [&'static str],
) -> Page {
    Page { path, about, title, module, styles, fills: false }
}

impl Page {
    /// The file that it is, or that stands for it in a folder of somebody's own.
    pub fn file(&self) -> String {
        match self.path.trim_start_matches('/') {
            "" => "index.html".to_owned(),
            name => format!("{name}.html"),
        }
    }

    fn html(&self) -> String {
        let element = self.module.rsplit('/').next().unwrap_or(self.module);
        let class = if self.fills { r#" class="in-chat""# } else { "" };
        shell(self.title, self.styles)
            .replace("{script}", &format!(r#"<script type="module" src="/house/{}.js"></script>"#, self.module))
            .replace("{class}", class)
            .replace("{busy}", r#" aria-busy="true""#)
            .replace("{content}", &ELEMENT.replace("{element}", element))
    }
}

/// The page for addresses of nothing.
fn missing() -> String {
    let bare = ["{script}", "{class}", "{busy}"];
    let shell = bare.iter().fold(shell("No such room", &["login"]), |html, place| html.replace(place, ""));
    shell.replace("{content}", MISSING)
}

fn shell(title: &str, styles: &[&str]) -> String {
    let styles = styles.iter().map(|name| format!(r#"<link rel="stylesheet" href="/house/{name}.css" />"#));
    SHELL.replace("{title}", title).replace("{styles}", &styles.collect::<Vec<_>>().join("\n    "))
}

/// The page that is this file, if it is one.
pub fn file(name: &str) -> Option<&'static [u8]> {
    static FILES: LazyLock<HashMap<String, String>> = LazyLock::new(|| {
        let pages = PAGES.iter().map(|page| (page.file(), page.html()));
        pages.chain([(MISSING_FILE.to_owned(), missing())]).collect()
    });
    FILES.get(name).map(String::as_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_is_filled_with_files_that_are_there() {
        for html in PAGES.iter().map(Page::html).chain([missing()]) {
            assert!(!html.contains('{'), "{html}");
            let public = concat!(env!("CARGO_MANIFEST_DIR"), "/public");
            for address in html.split('"').filter(|text| text.starts_with('/') && text.contains('.')) {
                assert!(std::path::Path::new(&format!("{public}{address}")).exists(), "{address} of {html}");
            }
        }
    }
}
