//! Requests that another site makes a browser send are refused, in three ways: the session cookie is `SameSite=Lax`, the
//! browser's own word on where a request comes from is heeded, and every change needs a token that only our pages can read.
//!
//! The token is an HMAC keyed by the secret in the browser's cookie (the session's, or before that the visitor's): no state
//! on the server, and it ends with the session.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use warp::http::{HeaderMap, Uri};

use super::cookies::{self, Names};
use crate::error::{Error, Result};
use crate::random;

const HEADER: &str = "x-csrf-token";

/// The token that belongs to a cookie's value.
pub fn token(secret: &str) -> String {
    // A key of any length is fine for HMAC.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(b"tavernkeep csrf 1");
    URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes())
}

/// The secret that this browser's tokens are made of: its session's, else its visitor cookie's.
pub fn secret<'a>(headers: &'a HeaderMap, names: &Names, signed_in: bool) -> Option<&'a str> {
    let session = cookies::get(headers, &names.session).filter(|_| signed_in);
    session.or_else(|| cookies::get(headers, &names.visitor)).filter(|value| value.len() >= 32)
}

/// A new visitor's secret.
pub fn new_secret() -> Result<String> {
    random::random::<32>().map(|bytes| URL_SAFE_NO_PAD.encode(bytes))
}

/// Whether the request comes from a page of ours, as far as the browser says; programs say nothing and pass.
pub fn check_origin(headers: &HeaderMap, uri: &Uri) -> Result<()> {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let foreign = match (value("sec-fetch-site"), value("origin")) {
        (Some(site), _) => !matches!(site, "same-origin" | "none"),
        (None, Some(origin)) => {
            // HTTP/2 has the name in the target, and mostly no such header.
            let host = uri.authority().map(|name| name.as_str()).or_else(|| value("host")).unwrap_or_default();
            origin.split_once("://").is_none_or(|(_, authority)| !authority.eq_ignore_ascii_case(host))
        }
        (None, None) => false,
    };
    if foreign {
        Err(Error::forbidden("csrf", "This request came from another site. It was not carried out."))
    } else {
        Ok(())
    }
}

/// Whether the request carries its browser's token.
pub fn check_token(headers: &HeaderMap, names: &Names, signed_in: bool) -> Result<()> {
    let sent = headers.get(HEADER).map(|value| value.as_bytes()).unwrap_or_default();
    let good = secret(headers, names, signed_in).is_some_and(|secret| bool::from(token(secret).as_bytes().ct_eq(sent)));
    if good {
        Ok(())
    } else {
        Err(Error::forbidden("csrf", "Invalid CSRF token. Please refresh the page and try again."))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[rstest]
    #[case(&[], true)]
    #[case(&[("sec-fetch-site", "same-origin"), ("origin", "https://proxy.example"), ("host", "127.0.0.1:8000")], true)]
    #[case(&[("sec-fetch-site", "none")], true)]
    #[case(&[("sec-fetch-site", "same-site")], false)]
    #[case(&[("sec-fetch-site", "cross-site")], false)]
    #[case(&[("origin", "http://localhost:8000"), ("host", "localhost:8000")], true)]
    #[case(&[("origin", "http://localhost:9000"), ("host", "localhost:8000")], false)]
    #[case(&[("origin", "null"), ("host", "localhost:8000")], false)]
    #[case(&[("origin", "http://evil.example"), ("host", "localhost:8000")], false)]
    fn foreign_pages_are_told_apart(#[case] list: &[(&'static str, &str)], #[case] good: bool) {
        assert_eq!(check_origin(&headers(list), &Uri::from_static("/api/v1/me")).is_ok(), good);
    }

    /// An old Safari says nothing but the origin, and over HTTP/2 there is no `Host`.
    #[rstest]
    #[case("https://house.example:8000", true)]
    #[case("https://house.example", false)]
    #[case("https://evil.example:8000", false)]
    fn over_http_2_the_target_says_which_host_is_meant(#[case] origin: &str, #[case] good: bool) {
        let uri = Uri::from_static("https://house.example:8000/api/v1/me");
        assert_eq!(check_origin(&headers(&[("origin", origin)]), &uri).is_ok(), good);
    }

    #[test]
    fn a_token_fits_only_its_cookie() {
        let names = Names::of("0123456789");
        let (mine, other) = (new_secret().unwrap(), new_secret().unwrap());
        let with = |cookie: &str, token: &str| headers(&[("cookie", cookie), ("x-csrf-token", token)]);
        let session = format!("session-01234567={mine}; visitor-01234567={other}");
        assert!(check_token(&with(&session, &token(&mine)), &names, true).is_ok());
        assert!(check_token(&with(&session, &token(&other)), &names, true).is_err());
        assert!(check_token(&with(&session, &token(&other)), &names, false).is_ok());
        assert!(check_token(&with("", &token("")), &names, false).is_err());
        assert!(check_token(&with("visitor-01234567=", &token("")), &names, false).is_err());
        assert!(check_token(&headers(&[("cookie", &session)]), &names, true).is_err());
    }
}
