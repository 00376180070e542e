//! The pages.

use warp::http::Method;

use crate::http::pages;
use crate::http::shell::PAGES;
use crate::http::table::{Route, Who};
use Who::Public;

/// Its rows.
pub fn rows() -> Vec<Route> {
    let rows = PAGES.iter().map(|page| match page.path {
        "/" => Route::new(Method::GET, page.path, Public, page.about, pages::home),
        "/login" => Route::new(Method::GET, page.path, Public, page.about, pages::login),
        _ => Route::new(Method::GET, page.path, Public, page.about, move |call| pages::inside(call, page)),
    });
    rows.collect()
}
