//! `/api/v1/images`: the pictures in chats.

use percent_encoding::percent_decode_str;
use serde_json::json;
use warp::http::{StatusCode, header};

use crate::blocking::blocking;
use crate::error::Result;
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::library::chats::pictures;
use crate::store::FileName;

/// A picture that is sent with a message.
pub const LIMIT: u64 = 20 * 1024 * 1024;

/// Where a page finds a picture that a chat names by its path; none for one that is elsewhere: looking at a chat asks
/// nobody else for anything.
pub fn address(url: &str) -> Option<String> {
    let (folder, file) = pictures::named(url)?;
    Some(format!("/api/v1/images/{}/{}", reply::encoded(folder.as_str()), reply::encoded(file.as_str())))
}

/// `GET /api/v1/images/{character}/{file}`.
pub async fn get(call: Call) -> Result<Reply> {
    let (state, handle, folder) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    let file = call.named("file", FileName::parse, "There is no such picture.")?;
    blocking(move || {
        let (mime, bytes) = state.app.chats.picture(&handle, &folder, &file)?;
        let mut answer = reply::with_type(StatusCode::OK, mime, bytes);
        reply::set(&mut answer, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        reply::set(&mut answer, header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
        reply::set(&mut answer, header::CACHE_CONTROL, "private, max-age=86400");
        Ok(answer)
    })
    .await
}

/// `POST /api/v1/characters/{character}/images`: keeps a picture, so that a message can name it.
pub async fn create(mut call: Call) -> Result<Reply> {
    let (state, handle, folder) = (call.state.clone(), call.me()?.handle.clone(), call.character()?);
    let bytes = call.bytes().await?;
    blocking(move || {
        let url = state.app.chats.keep_picture(&handle, &folder, &bytes)?;
        let shown = address(&percent_decode_str(&url).decode_utf8_lossy());
        Ok(reply::json_with(StatusCode::CREATED, &json!({ "url": url, "address": shown })))
    })
    .await
}
