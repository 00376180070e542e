//! The two cookies: the session, and, before there is one, what ties a page's CSRF token to a browser.

use cookie::time::Duration;
use cookie::{Cookie, SameSite};
use warp::http::HeaderMap;
use warp::http::header::COOKIE;

use crate::accounts::Lifetime;

/// What SillyTavern gives an endless session, and browsers at the most.
const ENDLESS: Duration = Duration::days(400);

/// The names of a house's cookies. Cookies do not tell ports apart, so two houses on one host need different names.
#[derive(Debug, Clone)]
pub struct Names {
    /// The session's.
    pub session: String,
    /// The visitor's.
    pub visitor: String,
}

impl Names {
    /// The names for the data folder with this identity.
    pub fn of(install_id: &str) -> Self {
        let mark = install_id.get(..8).unwrap_or(install_id);
        Self { session: format!("session-{mark}"), visitor: format!("visitor-{mark}") }
    }
}

/// The value of a cookie of the request.
pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// The session's cookie.
pub fn session(name: &str, value: &str, lifetime: Lifetime, secure: bool) -> String {
    let max_age = match lifetime {
        Lifetime::Endless => Some(ENDLESS),
        Lifetime::Browser => None,
        Lifetime::Idle(seconds) => Some(Duration::seconds(seconds)),
    };
    make(name, value, max_age, secure)
}

/// The visitor's cookie; it ends with the browser.
pub fn visitor(name: &str, value: &str, secure: bool) -> String {
    make(name, value, None, secure)
}

/// Takes a cookie back.
pub fn gone(name: &str, secure: bool) -> String {
    make(name, "", Some(Duration::ZERO), secure)
}

fn make(name: &str, value: &str, max_age: Option<Duration>, secure: bool) -> String {
    let mut cookie = Cookie::build((name, value)).path("/").http_only(true).same_site(SameSite::Lax).secure(secure);
    if let Some(max_age) = max_age {
        cookie = cookie.max_age(max_age);
    }
    cookie.build().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_say_what_they_should() {
        assert_eq!(
            session("s", "v", Lifetime::Idle(60), true),
            "s=v; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=60"
        );
        assert_eq!(session("s", "v", Lifetime::Browser, false), "s=v; HttpOnly; SameSite=Lax; Path=/");
        assert!(session("s", "v", Lifetime::Endless, false).contains("Max-Age=34560000"));
        assert!(gone("s", false).contains("Max-Age=0"));
    }

    #[test]
    fn the_right_cookie_is_found() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=1; session=x=y; b".parse().unwrap());
        assert_eq!(get(&headers, "session"), Some("x=y"));
        assert_eq!(get(&headers, "ession"), None);
        assert_eq!(get(&headers, "b"), None);
    }
}
