//! Pictures of characters and personas, whole or small.

use std::sync::Arc;

use warp::http::{StatusCode, header};

use crate::blocking::blocking;
use crate::error::{Error, Result};
use crate::http::call::Call;
use crate::http::reply::{self, Reply};
use crate::http::state::State;
use crate::library::characters;
use crate::library::thumbnails::{Of, Size};
use crate::pictures::PictureKind;
use crate::store::{FileName, Handle, Place};

/// Answers with a picture of somebody's, or with a small one made from it. One that cannot be shown gives way to ours.
pub async fn serve(
    call: &Call,
    state: Arc<State>,
    handle: Handle,
    of: Of,
    place: Place,
    file: FileName,
) -> Result<Reply> {
    let size = match call.query("size").as_deref() {
        None | Some("full") => None,
        Some("thumb") => Some(Size::Large),
        Some("small") => Some(Size::Small),
        Some(_) => return Err(Error::invalid("bad_request", "The size is full, thumb or small.")),
    };
    let (looking, at) = (state.clone(), place.clone());
    let mark = blocking(move || characters::mark_of(&looking.app.store, &at)).await?;
    let etag = format!(
        "\"{mark}{}\"",
        match size {
            None => "",
            Some(Size::Small) => "-s",
            Some(Size::Large) => "-l",
        }
    );
    if call.header(header::IF_NONE_MATCH.as_str()).is_some_and(|named| named.contains(&etag)) {
        let mut answer = Reply::default();
        *answer.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(kept(answer, call, &mark, &etag));
    }
    let whole = {
        let state = state.clone();
        move || state.app.store.read_at_most(&place, characters::CARD_MAX)
    };
    let (bytes, media_type) = match size {
        None => {
            let bytes = blocking(whole).await?;
            match PictureKind::of(&bytes) {
                Some(kind) => (bytes, kind.mime()),
                None => (characters::BLANK.to_vec(), "image/png"),
            }
        }
        Some(size) => (thumbnail(&state, handle, of, size, file, mark.clone(), whole).await?, "image/jpeg"),
    };
    let answer = reply::with_type(StatusCode::OK, media_type, bytes);
    Ok(kept(answer, call, &mark, &etag))
}

async fn thumbnail(
    state: &Arc<State>,
    handle: Handle,
    of: Of,
    size: Size,
    file: FileName,
    mark: String,
    whole: impl FnOnce() -> Result<Vec<u8>> + Send + 'static,
) -> Result<Vec<u8>> {
    let ready = {
        let (state, handle, file, mark) = (state.clone(), handle.clone(), file.clone(), mark.clone());
        blocking(move || Ok(state.app.thumbnails.ready(&handle, of, size, &file, &mark))).await?
    };
    if let Some(ready) = ready {
        return Ok(ready);
    }
    let turn = state.app.thumbnails.turn().await?;
    let state = state.clone();
    blocking(move || {
        let _turn = turn;
        let thumbnails = &state.app.thumbnails;
        match thumbnails.make(&handle, of, size, &file, &mark, whole) {
            // What cannot be decoded has no small picture, and is not looked at again and again.
            Err(error) if matches!(error.code(), "not_an_image" | "too_large") => {
                thumbnails.make(&handle, of, size, &file, &mark, || Ok(characters::BLANK.to_vec()))
            }
            other => other,
        }
    })
    .await
}

/// An address that names the picture's state never changes its meaning.
fn kept(mut answer: Reply, call: &Call, mark: &str, etag: &str) -> Reply {
    let named = call.query("v").is_some_and(|v| v == mark);
    let keep = if named { "private, max-age=31536000, immutable" } else { "private, no-cache" };
    reply::set(&mut answer, header::CACHE_CONTROL, keep);
    reply::set(&mut answer, header::ETAG, etag);
    answer
}
